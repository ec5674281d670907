"""Face detection with OpenCV's cascade, where OpenCV is installed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ..errors import ConfigError

_CASCADE = "haarcascade_frontalface_default.xml"
_LONGEST_SIDE = 800
"""Faces are detected in a copy of this size, since large faces remain detectable when downscaled."""

_SMALLEST_SHARE = 1 / 16


class Face(NamedTuple):
    """A square around a face: centre and side in pixels of the image."""

    x: float
    y: float
    side: float


class FaceDetector:
    """Detects faces and caches them by file. Thread-safe.

    The constructor raises ``ConfigError`` if OpenCV or its cascade is missing.
    """

    def __init__(self, needed: str = "dataset.face_crop_aug_range needs", instead: str = "Or leave it empty.") -> None:
        """``needed`` and ``instead`` are what the error says: what needs OpenCV, and what to do without it."""
        self._cascade = _load_cascade(needed, instead)
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[Face, ...]] = {}

    def find(self, path: Path, picture: Image.Image) -> tuple[Face, ...]:
        """The faces in ``picture``, the decoded file ``path``, largest first."""
        with self._lock:
            if path not in self._known:
                self._known[path] = self._search(picture)
            return self._known[path]

    def search(self, picture: Image.Image) -> tuple[Face, ...]:
        """As ``find``, for an image that is not a file or may change; nothing is cached."""
        with self._lock:
            return self._search(picture)

    def _search(self, picture: Image.Image) -> tuple[Face, ...]:
        scale = min(1.0, _LONGEST_SIDE / max(picture.size))
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        small = picture.convert("L").resize(size)
        least = max(20, round(min(small.size) * _SMALLEST_SHARE))
        found = self._cascade.detectMultiScale(np.asarray(small), 1.1, 5, 0, (least, least))
        faces = [Face((x + width / 2) / scale, (y + height / 2) / scale, max(width, height) / scale)
                 for x, y, width, height in (map(int, box) for box in found)]
        return tuple(sorted(faces, key=lambda face: (-face.side, face.x, face.y)))


def _load_cascade(needed: str, instead: str) -> Any:
    try:
        import cv2
    except ImportError as problem:
        raise ConfigError(f"{needed} OpenCV to find faces, and the training's Python has none ({problem}). "
                          f"Run: python install.py --add opencv. {instead}") from problem
    data = getattr(getattr(cv2, "data", None), "haarcascades", "")
    file = Path(data, _CASCADE)
    if not hasattr(cv2, "CascadeClassifier") or not data or not file.is_file():
        raise ConfigError(f"{needed} OpenCV's face cascade, which OpenCV {cv2.__version__} here does not bring. "
                          f"Run: python install.py --add opencv. {instead}")
    return cv2.CascadeClassifier(str(file))
