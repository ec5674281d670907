"""Which mask belongs to an image, and which files are masks and therefore no images, in every listing of a folder."""

from __future__ import annotations

import pytest

from lib_lora_train.errors import DatasetError
from lib_lora_train.pictures.browse import count_images, page_of
from lib_lora_train.pictures.folders import count_pictures
from lib_lora_train.pictures.listing import list_folder
from lib_lora_train.pictures.masks.find import find_mask, mask_file_to_write, masks_among
from lib_lora_train.pictures.scan import scan_dataset

from ..making import noise, save, settings

NAMES = [  # image, its mask relative to the image's folder
    ("penny.jpg", "penny-mask.png"), ("penny.png", "penny.mask.png"), ("penny.png", "penny-masklabel.png"),
    ("penny.webp", "mask/penny.png"), ("penny.png", "masks/penny.jpg"), ("Penny.PNG", "penny-MASK.png"),
    ("penny.png", "Mask/penny-mask.png"), ("v1.2.png", "v1.2-mask.png"), ("penny-mask.png", "penny-mask-mask.png")]


@pytest.mark.parametrize(("image", "mask"), NAMES)
def test_each_convention_gives_the_mask_and_no_listing_counts_it_as_an_image(tmp_path, image, mask):
    for name in (image, mask, "other.png"):
        save(tmp_path / "1_penny" / name, noise(64, 64), caption="penny")
    folder = tmp_path / "1_penny"
    assert find_mask(folder / image) == folder / mask
    assert find_mask(folder / mask) is None and find_mask(folder / "other.png") is None
    dataset = scan_dataset(settings(tmp_path))
    assert {picture.path.name: picture.mask for picture in dataset.pictures} == \
        {image: folder / mask, "other.png": None}
    listed = list_folder(tmp_path.resolve(), ".txt")
    assert {picture.path: picture.mask for picture in listed.pictures} == \
        {f"1_penny/{image}": f"1_penny/{mask}", "1_penny/other.png": ""}
    assert count_pictures(folder) == 2
    entries = page_of(tmp_path).entries
    count_images(entries)
    assert entries[0].images == 2 and len(entries[0].thumbnails) == 2
    assert not dataset.left_out and not listed.left_out


def test_a_file_named_like_a_mask_without_its_image_is_an_image(tmp_path):
    for name in ("girl-mask.png", "b.mask.png", "c-masklabel.png", "-mask.png"):
        save(tmp_path / name, noise(64, 64), caption="girl")
    assert masks_among(["girl-mask.png", "girly.png", "mask.png"]) == {}
    assert len(scan_dataset(settings(tmp_path)).pictures) == len(list_folder(tmp_path.resolve(), ".txt").pictures) == 4
    assert find_mask(tmp_path / "girl-mask.png") is None


def test_a_folder_called_mask_holds_masks_only_if_its_files_are_named_like_images_beside_it(tmp_path):
    for name in ("a.png", "b.png", "c.png", "mask/a.png", "mask/b.png", "mask/gone.png",
                 "masks/a.png", "masks/hood.png", "masks/veil.png"):
        save(tmp_path / name, noise(64, 64), caption="girl")
    listed = [picture.path for picture in list_folder(tmp_path.resolve(), ".txt").pictures]
    assert sorted(listed) == ["a.png", "b.png", "c.png", "masks/a.png", "masks/hood.png", "masks/veil.png"]
    dataset = scan_dataset(settings(tmp_path))
    assert [item.path.name for item in dataset.left_out] == ["masks"]
    assert [picture.mask and picture.mask.name for picture in dataset.pictures] == ["a.png", "b.png", None]


def test_the_mask_beside_the_image_comes_first_then_the_folder_then_conditioning_data_dir(tmp_path):
    image = tmp_path / "set" / "1_penny" / "a.png"
    save(image, noise(64, 64), caption="penny")
    conditioning = tmp_path / "conditioning"
    for name in (conditioning / "a.png", conditioning / "1_Penny" / "a.jpg", image.parent / "masks" / "a.png",
                 image.parent / "mask" / "a.png", image.parent / "a-masklabel.png", image.parent / "a.mask.png",
                 image.parent / "a-mask.jpg", image.parent / "a-mask.png"):
        save(name, noise(64, 64))
        assert find_mask(image, str(conditioning)) == name
    assert find_mask(image, str(conditioning)) == mask_file_to_write(image)
    with pytest.raises(DatasetError, match=r"nowhere cannot be read.*Check its path"):
        save(tmp_path / "b.png", noise(64, 64))
        find_mask(tmp_path / "b.png", str(tmp_path / "nowhere"))
