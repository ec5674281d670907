"""Masks without a model: the background is what resembles the image's border and is connected to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .shape import Levels, NoMaskError, grown, shrunk, small_copy

LEAST_UNIFORM = 0.6
"""The share of the border that must have one color or gradient; a subject may touch the rest."""

_MOST_SAMPLES = 4000
_STEPS = 8
_KEPT_SHARE = 0.7
_SIMPLER_IS_ENOUGH = 0.95
_SPECK_SHARE = 1 / 250
_HOLE_SHARE = 1 / 80

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]


def border_mask(picture: Image.Image, tolerance: float, enclosed: bool) -> Levels:
    """The mask of an RGB image with a plain or smoothly graded background, at the size of ``small_copy``.

    ``tolerance`` is the largest difference from the background in any channel, of 255. With ``enclosed``, larger areas
    of the background's color inside the subject (between arm and body) are background too.
    Raises ``NoMaskError`` if the border is not uniform enough, or everything or nothing is background.
    """
    pixels = np.asarray(small_copy(picture), dtype=np.float32)
    edge = _edge(pixels.shape[:2])
    background, uniform = _background(pixels, edge, tolerance)
    if uniform < LEAST_UNIFORM:
        raise NoMaskError(f"its border is not uniform enough: {uniform:.0%} of it has one color or gradient within "
                          f"{tolerance:g} levels, and {LEAST_UNIFORM:.0%} are needed; raise the tolerance, or use "
                          "another method")
    similar: Flags = (np.abs(pixels - background) <= tolerance).all(axis=2)
    outside = spread(edge, similar)
    if enclosed:
        inner = similar & ~outside
        outside |= spread(_opened(inner, _HOLE_SHARE), inner)
    subject = ~outside
    subject = spread(_opened(subject, _SPECK_SHARE), subject)
    share = float(subject.mean())
    if share < 0.002 or share > 0.998:
        what = "everything" if share < 0.5 else "nothing"
        raise NoMaskError(f"with a tolerance of {tolerance:g}, {what} in it is background; "
                          f"{'lower' if share < 0.5 else 'raise'} the tolerance, or use another method")
    return np.where(subject, np.uint8(255), np.uint8(0))


def spread(seeds: Flags, allowed: Flags) -> Flags:
    """All pixels of ``allowed`` that are connected, by their four neighbors within it, to one of ``seeds``."""
    rows, columns = _runs(allowed), _runs(allowed.T)
    reached, count = seeds & allowed, -1
    while count != (count := int(np.count_nonzero(reached))):
        reached = _whole_runs(_whole_runs(reached, rows).T, columns).T
    return reached


def _background(pixels: NDArray[np.float32], edge: Flags, tolerance: float) -> tuple[NDArray[np.float32], float]:
    """The color expected behind every pixel, (height, width, 3), and the share of the border that has it.

    The simplest of a constant, a linear and a quadratic gradient that explains nearly as much as the best of them.
    """
    height, width = edge.shape
    places = np.argwhere(edge)
    places = places[:: max(1, len(places) // _MOST_SAMPLES)]
    colors = pixels[places[:, 0], places[:, 1]].astype(np.float64)
    y, x = places[:, 0] / max(1, height - 1) - 0.5, places[:, 1] / max(1, width - 1) - 0.5
    fits = [_fit(_terms(x, y, degree), colors, y < 0, tolerance) for degree in (0, 1, 2)]
    best = max(share for _, share in fits)
    degree = next(degree for degree, (_, share) in enumerate(fits) if share >= _SIMPLER_IS_ENOUGH * best)
    weights, share = fits[degree]
    inside = (np.abs(_terms(x, y, degree) @ weights - colors) <= tolerance).all(axis=1)
    ys, xs = np.meshgrid(np.linspace(-0.5, 0.5, height), np.linspace(-0.5, 0.5, width), indexing="ij")
    grid = _terms(xs.ravel(), ys.ravel(), degree) @ weights
    if inside.any():  # no guess far from any color of the border
        grid = grid.clip(colors[inside].min(axis=0) - tolerance, colors[inside].max(axis=0) + tolerance)
    return grid.reshape(height, width, 3).astype(np.float32), share


def _fit(terms: Numbers, colors: Numbers, above: Flags, tolerance: float) -> tuple[Numbers, float]:
    """Weights of ``terms`` by least trimmed squares (Rousseeuw 1984), and the share of ``colors`` within tolerance.

    Starts from the whole border and from its upper half, since subjects mostly touch the lower edge.
    """
    best: tuple[Numbers, float] = np.zeros((terms.shape[1], 3)), -1.0
    for chosen in (np.ones(len(terms), bool), above):
        for _ in range(_STEPS):
            if np.count_nonzero(chosen) < terms.shape[1]:
                break
            weights = np.linalg.lstsq(terms[chosen], colors[chosen], rcond=None)[0]
            away = np.abs(terms @ weights - colors).max(axis=1)
            share = float((away <= tolerance).mean())
            if share > best[1]:
                best = weights, share
            chosen = away <= max(float(np.quantile(away, _KEPT_SHARE)) if share < _KEPT_SHARE else tolerance, 1e-9)
    return best


def _terms(x: Numbers, y: Numbers, degree: int) -> Numbers:
    one = np.ones_like(x)
    return np.stack([(one,), (one, x, y), (one, x, y, x * x, x * y, y * y)][degree], axis=1)


def _edge(shape: tuple[int, ...]) -> Flags:
    """The outermost pixels of an image, about one per cent of its shorter side wide."""
    height, width = shape
    thick = max(1, min(height, width) // 100)
    edge = np.ones((height, width), bool)
    edge[thick:-thick, thick:-thick] = False
    return edge


def _opened(flags: Flags, share: float) -> Flags:
    """What is left of ``flags`` where a square with ``share`` of the shorter side fits in."""
    radius = max(1, round(min(flags.shape) * share))
    levels = np.where(flags, np.uint8(255), np.uint8(0))
    return grown(shrunk(levels, radius), radius) > 0


def _runs(allowed: Flags) -> NDArray[np.int32]:
    """For each pixel of ``allowed``, the number of its horizontal run, from 1; 0 elsewhere."""
    begins = allowed.copy()
    begins[:, 1:] &= ~allowed[:, :-1]
    return np.where(allowed, np.cumsum(begins.ravel(), dtype=np.int32).reshape(allowed.shape), np.int32(0))


def _whole_runs(reached: Flags, runs: NDArray[np.int32]) -> Flags:
    """All runs of which ``reached`` has a pixel."""
    touched = np.zeros(int(runs.max(initial=0)) + 1, bool)
    touched[runs[reached]] = True
    touched[0] = False
    return touched[runs]
