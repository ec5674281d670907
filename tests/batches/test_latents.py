"""Pictures are encoded once, kept, and never served for a picture that has changed."""

from __future__ import annotations

import dataclasses
import random
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import avg_pool2d

from lib_lora_train.batches.batches import load_batch
from lib_lora_train.batches.captions import BatchPosition, caption_rng, train_caption
from lib_lora_train.batches.latents import Encoder, Posterior, Wanted, cache_folder_of, encode_all
from lib_lora_train.batches.plan import plan_of
from lib_lora_train.config.groups.training import TrainingSettings
from lib_lora_train.errors import CheckpointError, DatasetError
from lib_lora_train.pictures.images import fit_to_bucket, open_picture
from lib_lora_train.pictures.scan import scan_dataset

from ..pictures.making import AVIF, noise, save, settings, truncate


class PoolingVae:
    """Stands for a VAE: each latent pixel is the mean of 8x8 pixels, so what was encoded can be read off."""

    def __init__(self, std: float = 0.0) -> None:
        self.std = std
        self.seen: list[torch.Tensor] = []
        self.threads: set[int] = set()

    def __call__(self, pixels: torch.Tensor) -> Posterior:
        self.seen.append(pixels)
        self.threads.add(threading.get_ident())
        mean = avg_pool2d(pixels, 8)[:, [0, 1, 2, 0]]
        return Posterior(mean, torch.full_like(mean, self.std))


def encoder(vae, in_float32=None, identity="vae", scale_factor=1.0):
    return Encoder(vae, in_float32 or vae, identity, scale_factor)


def plan_for(folder, **values):
    values = settings(folder, **{"resolution": "128", "min_bucket_reso": 64, "max_bucket_reso": 256, **values})
    return plan_of(values, scan_dataset(values), TrainingSettings())


def make_set(folder, sizes=((128, 128), (200, 120), (128, 128), (90, 300), (200, 120))):
    for number, size in enumerate(sizes):
        save(folder / f"{number}.png", noise(*size, seed=number), caption=f"penny, tag {number}")
    return folder


