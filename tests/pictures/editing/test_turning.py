"""Turning, straightening and cutting out: against numpy, an independent search, and counted pixels."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_lora_train.errors import DatasetError
from lib_lora_train.pictures.editing.turning import Frame, Turn, cut_out, inner_size


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_quarter_turns_and_mirroring_move_every_pixel_as_numpy_does(quarters: int, mirrored: bool):
    picture, turn = noise(31, 17), Turn(quarters, mirrored)
    expected = np.rot90(np.asarray(picture), -quarters)  # rot90 turns counterclockwise
    expected = expected[:, ::-1] if mirrored else expected
    assert np.array_equal(np.asarray(cut_out(picture, turn, None)), expected)
    assert turn.size_of(31, 17) == expected.shape[1::-1]
    frame = Frame(2, 3, 13, 15)
    assert np.array_equal(np.asarray(cut_out(picture, turn, frame)), expected[3:15, 2:13])


def fits(width: float, height: float, across: float, down: float, degrees: float) -> bool:
    """Whether the corners of an upright rectangle lie in a rotated one, by turning them back."""
    angle = -math.radians(degrees)
    for x, y in ((across / 2, down / 2), (across / 2, -down / 2)):
        back = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
        if abs(back[0]) > width / 2 + 1e-6 or abs(back[1]) > height / 2 + 1e-6:
            return False
    return True


@pytest.mark.parametrize(("width", "height"), [(300, 200), (200, 300), (1000, 90), (64, 64)])
@pytest.mark.parametrize("degrees", [0.5, 7, 30, 45, -12])
def test_the_inner_rectangle_fits_and_none_of_a_search_over_widths_is_larger(width: int, height: int, degrees: float):
    across, down = inner_size(width, height, degrees)
    assert fits(width, height, across, down, degrees)
    best = 0.0
    for wide in np.linspace(1, width + height, 1500):
        low, high = 0.0, float(width + height)
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if fits(width, height, wide, middle, degrees) else (low, middle)
        best = max(best, wide * low)
    assert across * down == pytest.approx(best, rel=0.01) and across * down > best - 1e-3 * best


@pytest.mark.parametrize(("width", "height", "quarters", "degrees", "size"), [
    (1000, 600, 0, 5, (958, 518)), (1000, 600, 1, 5, (518, 958)), (64, 64, 0, 45, (45, 45)),
    (1000, 90, 0, 30, (90, 51)), (832, 1216, 3, -12.3, (1111, 609)), (300, 200, 2, 0.1, (299, 199))])
def test_the_page_and_the_server_agree_on_the_size(width: int, height: int, quarters: int, degrees: float,
                                                   size: tuple[int, int]):
    """The same table is in tests/javascript/crop_frame.test.js."""
    assert Turn(quarters, False, degrees).size_of(width, height) == size


@pytest.mark.parametrize(("width", "height"), [(160, 90), (90, 160), (101, 101)])
@pytest.mark.parametrize("degrees", [0.3, 3.7, 15, -45])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_straightened_image_has_no_empty_corner(width: int, height: int, degrees: float, mode: str):
    picture = Image.new("RGB", (width, height), (200, 200, 200)).convert(mode)
    straight = cut_out(picture, Turn(degrees=degrees), None)
    assert straight.size == Turn(degrees=degrees).size_of(width, height)
    assert int(np.asarray(straight).min()) == 200


def test_straightening_turns_clockwise_and_a_frame_is_cut_from_the_result():
    picture = Image.new("L", (200, 200), 0)
    picture.paste(255, (150, 95, 170, 105))  # right of the centre, which a clockwise turn moves down
    straight = cut_out(picture, Turn(degrees=30), None)
    rows, columns = np.nonzero(np.asarray(straight) > 128)
    side = straight.width
    assert side == int(200 / (math.cos(math.radians(30)) + math.sin(math.radians(30))))
    assert columns.mean() == pytest.approx(side / 2 - 0.5 + 60 * math.cos(math.radians(30)), abs=0.6)
    assert rows.mean() == pytest.approx(side / 2 - 0.5 + 60 * math.sin(math.radians(30)), abs=0.6)
    part = cut_out(picture, Turn(degrees=30), Frame(40, 50, 140, 120))
    assert np.array_equal(np.asarray(part), np.asarray(straight)[50:120, 40:140])


def test_sixteen_bits_and_palettes_stay_what_they_are_without_interpolation():
    deep = Image.fromarray((np.arange(400, dtype=np.int32) * 160).reshape(20, 20))
    cut = cut_out(deep, Turn(1), Frame(0, 0, 20, 10))
    assert np.array_equal(np.asarray(cut), np.rot90(np.asarray(deep), -1)[:10])
    straight = np.asarray(cut_out(deep, Turn(degrees=10), None))
    assert straight.min() >= 0 and straight.max() <= 65535 and straight.max() > 40000
    palette = noise(20, 20).quantize(16)
    assert cut_out(palette, Turn(2), Frame(0, 0, 8, 8)).mode == "P"
    assert cut_out(palette, Turn(degrees=5), None).mode == "RGB"


@pytest.mark.parametrize(("frame", "words"), [
    (Frame(0, 0, 0, 50), "has 0x50 pixels"), (Frame(40, 10, 20, 60), "has 0x50 pixels"),
    (Frame(0, 0, 7, 7), "at least 8x8"), (Frame(-1, 0, 50, 50), "inside the image"),
    (Frame(0, 0, 101, 50), "has only 100x80"), (Frame(90, 70, 1 << 40, 1 << 40), "inside the image")])
def test_a_frame_that_is_empty_or_outside_is_refused_in_words(frame: Frame, words: str):
    with pytest.raises(DatasetError, match=words):
        cut_out(noise(100, 80), Turn(), frame)


@pytest.mark.parametrize("turn", [{"quarters": 4}, {"quarters": -1}, {"degrees": 45.1}, {"degrees": math.nan},
                                  {"degrees": -math.inf}])
def test_no_other_turns_exist(turn: dict[str, float], tmp_path: Path):
    with pytest.raises(DatasetError, match="cannot be rotated|straightened by 45"):
        Turn(**turn)
