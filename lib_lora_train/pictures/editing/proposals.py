"""Crops that are worth proposing: a face, a head with its shoulders, and details."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from ..faces import Face
from .salience import salient_frames
from .turning import Frame

Kind = Literal["face", "bust", "detail"]

_FACE_SIDE, _FACE_UP = 1.7, 0.1
"""The side of the crop of a face, and how far its centre is above the face's, in sides of the face: with the hair."""

_BUST_SIDE, _BUST_DOWN = 3.2, 0.5
"""As above, for head and shoulders; the centre is below the face's."""

_DETAIL_SHARES = 0.3, 0.6
"""The smallest and largest side of a detail, as a share of the shorter side of the image."""

_MOST_FACES = 6


@dataclass(frozen=True)
class Proposal:
    """A crop to propose, in pixels of the image; ``label`` names it on the page."""

    kind: Kind
    label: str
    frame: Frame


def proposals(picture: Image.Image, faces: Sequence[Face], trained_side: int) -> list[Proposal]:
    """The crops to propose for the upright ``picture`` with these ``faces``, largest first.

    ``trained_side`` is the side of a square training image in pixels, which a detail should have.
    """
    found = []
    for number, face in enumerate(faces[:_MOST_FACES], 1):
        which = f" {number}" if len(faces) > 1 else ""
        found.append(Proposal("face", f"Face{which}", face_frame(face, picture.size)))
        bust = bust_frame(face, picture.size)
        if bust != found[-1].frame:
            found.append(Proposal("bust", f"Head and shoulders{which}", bust))
    shorter = min(picture.size)
    side = round(min(max(trained_side, _DETAIL_SHARES[0] * shorter), _DETAIL_SHARES[1] * shorter))
    details = salient_frames(picture, side, side, avoid=[item.frame for item in found if item.kind == "face"])
    found += [Proposal("detail", f"Detail {number}" if len(details) > 1 else "Detail", frame)
              for number, frame in enumerate(details, 1)]
    return found


def face_frame(face: Face, size: tuple[int, int]) -> Frame:
    """A square around a face with its hair, inside an image of ``size``."""
    return _square(face.x, face.y - _FACE_UP * face.side, _FACE_SIDE * face.side, size)


def bust_frame(face: Face, size: tuple[int, int]) -> Frame:
    """A square around head and shoulders, inside an image of ``size``."""
    return _square(face.x, face.y + _BUST_DOWN * face.side, _BUST_SIDE * face.side, size)


def _square(x: float, y: float, side: float, size: tuple[int, int]) -> Frame:
    """A square with its centre as near to ``x``, ``y`` as it fits, no larger than the shorter side of the image."""
    length = max(1, min(round(side), *size))
    left = min(max(0, round(x - length / 2)), size[0] - length)
    top = min(max(0, round(y - length / 2)), size[1] - length)
    return Frame(left, top, left + length, top + length)
