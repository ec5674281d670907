"""Reading masks: what counts as white, sizes, and files that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_lora_train.pictures.images import PictureError
from lib_lora_train.pictures.masks.read import open_mask

from ..making import noise, save, truncate

IMAGE = Path("penny.png")
GREY = np.arange(64 * 48, dtype=np.uint32).reshape(48, 64) % 256


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1", "I;16", "RGBA", "LA"])
def test_white_is_trained_on_in_every_mode_and_what_is_transparent_is_not(tmp_path, mode):
    values = GREY if mode not in ("1",) else (GREY > 127) * 255
    grey = Image.fromarray(values.astype(np.uint8))
    if mode == "I;16":
        picture = Image.fromarray((values * 257).astype(np.uint16))
    elif mode in ("RGBA", "LA"):
        picture = Image.merge("LA", (grey, Image.fromarray(np.where(GREY % 2, 255, 0).astype(np.uint8)))).convert(mode)
    else:
        picture = grey.convert(mode)
    found = np.asarray(open_mask(save(tmp_path / "m.png", picture), IMAGE, (64, 48)), dtype=int)
    wanted = np.where(GREY % 2, values, 0) if "A" in mode else values
    assert np.abs(found - wanted.astype(int)).max() <= 1


@pytest.mark.parametrize(("mask", "image"), [((32, 24), (64, 48)), ((128, 96), (64, 48)), ((341, 256), (1023, 767)),
                                             ((33, 50), (66, 101))])
def test_a_mask_of_the_same_shape_is_resized(tmp_path, mask, image):
    picture = Image.new("L", mask, 0)
    picture.paste(255, (0, 0, mask[0] // 2, mask[1]))
    found = np.asarray(open_mask(save(tmp_path / "m.png", picture), IMAGE, image)) / 255
    assert found.shape == (image[1], image[0])
    assert found[:, :image[0] // 2 - 8].min() == 1 and found[:, image[0] // 2 + 8:].max() == 0


@pytest.mark.parametrize(("mask", "image"), [((64, 64), (64, 48)), ((48, 64), (64, 48)), ((512, 512), (512, 520))])
def test_a_mask_of_another_shape_is_refused_naming_both(tmp_path, mask, image):
    with pytest.raises(PictureError, match=rf"m\.png cannot be used: it is a mask of {mask[0]}x{mask[1]} pixels, but "
                                           rf"its image penny\.png has {image[0]}x{image[1]}"):
        open_mask(save(tmp_path / "m.png", noise(*mask, "L")), IMAGE, image)


def test_damaged_masks_and_bombs_are_refused_as_images_are(tmp_path):
    with pytest.raises(PictureError, match=r"m\.png cannot be used: it is truncated or damaged"):
        open_mask(truncate(save(tmp_path / "m.png", noise(64, 48, "L"))), IMAGE, (64, 48))
    Image.new("1", (20_000, 15_000)).save(tmp_path / "bomb.png")
    with pytest.raises(PictureError, match="more pixels than can be opened safely"):
        open_mask(tmp_path / "bomb.png", IMAGE, (64, 48))
