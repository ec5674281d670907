"""The resampling filters by their definitions, in numpy alone: antialiased, each pass rounded to 8 bits."""

from __future__ import annotations

import numpy as np


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic kernel with a = -0.5."""
    x = np.abs(x)
    return np.where(x < 1, 1.5 * x**3 - 2.5 * x**2 + 1, np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0))


def triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(0, 1 - np.abs(x))


def lanczos(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


def box(x: np.ndarray) -> np.ndarray:
    return ((x > -0.5) & (x <= 0.5)).astype(float)


def resized(pixels: np.ndarray, width: int, height: int, kernel) -> np.ndarray:
    """``pixels`` (height, width, 3), 0 to 255, scaled across and then down."""
    return _along(_along(pixels, 1, width, kernel), 0, height, kernel)


def _along(pixels: np.ndarray, axis: int, side: int, kernel) -> np.ndarray:
    length = pixels.shape[axis]
    if length == side:
        return pixels
    scale = length / side
    centres = (np.arange(side) + 0.5) * scale
    weights = kernel((np.arange(length)[None] + 0.5 - centres[:, None]) / max(scale, 1.0))
    weights /= weights.sum(1, keepdims=True)
    found = np.moveaxis(np.tensordot(weights, np.moveaxis(pixels.astype(np.float64), axis, 0), 1), 0, axis)
    return np.clip(np.floor(found + 0.5), 0, 255)


def squared(pixels: np.ndarray, side: int, color) -> tuple[np.ndarray, np.ndarray]:
    """``pixels`` in the middle of a square of ``color``, and where it is padding."""
    height, width = pixels.shape[:2]
    top, left = (side - height) // 2, (side - width) // 2
    square = np.empty((side, side, 3))
    square[:] = color
    square[top:top + height, left:left + width] = pixels
    padding = np.ones((side, side))
    padding[top:top + height, left:left + width] = 0
    return square, padding
