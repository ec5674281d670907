"""Augmented images: what is drawn, that it stays what it should be, and that masks go with their images."""

from __future__ import annotations

import colorsys
import random
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image

from lib_lora_train.batches.batches import load_batch
from lib_lora_train.batches.captions import BatchPosition
from lib_lora_train.batches.fresh_latents import FreshLatents
from lib_lora_train.batches.latents import Encoder, Wanted, cache_folder_of, encode_all
from lib_lora_train.batches.plan import plan_of
from lib_lora_train.config.groups.training import TrainingSettings
from lib_lora_train.config.load import read_job
from lib_lora_train.errors import ConfigError, DatasetError
from lib_lora_train.pictures.augment import draw_augmented, draw_colours, draw_cut, preview_augmentation, turned_hue
from lib_lora_train.pictures.buckets import BucketRule
from lib_lora_train.pictures.faces import Face, FaceDetector
from lib_lora_train.pictures.images import fit_to_bucket
from lib_lora_train.pictures.scan import scan_dataset

from ..batches.test_latents import PoolingVae
from .making import noise, save, settings, truncate

SIZE = {"resolution": "128", "min_bucket_reso": 64, "max_bucket_reso": 256}


def encoder(std=0.0):
    vae = PoolingVae(std)
    return Encoder(vae, vae, "vae", 1.0)


def planned(folder, **values):
    chosen = settings(folder, **{**SIZE, **values})
    return plan_of(chosen, scan_dataset(chosen), TrainingSettings()), chosen


