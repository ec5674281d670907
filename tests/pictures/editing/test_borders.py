"""Uniform borders: bars are found to the pixel, plain backgrounds and dark images are left alone."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lib_lora_train.pictures.editing.borders import without_borders


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(5).integers(30, 226, (height, width, 3), np.uint8))


def framed(left: int, top: int, right: int, bottom: int, colour: tuple[int, int, int]) -> Image.Image:
    """A 120x80 image with borders of these widths in addition."""
    whole = Image.new("RGB", (120 + left + right, 80 + top + bottom), colour)
    whole.paste(noise(120, 80), (left, top))
    return whole


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (12, 200, 60)])
@pytest.mark.parametrize("widths", [(0, 20, 0, 20), (15, 0, 0, 0), (9, 8, 7, 6), (0, 0, 0, 1)])
def test_borders_of_any_colour_are_found_to_the_pixel(colour: tuple[int, int, int], widths: tuple[int, int, int, int]):
    left, top, _, _ = widths
    assert without_borders(framed(*widths, colour)) == (left, top, left + 120, top + 80)


def test_bars_inside_a_frame_are_found_too():
    whole = Image.new("RGB", (200, 200), (255, 255, 255))
    whole.paste(framed(0, 30, 0, 30, (0, 0, 0)), (40, 30))
    assert without_borders(whole) == (40, 60, 160, 140)


@pytest.mark.parametrize("quality", [60, 90])
def test_bars_of_a_jpeg_are_found_though_they_are_not_quite_even(quality: int):
    saved = BytesIO()
    framed(0, 24, 0, 24, (0, 0, 0)).save(saved, "JPEG", quality=quality)
    left, top, right, bottom = without_borders(Image.open(saved))
    assert (left, right) == (0, 120) and 22 <= top <= 26 and 102 <= bottom <= 106


def on_white() -> Image.Image:
    picture = Image.new("RGB", (200, 300), (255, 255, 255))
    ImageDraw.Draw(picture).ellipse([60, 80, 140, 260], fill=(90, 40, 30))
    return picture


def test_a_plain_background_is_trimmed_only_when_asked_for():
    assert without_borders(on_white()) is None
    assert without_borders(on_white(), plain=True) == (60, 80, 141, 261)


@pytest.mark.parametrize("picture", [noise(90, 70), Image.new("RGB", (90, 70), (0, 0, 0)),
                                     framed(600, 400, 600, 400, (0, 0, 0))],
                         ids=["no border", "all black", "a spot in the dark"])
def test_without_a_border_or_with_nothing_left_all_is_kept(picture: Image.Image):
    assert without_borders(picture) is None and without_borders(picture, plain=True) is None
