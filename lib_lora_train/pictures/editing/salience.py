"""Regions of an image that stand out, found without any model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .turning import Frame

_SIDE = 96
"""The longest side, in pixels, at which an image is judged: what stands out does so at a glance."""

_MOST_OVERLAP = 0.2
_STEPS = 12


def salience(picture: Image.Image) -> NDArray[np.float64]:
    """How much each place of ``picture`` stands out, (height, width) at a reduced size, 0 to 1.

    The spectral residual (Hou and Zhang, CVPR 2007): the log spectrum of an image less its local average is what the
    usual statistics of images do not explain, and comes from the places that stand out.
    """
    scale = min(1.0, _SIDE / max(picture.size))
    size = max(8, round(picture.width * scale)), max(8, round(picture.height * scale))
    grey = np.asarray(picture.convert("L").resize(size, Image.Resampling.BOX), np.float64)
    spectrum = np.fft.fft2(grey - grey.mean())
    log = np.log(np.abs(spectrum) + 1e-6)
    residual = log - _blurred(log, 1)
    found = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    found = _blurred(_blurred(found, 2), 2)
    highest = float(found.max())
    return found / highest if highest > 0 else found


def salient_frames(picture: Image.Image, width: int, height: int, most: int = 3,
                   avoid: Sequence[Frame] = ()) -> list[Frame]:
    """Up to ``most`` frames of ``width`` x ``height`` pixels of ``picture`` that stand out, best first.

    They hardly overlap each other or the frames ``avoid``. Empty for an image in which nothing stands out.
    """
    width, height = min(width, picture.width), min(height, picture.height)
    found = salience(picture)
    if float(found.std()) < 1e-9:
        return []
    sums = np.pad(found, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    ranked = []
    for top in _places(picture.height - height):
        for left in _places(picture.width - width):
            frame = Frame(left, top, left + width, top + height)
            ranked.append((_mean(sums, frame, picture.size), frame))
    ranked.sort(key=lambda item: (-item[0], item[1]))
    chosen: list[Frame] = []
    for score, frame in ranked:
        if len(chosen) == most or score < float(found.mean()):
            break
        if all(_overlap(frame, other) <= _MOST_OVERLAP for other in (*chosen, *avoid)):
            chosen.append(frame)
    return chosen


def _places(room: int) -> list[int]:
    return sorted({round(room * step / _STEPS) for step in range(_STEPS + 1)})


def _mean(sums: NDArray[np.float64], frame: Frame, size: tuple[int, int]) -> float:
    """The mean salience in ``frame``, from the summed-area table ``sums``."""
    across, down = (sums.shape[1] - 1) / size[0], (sums.shape[0] - 1) / size[1]
    left, right = round(frame.left * across), max(round(frame.left * across) + 1, round(frame.right * across))
    top, bottom = round(frame.top * down), max(round(frame.top * down) + 1, round(frame.bottom * down))
    right, bottom = min(right, sums.shape[1] - 1), min(bottom, sums.shape[0] - 1)
    left, top = min(left, right - 1), min(top, bottom - 1)
    total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return float(total) / ((right - left) * (bottom - top))


def _overlap(one: Frame, other: Frame) -> float:
    """The area that both have in common, as a share of the smaller one."""
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    smaller = min(one.width * one.height, other.width * other.height)
    return max(0, across) * max(0, down) / max(1, smaller)


def _blurred(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """The mean over squares of ``2 * reach + 1``, edges repeated."""
    for axis in (0, 1):
        pad = [(reach, reach) if axis == each else (0, 0) for each in (0, 1)]
        wide = np.pad(values, pad, mode="edge")
        values = np.mean([np.take(wide, range(step, step + values.shape[axis]), axis)
                          for step in range(2 * reach + 1)], axis=0)
    return values