def half_clear(width=128, height=128):
    """Opaque on the left, clear on the right, random colours."""
    picture = noise(width, height, seed=3).convert("RGBA")
    alpha = np.zeros((height, width), np.uint8)
    alpha[:, :width // 2] = 255
    picture.putalpha(Image.fromarray(alpha))
    return picture


def fit_of(picture, **values):
    return BucketRule.of(settings("unused", **{**SIZE, **values})).fit(*picture.size)


def test_hues_turn_as_much_as_they_should_and_greys_stay():
    turned = np.asarray(turned_hue(noise(64, 64), 16.0)).reshape(-1, 3) / 255
    before = np.asarray(noise(64, 64)).reshape(-1, 3) / 255
    for old, new in list(zip(before, turned, strict=True))[::97]:
        hue, saturation, value = colorsys.rgb_to_hsv(*old)
        expected = colorsys.hsv_to_rgb((hue + 16 / 360) % 1, saturation, value)
        assert max(abs(new - expected)) < 0.05
    grey = Image.new("RGB", (8, 8), (90, 90, 90))
    assert turned_hue(grey, 16.0).tobytes() == grey.tobytes()


def test_colours_change_in_one_image_of_three_and_only_a_little():
    picture = noise(16, 16)
    versions = [draw_colours(picture, random.Random(seed)) for seed in range(900)]
    changed = [version for version in versions if version.tobytes() != picture.tobytes()]
    assert 240 < len(changed) < 350
    luma = [abs(np.asarray(version.convert("L"), float).mean() - np.asarray(picture.convert("L"), float).mean())
            for version in changed]
    assert max(luma) < 10


def test_a_random_crop_is_a_part_of_the_picture_at_every_place():
    picture = noise(200, 128)
    values = settings("unused", enable_bucket=False, resolution="128", random_crop=True)
    fit = fit_of(picture, enable_bucket=False)
    assert (fit.resized_width, fit.resized_height) == (200, 128)
    lefts = set()
    for seed in range(300):
        part = np.asarray(draw_cut(picture, fit, values, (), random.Random(seed))(picture))
        places = [left for left in range(73) if (part == np.asarray(picture)[:, left:left + 128]).all()]
        assert len(places) == 1
        lefts.add(places[0])
    assert {0, 72} <= lefts and len(lefts) > 60


@pytest.mark.parametrize("face", [Face(150, 60, 40), Face(5, 5, 40), Face(395, 295, 60)])
def test_a_face_crop_holds_the_face_at_the_size_that_was_drawn(face):
    picture = Image.new("RGB", (400, 300), "black")
    picture.paste("white", tuple(round(side) for side in (face.x - 6, face.y - 6, face.x + 6, face.y + 6)))
    values = settings("unused", face_crop_aug_range="2.0,4.0", **SIZE)
    fit = fit_of(picture)
    for seed in range(40):
        version = draw_cut(picture, fit, values, (face,), random.Random(seed))(picture)
        assert version.size == (fit.bucket.width, fit.bucket.height)
        white = np.asarray(version.convert("L")) > 128
        assert white.any()
        if face.x == 150:  # far from the edges: the side of the square tells the scale, and it is in the middle
            shown = min(version.size) / (np.sqrt(white.sum()) / 12 * face.side)
            assert 1.9 < shown < 4.2
            _, columns = np.nonzero(white)
            assert abs(columns.mean() - version.width / 2) < 3


def test_without_a_face_a_picture_is_cut_as_ever():
    picture = noise(300, 200)
    values = settings("unused", face_crop_aug_range="2,4", **SIZE)
    cut = draw_cut(picture, fit_of(picture), values, (), random.Random(1))
    assert cut(picture).tobytes() == fit_to_bucket(picture, fit_of(picture)).tobytes()


def test_opencv_that_is_missing_or_has_no_cascade_is_reported_before_anything_is_done(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ConfigError, match="needs OpenCV to find faces"):
        FaceDetector()
    monkeypatch.setitem(sys.modules, "cv2", types.SimpleNamespace(__version__="5.0"))
    with pytest.raises(ConfigError, match=r"OpenCV 5\.0 here does not bring"):
        FaceDetector()


@pytest.mark.parametrize("text", ["2", "4,2", "a,b", "0.5,2", "2,3,4"])
def test_a_face_range_that_is_none_is_refused(text):
    from lib_lora_train.config.check import problems_of

    job, problems = read_job({"dataset": {"face_crop_aug_range": text}})
    assert problems == []
    assert any("face_crop_aug_range" in problem and repr(text) in problem for problem in problems_of(job))


def test_mirrored_latents_are_kept_and_seen_half_of_the_time(tmp_path):
    save(tmp_path / "a.png", noise(128, 128), caption="penny")
    plan, _ = planned(tmp_path, flip_aug=True)
    store = encode_all(plan, encoder(), wanted=Wanted(flipped=True))
    plain = store[0]
    seen = [store.latents_of([0], random.Random(seed)).latents[0] for seed in range(400)]
    mirrored = sum(torch.allclose(latent, plain.flip(-1), atol=1e-6) for latent in seen)
    assert mirrored + sum(torch.equal(latent, plain) for latent in seen) == 400
    assert 160 < mirrored < 240
    assert torch.equal(store.latents_of([0], None).latents[0], plain)
    without = encode_all(plan, encoder())
    assert all(torch.equal(without.latents_of([0], random.Random(seed)).latents[0], plain) for seed in range(20))


@pytest.mark.parametrize("on_disk", [False, True])
def test_masks_are_the_means_of_the_alpha_channel_and_turn_with_their_picture(tmp_path, on_disk):
    save(tmp_path / "a.png", half_clear(), caption="penny")
    save(tmp_path / "b.png", noise(128, 128), caption="penny")
    plan, _ = planned(tmp_path, alpha_mask=True)
    cache = cache_folder_of(tmp_path) if on_disk else None
    for _ in range(2):  # the second time from disk
        store = encode_all(plan, encoder(), wanted=Wanted(True, True), cache_folder=cache)
        plain = store.latents_of([0, 1], None)
        assert plain.masks.shape == (2, 1, 16, 16)
        assert (plain.masks[0, 0, :, :8] == 1).all() and (plain.masks[0, 0, :, 8:] == 0).all()
        assert (plain.masks[1] == 1).all()
        for seed in range(12):
            version = store.latents_of([0], random.Random(seed))
            is_mirrored = not torch.equal(version.latents[0], plain.latents[0])
            assert bool(version.masks[0, 0, 0, 0] == 0) == is_mirrored
        assert store.latents_of([1], None).masks is None
    assert (store.from_disk == 2) == on_disk


def test_a_mask_in_between_is_a_mean_over_eight_by_eight(tmp_path):
    picture = half_clear()
    alpha = np.asarray(picture.getchannel("A")).copy()
    alpha[:, 64:68] = 255  # half of the ninth column of latent pixels
    picture.putalpha(Image.fromarray(alpha))
    save(tmp_path / "a.png", picture, caption="penny")
    plan, _ = planned(tmp_path)
    store = encode_all(plan, encoder(), wanted=Wanted(alpha=True))
    assert store.latents_of([0], None).masks[0, 0, 3, 7:10].tolist() == [1.0, 0.5, 0.0]


def test_a_latent_without_its_mirror_image_is_not_taken_for_one_with_it(tmp_path):
    save(tmp_path / "a.png", half_clear(), caption="penny")
    plan, _ = planned(tmp_path)
    cache = cache_folder_of(tmp_path)
    counts = []
    both = Wanted(True, True)
    for wanted in (Wanted(), Wanted(flipped=True), Wanted(alpha=True), both, both, Wanted()):
        store = encode_all(plan, encoder(), cache_folder=cache, wanted=wanted)
        counts.append(store.encoded)
    assert counts == [1, 1, 1, 1, 0, 0]


def test_wholly_transparent_pictures_are_found(tmp_path):
    clear = noise(128, 128).convert("RGBA")
    clear.putalpha(0)
    save(tmp_path / "a.png", clear, caption="penny")
    save(tmp_path / "b.png", half_clear(), caption="penny")
    plan, _ = planned(tmp_path)
    assert encode_all(plan, encoder(), wanted=Wanted(alpha=True)).black_masks() == [0]


def test_fresh_latents_without_a_draw_equal_those_that_are_kept(tmp_path):
    save(tmp_path / "a.png", half_clear(200, 120), caption="penny")
    save(tmp_path / "b.png", noise(200, 120), caption="penny")
    plan, values = planned(tmp_path, color_aug=True, alpha_mask=True)
    fresh = FreshLatents(plan, encoder(), values).latents_of([0, 1], None)
    kept = encode_all(plan, encoder(), wanted=Wanted(alpha=True)).latents_of([0, 1], None)
    torch.testing.assert_close(fresh.latents, kept.latents)
    torch.testing.assert_close(fresh.masks, kept.masks)


def test_augmentations_follow_from_their_place_and_masks_are_cut_alike(tmp_path):
    save(tmp_path / "a.png", half_clear(300, 128), caption="penny")
    plan, values = planned(tmp_path, random_crop=True, flip_aug=True, alpha_mask=True, enable_bucket=False)
    fresh = FreshLatents(plan, encoder(std=0.1), values)

    def batch(number):
        return load_batch(plan, [0, 0], fresh, values, BatchPosition(1, 1, number))

    first, again, other = batch(0), batch(0), batch(1)
    assert torch.equal(first.latents, again.latents) and torch.equal(first.masks, again.masks)
    assert not torch.equal(first.latents, other.latents)
    shares = {round(float(batch(number).masks[0].mean()), 3) for number in range(12)}
    assert len(shares) > 4  # the edge between opaque and clear moves with the crop
    white = FreshLatents(plan, encoder(), values)
    for number in range(6):
        version = load_batch(plan, [0], white, values, BatchPosition(1, 1, number))
        clear = version.masks[0, 0] == 0
        assert (version.latents[0, 0][clear] == 1).all()  # what is clear is laid over white: the mask is where it is


def test_damaged_pictures_are_named_before_the_first_batch(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / f"{name}.png", noise(128, 128), caption="penny")
    truncate(tmp_path / "b.png", 0.7)
    plan, values = planned(tmp_path, color_aug=True)
    with pytest.raises(DatasetError, match=r"b\.png"):
        FreshLatents(plan, encoder(), values).check(lambda done, total: None)


def test_a_preview_shows_the_picture_and_then_versions_that_follow_from_the_seed(tmp_path):
    path = save(tmp_path / "a.png", noise(200, 128))
    values = settings(tmp_path, flip_aug=True, color_aug=True, **SIZE)
    versions = preview_augmentation(path, values, 1)
    fit = fit_of(Image.open(path))
    assert len(versions) == 8 and {version.size for version in versions} == {(fit.bucket.width, fit.bucket.height)}
    assert versions[0].tobytes() == fit_to_bucket(Image.open(path), fit).tobytes()
    again, other = preview_augmentation(path, values, 1), preview_augmentation(path, values, 2)
    assert [version.tobytes() for version in versions] == [version.tobytes() for version in again]
    assert [version.tobytes() for version in versions] != [version.tobytes() for version in other]
    nothing = preview_augmentation(path, settings(tmp_path, **SIZE), 1)
    assert len({version.tobytes() for version in nothing}) == 1


def test_an_image_without_any_setting_is_the_picture():
    picture = noise(128, 128)
    version, mirrored = draw_augmented(picture, lambda image: image, settings("unused"), random.Random(1))
    assert version.tobytes() == picture.tobytes() and not mirrored
