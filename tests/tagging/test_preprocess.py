"""Pictures are given to the tagger exactly as it was trained: compared with formulas of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_lora_train.config.tagger_description import described
from lib_lora_train.pictures.images import open_picture
from lib_lora_train.tagging.preprocess import prepared

from .resampling import cubic, resized

SIDE = 40


def for_wd14(picture: Image.Image, side: int) -> np.ndarray:
    return prepared(picture, side, described()["wd"].image)


def for_deepdanbooru(picture: Image.Image, side: int) -> np.ndarray:
    return prepared(picture, side, described()["deepdanbooru"].image)


def expected_wd14(rgba: np.ndarray, side: int) -> np.ndarray:
    """Over white, onto a white square, bicubic, BGR: from the definition, with numpy alone. ``rgba`` is uint8."""
    opacity = rgba[..., 3:].astype(np.float64) / 255
    rgb = np.round(rgba[..., :3] * opacity + 255 * (1 - opacity))
    height, width = rgb.shape[:2]
    longest = max(height, width)
    square = np.full((longest, longest, 3), 255.0)
    top, left = (longest - height) // 2, (longest - width) // 2
    square[top:top + height, left:left + width] = rgb
    if longest != side:
        square = resized(square, side, side, cubic)
    return square[..., ::-1]


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Smooth random colours with random opacity, uint8 (height, width, 4)."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (max(2, height // 6), max(2, width // 6), 4), dtype=np.uint8)
    return np.asarray(Image.fromarray(small, "RGBA").resize((width, height), Image.Resampling.BILINEAR))


@pytest.mark.parametrize(("width", "height"), [(90, 90), (200, 31), (23, 170), (SIDE, SIDE), (17, 11), (41, 40)])
def test_rgba_pictures_of_every_shape(tmp_path: Path, width: int, height: int):
    rgba = noise(width, height)
    Image.fromarray(rgba, "RGBA").save(tmp_path / "a.png")
    found = for_wd14(open_picture(tmp_path / "a.png"), SIDE)
    assert found.dtype == np.float32
    assert found.shape == (SIDE, SIDE, 3)
    assert np.abs(found - expected_wd14(rgba, SIDE)).max() <= 2  # Pillow rounds its weights and alpha to 8 bits


def test_a_palette_picture_with_a_see_through_colour(tmp_path: Path):
    random = np.random.default_rng(1)
    indices = random.integers(0, 4, (9, 12)).repeat(7, 0).repeat(7, 1).astype(np.uint8)
    palette = [255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9]
    picture = Image.fromarray(indices, "P")
    picture.putpalette(palette)
    picture.save(tmp_path / "p.png", transparency=3)
    rgba = np.concatenate([np.array(palette, np.uint8).reshape(4, 3)[indices],
                           np.where(indices == 3, 0, 255).astype(np.uint8)[..., None]], axis=2)
    found = for_wd14(open_picture(tmp_path / "p.png"), SIDE)
    assert np.abs(found - expected_wd14(rgba, SIDE)).max() <= 2


def test_grey_pictures_and_the_order_of_the_colours(tmp_path: Path):
    Image.new("L", (50, 20), 77).save(tmp_path / "grey.png")
    found = for_wd14(open_picture(tmp_path / "grey.png"), 50)
    assert (found[:15] == 255).all()
    assert (found[15:35] == 77).all()
    Image.new("RGB", (8, 8), (10, 20, 30)).save(tmp_path / "rgb.png")
    assert for_wd14(open_picture(tmp_path / "rgb.png"), 8)[0, 0].tolist() == [30, 20, 10]


@pytest.mark.parametrize(("width", "height"), [(64, 64), (128, 32), (32, 128), (20, 10)])
def test_deepdanbooru_fits_the_picture_and_draws_its_edges_out(width: int, height: int):
    side = 32
    rgb = noise(width, height, 3)[..., :3]
    found = for_deepdanbooru(Image.fromarray(rgb), side)
    assert found.shape == (side, side, 3)
    assert found.dtype == np.float32
    inner_height, inner_width = round(height * side / max(width, height)), round(width * side / max(width, height))
    top, left = (side - inner_height) // 2, (side - inner_width) // 2
    inner = found[top:top + inner_height, left:left + inner_width]
    if width * height > inner.size / 3:  # shrinking: every pixel is the mean of those that it stands for
        step = width // inner_width
        means = rgb.reshape(inner_height, step, inner_width, step, 3).mean((1, 3)) / 255
        assert np.abs(inner - means).max() <= 1.01 / 255  # Pillow rounds after each direction
    assert (found[:top] == inner[0, np.clip(np.arange(side) - left, 0, inner_width - 1)]).all()
    assert (found[:, left + inner_width:] == found[:, left + inner_width - 1:left + inner_width]).all()
    assert 0 <= found.min() <= found.max() <= 1
