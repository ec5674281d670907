"""A loaded mask model: the probability of every pixel to be subject."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...config.mask_models import LOGITS, Interface
from ...errors import TaggerError
from ...pictures.masks.shape import Levels, NoMaskError
from ..providers import in_words
from ..session import onnx_errors, open_session

_TOLERANCE = 0.02
_LEAST_SUBJECT = 0.002


class MaskNetwork:
    """A model that tells the subject from the background. Thread-safe; ``provider`` is the one in use."""

    def __init__(self, name: str, file: Path, interface: Interface, provider: str,
                 warn: Callable[[str], None]) -> None:
        """Load the model. Raises ``TaggerError`` if it is damaged or does not have the interface."""
        self.name = name
        self._file, self._interface = file, interface
        self._session = open_session(file, provider, warn, "mask model")
        self.provider: str = self._session.get_providers()[0]
        self._input, self._output = self._session.get_inputs()[0], self._session.get_outputs()[0]
        _check_input(self._input, file, interface)

    @property
    def runs_on(self) -> str:
        """The provider for messages: ``the CPU``, ``the GPU (CUDA)`` …"""
        return in_words(self.provider)

    def mask(self, picture: Image.Image, threshold: float) -> Levels:
        """The mask of an RGB image, at the model's resolution in the image's shape.

        A pixel above ``threshold`` is 255, others 0; at 0, levels are the probabilities. Raises ``NoMaskError`` if
        nothing is subject, ``TaggerError`` if the model fails.
        """
        probability = self.probability(picture)
        if threshold > 0:
            probability = (probability > threshold).astype(np.float32)
        if float(probability.mean()) < _LEAST_SUBJECT:
            raise NoMaskError("the model found no subject in it; lower the threshold, or use another method")
        return np.round(probability * 255).astype(np.uint8)

    def probability(self, picture: Image.Image) -> NDArray[np.float32]:
        """The probability of each pixel to be subject, float32 (height, width), the longer side as the model's."""
        pixels, box = prepared(picture, self._interface)
        try:
            answer = self._session.run([self._output.name], {self._input.name: pixels})[0]
        except onnx_errors() as problem:
            raise TaggerError(f"The mask model {self.name} failed on {self.runs_on}: {problem}. Set mask.provider to "
                              "cpu, or choose another model.") from problem
        return self._in_shape(np.asarray(answer, np.float32), box, picture.size)

    def _in_shape(self, answer: NDArray[np.float32], box: tuple[int, int, int, int],
                  size: tuple[int, int]) -> NDArray[np.float32]:
        side, interface = self._interface.side, self._interface
        if answer.size != side * side or not np.isfinite(answer).all():
            raise TaggerError(f"The mask model {self.name} returned the shape {answer.shape}, not one probability "
                              f"for each of {side}x{side} pixels. Its description does not fit it.")
        left, top, right, bottom = box
        found = answer.reshape(side, side)[top:bottom, left:right]
        if interface.output == LOGITS:
            found = 1 / (1 + np.exp(-found.clip(-60, 60)))
        elif interface.full_range:
            found = (found - found.min()) / max(float(found.max() - found.min()), 1e-6)
        elif found.min() < -_TOLERANCE or found.max() > 1 + _TOLERANCE:
            raise TaggerError(f"The mask model {self.name} gave values from {found.min():g} to {found.max():g}, which "
                              'are not probabilities. If they are logits, write "output": "logits" into its '
                              "description.")
        scale = side / max(size)
        shape = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
        image = Image.fromarray(found.clip(0, 1).astype(np.float32))
        return np.asarray(image.resize(shape, Image.Resampling.BILINEAR), np.float32).clip(0, 1)


def prepared(picture: Image.Image, interface: Interface) -> tuple[NDArray[np.float32], tuple[int, int, int, int]]:
    """The model's input, float32 (1, 3, side, side), and where in it the image is: left, top, right, bottom."""
    side = interface.side
    box = (0, 0, side, side)
    if interface.pad:
        scale = side / max(picture.size)
        width, height = (max(1, round(length * scale)) for length in picture.size)
        left, top = (side - width) // 2, (side - height) // 2
        box = left, top, left + width, top + height
    square = Image.new("RGB", (side, side))
    square.paste(picture.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.LANCZOS, reducing_gap=3.0),
                 box[:2])
    values = np.asarray(square, np.float64)
    values = values / max(float(values.max()) if interface.by_brightest else 255.0, 1e-6)
    values = (values - np.array(interface.mean)) / np.array(interface.std)
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None], dtype=np.float32), box


def _check_input(node: Any, file: Path, interface: Interface) -> None:
    shape = list(node.shape)
    wanted = [1, 3, interface.side, interface.side]
    fits = len(shape) == 4 and all(not isinstance(length, int) or length == want
                                   for length, want in zip(shape, wanted, strict=True))
    if not fits or node.type != "tensor(float)":
        raise TaggerError(f"{file} takes {node.type} of shape {shape}, but its description says tensor(float) of shape "
                          f"{wanted}. Correct the description, or choose another model.")