def expected_latent(plan, index):
    """By an independent way: open, scale, crop and average with numpy."""
    picture = fit_to_bucket(open_picture(plan.pictures[index].path), plan.fits[index])
    pixels = np.asarray(picture).astype(np.float64) / 255 * 2 - 1
    height, width, _ = pixels.shape
    means = pixels.reshape(height // 8, 8, width // 8, 8, 3).mean(axis=(1, 3))
    return means[:, :, [0, 1, 2, 0]].transpose(2, 0, 1)


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("vae_batch_size", [1, 3])
def test_each_latent_belongs_to_its_picture_and_is_scaled(tmp_path, on_disk, vae_batch_size):
    plan, vae, seen = plan_for(make_set(tmp_path)), PoolingVae(), []
    store = encode_all(plan, encoder(vae, scale_factor=0.18215), cache_folder=tmp_path / "cache" if on_disk else None,
                       vae_batch_size=vae_batch_size, progress=lambda done, total: seen.append((done, total)))
    assert (len(store), store.encoded, store.from_disk) == (5, 5, 0)
    for index, fit in enumerate(plan.fits):
        assert store[index].shape == (4, fit.bucket.height // 8, fit.bucket.width // 8)
        assert store[index].dtype == torch.float32
        np.testing.assert_allclose(store[index].numpy(), 0.18215 * expected_latent(plan, index), atol=1e-6)
    assert seen == [(done, 5) for done in range(1, 6)]
    assert all(len(pixels) <= vae_batch_size for pixels in vae.seen)
    assert (len(vae.seen) < 5) == (vae_batch_size > 1)
    assert vae.threads == {threading.get_ident()}


def test_pixels_span_minus_one_to_one(tmp_path):
    picture = Image.new("RGB", (128, 128), "black")
    picture.paste((255, 255, 255), (0, 0, 64, 128))
    save(tmp_path / "a.png", picture, caption="penny")
    vae = PoolingVae()
    encode_all(plan_for(tmp_path), encoder(vae))
    assert (float(vae.seen[0].min()), float(vae.seen[0].max())) == (-1.0, 1.0)
    assert vae.seen[0].dtype == torch.float32 and vae.seen[0].shape == (1, 3, 128, 128)


def test_a_second_run_takes_all_from_disk_and_gets_the_same(tmp_path):
    plan = plan_for(make_set(tmp_path))
    cache = cache_folder_of(tmp_path)
    first = encode_all(plan, encoder(PoolingVae(std=0.5)), cache_folder=cache)
    vae = PoolingVae(std=0.5)
    second = encode_all(plan, encoder(vae), cache_folder=cache)
    assert vae.seen == [] and (second.encoded, second.from_disk) == (0, 5)
    assert all(torch.equal(first[index], second[index]) for index in range(5))
    in_memory = encode_all(plan, encoder(PoolingVae(std=0.5)))
    assert all(torch.equal(first[index], in_memory[index]) for index in range(5))


def test_the_cache_is_hidden_and_no_part_of_the_set(tmp_path):
    plan = plan_for(make_set(tmp_path))
    before = {path.name for path in tmp_path.iterdir()}
    encode_all(plan, encoder(PoolingVae()), cache_folder=cache_folder_of(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} - before == {".lora_train_cache"}
    again = scan_dataset(settings(tmp_path))
    assert len(again.pictures) == 5 and again.left_out == ()


def test_a_changed_picture_is_encoded_anew_though_name_size_and_time_are_the_same(tmp_path):
    plan = plan_for(make_set(tmp_path))
    cache = cache_folder_of(tmp_path)
    encode_all(plan, encoder(PoolingVae()), cache_folder=cache)
    path = tmp_path / "2.png"
    before = path.stat()
    save(path, noise(128, 128, seed=99))
    import os
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    vae = PoolingVae()
    plan = plan_for(tmp_path)
    store = encode_all(plan, encoder(vae), cache_folder=cache)
    assert (store.encoded, store.from_disk, len(vae.seen)) == (1, 4, 1)
    np.testing.assert_allclose(store[2].numpy(), expected_latent(plan, 2), atol=1e-6)


def test_pictures_that_trade_names_trade_latents(tmp_path):
    plan = plan_for(make_set(tmp_path))
    cache = cache_folder_of(tmp_path)
    first = encode_all(plan, encoder(PoolingVae()), cache_folder=cache)
    (tmp_path / "0.png").rename(tmp_path / "x.png")
    (tmp_path / "2.png").rename(tmp_path / "0.png")
    (tmp_path / "x.png").rename(tmp_path / "2.png")
    second = encode_all(plan_for(tmp_path), encoder(PoolingVae()), cache_folder=cache)
    assert second.encoded == 0
    assert torch.equal(second[0], first[2]) and torch.equal(second[2], first[0])


@pytest.mark.parametrize("change", [
    {"vae": "another"}, {"resolution": "192"}, {"min_bucket_reso": 128, "max_bucket_reso": 192},
])
def test_another_vae_or_size_is_another_latent(tmp_path, change):
    cache = cache_folder_of(tmp_path)
    encode_all(plan_for(make_set(tmp_path, [(90, 300), (300, 90)])), encoder(PoolingVae()), cache_folder=cache)
    identity = change.pop("vae", "vae")
    plan = plan_for(tmp_path, **change)
    store = encode_all(plan, encoder(PoolingVae(), identity=identity), cache_folder=cache)
    assert (store.encoded, store.from_disk) == (2, 0)
    np.testing.assert_allclose(store[0].numpy(), expected_latent(plan, 0), atol=1e-6)


@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: content[:-8], lambda content: b"x" * 64])
def test_a_damaged_cache_file_is_made_anew(tmp_path, damage):
    plan = plan_for(make_set(tmp_path))
    cache = cache_folder_of(tmp_path)
    encode_all(plan, encoder(PoolingVae()), cache_folder=cache)
    file = sorted(cache.iterdir())[0]
    file.write_bytes(damage(file.read_bytes()))
    store = encode_all(plan, encoder(PoolingVae()), cache_folder=cache)
    assert (store.encoded, store.from_disk) == (1, 4)
    for index in range(5):
        np.testing.assert_allclose(store[index].numpy(), expected_latent(plan, index), atol=1e-6)


def test_the_sample_follows_from_the_picture_alone(tmp_path):
    make_set(tmp_path)
    whole = encode_all(plan_for(tmp_path), encoder(PoolingVae(std=1.0)), vae_batch_size=2)
    last = whole[4]
    for number in range(4):
        (tmp_path / f"{number}.png").unlink()
    plan = plan_for(tmp_path)
    alone = encode_all(plan, encoder(PoolingVae(std=1.0)))
    torch.testing.assert_close(alone[0], last)
    spread = alone[0].numpy() - expected_latent(plan, 0)
    assert abs(spread.std() - 1) < 0.1 and abs(spread.mean()) < 0.1


def test_all_damaged_pictures_are_named_before_anything_is_trained(tmp_path):
    make_set(tmp_path)
    for number in (1, 4):
        truncate(tmp_path / f"{number}.png", 0.7)
    plan = plan_for(tmp_path)
    for cache in (None, cache_folder_of(tmp_path)):
        with pytest.raises(DatasetError) as caught:
            encode_all(plan, encoder(PoolingVae()), cache_folder=cache)
        text = str(caught.value)
        assert "2 images cannot be decoded" in text
        assert str(tmp_path / "1.png") in text and str(tmp_path / "4.png") in text and "0.png" not in text


def test_a_picture_that_went_away_after_the_scan_is_named(tmp_path):
    plan = plan_for(make_set(tmp_path))
    (tmp_path / "3.png").unlink()
    with pytest.raises(DatasetError, match=r"3\.png: it cannot be read: No such file"):
        encode_all(plan, encoder(PoolingVae()))


class Overflowing(PoolingVae):
    """Gives NaN for bright pictures, as some VAEs do in half precision."""

    def __call__(self, pixels):
        posterior = super().__call__(pixels)
        return Posterior(posterior.mean * float("nan"), posterior.std) if pixels.mean() > 0.5 else posterior


def test_nan_is_tried_again_in_float32_and_then_refused_by_name(tmp_path):
    save(tmp_path / "bright.png", Image.new("RGB", (128, 128), "white"), caption="penny")
    save(tmp_path / "dark.png", Image.new("RGB", (128, 128), "black"), caption="penny")
    precise = PoolingVae()
    store = encode_all(plan_for(tmp_path), encoder(Overflowing(), precise))
    assert len(precise.seen) == 1
    assert float(store[0].mean()) == 1.0 and float(store[1].mean()) == -1.0
    with pytest.raises(CheckpointError, match=r"NaN for .*bright\.png.*Choose another VAE"):
        encode_all(plan_for(tmp_path), encoder(Overflowing()))


def test_what_the_progress_callback_raises_ends_the_work(tmp_path):
    plan, vae = plan_for(make_set(tmp_path)), PoolingVae()

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_all(plan, encoder(vae), progress=stop)
    assert len(vae.seen) == 2


def test_a_disk_that_cannot_be_written_is_reported_with_the_way_out(tmp_path):
    plan = plan_for(make_set(tmp_path))
    (tmp_path / ".lora_train_cache").write_text("a file where the folder should be")
    with pytest.raises(DatasetError, match="switch off cache_latents_to_disk"):
        encode_all(plan, encoder(PoolingVae()), cache_folder=cache_folder_of(tmp_path))


def test_avif_is_encoded_too(tmp_path):
    (tmp_path / "a.avif").write_bytes(AVIF)
    (tmp_path / "a.txt").write_text("penny")
    plan = plan_for(tmp_path)
    store = encode_all(plan, encoder(PoolingVae()))
    np.testing.assert_allclose(store[0].numpy(), expected_latent(plan, 0), atol=1e-6)


def test_a_batch_has_its_pictures_latents_and_captions_in_order(tmp_path):
    make_set(tmp_path)
    values = dataclasses.replace(settings(tmp_path, resolution="128", min_bucket_reso=64, max_bucket_reso=256),
                                 train_batch_size=2)
    plan = plan_of(values, scan_dataset(values), TrainingSettings())
    store = encode_all(plan, encoder(PoolingVae()))
    batch = load_batch(plan, [2, 0], store, values, None)
    assert batch.latents.shape == (2, 4, 16, 16)
    assert torch.equal(batch.latents[0], store[2]) and torch.equal(batch.latents[1], store[0])
    assert batch.captions == ["penny, tag 2", "penny, tag 0"]
    assert [picture.path.name for picture in batch.pictures] == ["2.png", "0.png"]


def test_a_batch_at_one_place_of_a_run_is_always_the_same(tmp_path):
    long = "penny, " + ", ".join("abcdefghij")
    save(tmp_path / "a.png", noise(128, 128), caption=long)
    values = settings(tmp_path, resolution="128", min_bucket_reso=64, max_bucket_reso=256)
    plan = plan_of(values, scan_dataset(values), TrainingSettings())
    store = encode_all(plan, encoder(PoolingVae()))

    def captions(*position):
        return load_batch(plan, [0, 0], store, values, BatchPosition(*position)).captions

    assert captions(1, 2, 3) == captions(1, 2, 3)
    position = BatchPosition(1, 2, 3)
    rng = caption_rng(position)
    assert captions(1, 2, 3) == [train_caption(plan.pictures[0], values, rng, position) for _ in range(2)]
    assert captions(1, 2, 3) != captions(1, 2, 4)
    assert captions(1, 2, 3)[0] != captions(1, 2, 3)[1]


@pytest.mark.parametrize("for_all", [False, True])
def test_only_the_folders_that_are_mirrored_have_mirrored_latents(tmp_path, for_all):
    for name in ("1_fox", "1_hat", "1_penny"):
        make_set(tmp_path / name, sizes=((128, 128),))
    plan = plan_for(tmp_path, concept_settings=["1_fox: flip_aug=on", "1_hat: flip_aug=off"])
    store = encode_all(plan, encoder(PoolingVae()), wanted=Wanted(flipped=for_all))
    rng = random.Random(1)
    for index, picture in enumerate(plan.pictures):
        latents = [store.latents_of([index], rng).latents[0] for _ in range(50)]
        mirrored = [latent for latent in latents if not torch.equal(latent, store[index])]
        wanted = {"1_fox": True, "1_hat": False, "1_penny": for_all}[picture.path.parent.name]
        assert bool(mirrored) == wanted
        for latent in mirrored:
            torch.testing.assert_close(latent, store[index].flip(-1))
