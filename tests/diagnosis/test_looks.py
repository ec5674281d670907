"""What image files look like: colors and edges."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from lib_lora_train.diagnosis.looks import colors_in, edges_in, looks_of


def test_colors_are_the_shares_of_the_area():
    image = np.zeros((64, 64, 3))
    image[:16, :, 0] = 1.0
    found = colors_in(image) ** 2
    assert found.shape == (64,)
    assert np.allclose(found[[0, 3 * 16]], [0.75, 0.25])
    assert np.isclose(found.sum(), 1)


def test_a_color_between_two_levels_counts_for_both():
    found = colors_in(np.full((64, 64, 3), [0.5, 0.0, 0.0])) ** 2
    assert np.allclose(found[[16, 32]], 0.5)


def test_edges_count_in_their_direction_and_place():
    image = np.zeros((64, 64, 3))
    image[:32, 16:] = 1.0
    found = edges_in(image).reshape(8, 2, 2)
    assert found[0, 0, 0] > 0.1
    assert found[4, 0, 1] > 0.1
    assert found[:, 1].sum() < found[:, 0].sum()


def test_a_file_that_cannot_be_read_has_no_look_and_any_size_does(tmp_path):
    wide = Image.new("RGBA", (300, 70), (255, 0, 0, 0))
    ImageDraw.Draw(wide).rectangle([0, 0, 150, 70], fill=(0, 0, 255, 255))
    wide.save(tmp_path / "wide.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    calls: list[int] = []
    found = looks_of([tmp_path / "bad.png", tmp_path / "wide.png", tmp_path / "gone.png"], lambda: calls.append(1))
    assert list(found) == [1]
    assert len(calls) == 3
    assert abs(float((found[1].colors ** 2)[63]) - 0.5) < 0.02
    assert abs(float((found[1].colors ** 2)[3]) - 0.5) < 0.02
