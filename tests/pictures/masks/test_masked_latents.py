"""Mask files go with their images through every crop, scale and flip, and through the cache."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from PIL import Image

from lib_lora_train.batches.fresh_latents import FreshLatents
from lib_lora_train.batches.latents import Wanted, cache_folder_of, encode_all
from lib_lora_train.errors import DatasetError
from lib_lora_train.pictures.faces import Face, FaceDetector
from lib_lora_train.pictures.scan import scan_dataset

from ..making import noise, save, settings, truncate
from ..test_augment import SIZE, encoder, planned

WAYS = {"as it is": {}, "flipped": {"flip_aug": True}, "recoloured": {"color_aug": True, "flip_aug": True},
        "cropped": {"random_crop": True, "flip_aug": True, "enable_bucket": False},
        "cropped to buckets": {"random_crop": True, "bucket_reso_steps": 64},
        "around a face": {"face_crop_aug_range": "1.5,3.0", "flip_aug": True}}


def black_outside(path, width=300, height=128, share=2):
    """A grey image that is black where its mask is, and the mask at 1/``share`` of its size."""
    mask = Image.new("L", (width // share, height // share), 0)
    mask.paste(255, (0, 0, width // share * 2 // 5, height // share))
    inside = np.asarray(mask.resize((width, height), Image.Resampling.NEAREST))
    save(path, Image.fromarray(np.repeat(inside[..., None], 3, axis=2)), caption="penny")
    return save(path.with_name(f"{path.stem}-mask.png"), mask)


@pytest.mark.parametrize("way", WAYS)
def test_a_mask_file_stays_where_it_was_on_the_image_in_every_look(tmp_path, way, monkeypatch):
    monkeypatch.setattr(FaceDetector, "__init__", lambda self: None)
    monkeypatch.setattr(FaceDetector, "find", lambda self, path, image: (Face(120, 64, 40),))
    black_outside(tmp_path / "a.png")
    plan, values = planned(tmp_path, masked_loss=True, **WAYS[way])
    if way in ("as it is", "flipped"):
        source = encode_all(plan, encoder(), wanted=Wanted.by(values))
    else:
        source = FreshLatents(plan, encoder(), values)
    seen = set()
    for seed in range(16):
        look = source.latents_of([0], random.Random(seed))
        brightness = (look.latents[0, :3].mean(dim=0) + 1) / 2  # what the VAE's stand-in makes of 8x8 pixels
        assert look.masks.shape == (1, 1, *look.latents.shape[2:])
        assert float((look.masks[0, 0] - brightness).abs().mean()) < 0.02
        seen.add(tuple(look.masks[0, 0].mean(dim=0).round(decimals=1).tolist()))
    assert len(seen) >= (1 if way in ("as it is", "cropped to buckets") else 2)


def test_mask_and_alpha_together_leave_what_both_do(tmp_path):
    image = noise(128, 128).convert("RGBA")
    alpha = Image.new("L", (128, 128), 255)
    alpha.paste(0, (0, 0, 128, 64))
    image.putalpha(alpha)
    save(tmp_path / "a.png", image, caption="penny")
    mask = Image.new("L", (128, 128), 0)
    mask.paste(255, (0, 0, 64, 128))
    save(tmp_path / "a.mask.png", mask)
    plan, values = planned(tmp_path, masked_loss=True, alpha_mask=True)
    for source in (encode_all(plan, encoder(), wanted=Wanted.by(values)), FreshLatents(plan, encoder(), values)):
        found = source.latents_of([0], None).masks[0, 0]
        wanted = torch.zeros(16, 16)
        wanted[8:, :8] = 1
        assert torch.equal(found, wanted)


def test_a_changed_mask_is_encoded_again_and_an_unchanged_one_is_not(tmp_path):
    file = black_outside(tmp_path / "a.png")
    cache, counts = cache_folder_of(tmp_path), []

    def encoded(**values):
        plan, chosen = planned(tmp_path, **values)
        store = encode_all(plan, encoder(), wanted=Wanted.by(chosen), cache_folder=cache)
        counts.append(store.encoded)
        return store.latents_of([0], None).masks

    first = encoded(masked_loss=True)
    assert torch.equal(encoded(masked_loss=True), first)
    save(file, noise(150, 64, "L"))
    assert not torch.equal(encoded(masked_loss=True), first)
    assert encoded() is None and encoded(alpha_mask=True, masked_loss=True) is not None
    assert counts == [1, 0, 1, 1, 1]


@pytest.mark.parametrize("fresh", [False, True])
def test_damaged_and_black_masks_are_named_before_the_first_step(tmp_path, fresh):
    for name in ("a", "b", "c"):
        black_outside(tmp_path / f"{name}.png")
    save(tmp_path / "b-mask.png", Image.new("L", (300, 128)))
    plan, values = planned(tmp_path, masked_loss=True)

    def check():
        if fresh:
            return [path.name for path in FreshLatents(plan, encoder(), values).check(lambda done, total: None)]
        store = encode_all(plan, encoder(), wanted=Wanted.by(values))
        return [plan.pictures[index].path.name for index in store.black_masks()]

    assert check() == ["b.png"]
    truncate(save(tmp_path / "c-mask.png", noise(300, 128, "L")), 0.6)
    with pytest.raises(DatasetError, match=r"1 image cannot be decoded.*\n.*c-mask\.png: it is truncated"):
        check()


def scanned(folder, **values):
    return scan_dataset(settings(folder, **SIZE, **{"masked_loss": True, **values}))


def test_masks_of_another_shape_are_an_error_of_the_scan_that_names_them(tmp_path):
    black_outside(tmp_path / "a.png")
    save(tmp_path / "b.png", noise(64, 64), caption="penny")
    save(tmp_path / "mask" / "b.png", noise(64, 48, "L"))
    (tmp_path / "c-mask.png").write_bytes(b"no image")
    save(tmp_path / "c.png", noise(64, 64), caption="penny")
    with pytest.raises(DatasetError, match=r"2 masks cannot be used:\n.*b\.png: it is a mask of 64x48 pixels, but its "
                                           r"image b\.png has 64x64.*\n.*c-mask\.png: it is not an image"):
        scanned(tmp_path)
    said = scanned(tmp_path, masked_loss=False).problems
    assert [problem.text for problem in said if "mask" in problem.text] == [
        "3 masks found: a-mask.png, b.png, c-mask.png. They are not trained on as images. Switch masked_loss on to use "
        "them as masks."]


def test_how_many_images_have_a_mask_is_said(tmp_path):
    black_outside(tmp_path / "1_penny" / "a.png")
    assert "Each of 1 image has a mask." in [problem.text for problem in scanned(tmp_path).problems]
    save(tmp_path / "1_penny" / "b.png", noise(64, 64), caption="penny")
    assert any(problem.text.startswith("1 of 2 images have a mask. These do not, and are trained whole: b.png")
               for problem in scanned(tmp_path).problems)


@pytest.mark.parametrize("place", ["masks of penny", "1_masks", "sub"])
def test_conditioning_data_dir_is_read_wherever_it_is_and_is_no_folder_of_images(tmp_path, place):
    save(tmp_path / "1_penny" / "a.png", noise(64, 64), caption="penny")
    save(tmp_path / "1_penny" / "b.png", noise(64, 64), caption="penny")
    save(tmp_path / "1_penny" / "b-mask.png", noise(64, 64, "L"))
    conditioning = tmp_path / place / ("1_penny" if place == "sub" else "")
    for name in ("a.webp", "b.png", "of nothing.png"):
        save(conditioning / name, noise(64, 64, "L"))
    given = tmp_path / place
    dataset = scanned(tmp_path, conditioning_data_dir=str(given))
    assert {picture.path.name: picture.mask for picture in dataset.pictures} == {
        "a.png": conditioning / "a.webp", "b.png": tmp_path / "1_penny" / "b-mask.png"}
    assert not dataset.left_out
    with pytest.raises(DatasetError, match="is the image folder itself"):
        scanned(tmp_path, conditioning_data_dir=str(tmp_path))
    with pytest.raises(DatasetError, match=r"nowhere cannot be read"):
        scanned(tmp_path, conditioning_data_dir=str(tmp_path / "nowhere"))


def test_masks_of_the_training_images_are_not_taken_for_those_of_regularization_images(tmp_path):
    for folder in ("set", "class"):
        save(tmp_path / folder / "a.png", noise(64, 64), caption="girl")
    save(tmp_path / "masks" / "a.png", noise(64, 64, "L"))
    save(tmp_path / "class" / "b.png", noise(64, 64), caption="girl")
    save(tmp_path / "class" / "b-mask.png", noise(64, 64, "L"))
    dataset = scanned(tmp_path / "set", reg_data_dir=str(tmp_path / "class"),
                      conditioning_data_dir=str(tmp_path / "masks"))
    assert [picture.mask for picture in dataset.pictures] == [tmp_path / "masks" / "a.png"]
    assert [picture.mask for picture in dataset.regularization] == [None, tmp_path / "class" / "b-mask.png"]
