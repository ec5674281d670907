"""Masks and preservation in whole runs: what is said, what is refused, and what is learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image

from lib_lora_train.batches.batches import Batch
from lib_lora_train.config.change import changed
from lib_lora_train.config.job import Job
from lib_lora_train.models.load import load_base
from lib_lora_train.models.noise import noise_schedule
from lib_lora_train.models.tokenizer import Tokenizer, find_vocabulary
from lib_lora_train.networks.create import create_network
from lib_lora_train.training.model import TrainedModel
from lib_lora_train.training.noise import mix_noise
from lib_lora_train.training.setup import make_learner
from lib_lora_train.training.step import train_step
from tests.pictures.making import truncate

from ..test_augmented import warnings_of

DEMO = Path(__file__).resolve().parents[3] / "demo"


def with_masks(pictures, value=255, names=None):
    for path in sorted(pictures.glob("*.png")):
        if names is None or path.stem in names:
            Image.new("L", Image.open(path).size, value).save(path.with_name(f"{path.stem}-mask.png"))


def test_a_run_says_which_images_have_masks_and_refuses_what_it_cannot_use(train, pictures):
    none = train(dataset={"masked_loss": True}, training={"max_train_steps": 1})
    assert none.completed and "dataset.masked_loss has no effect: no image has a mask" in warnings_of(none)
    with_masks(pictures, 0, ["00"])
    with_masks(pictures, 255, ["01", "02"])
    used = train(dataset={"masked_loss": True, "cache_latents_to_disk": True}, training={"max_train_steps": 2})
    assert used.completed and "mask is black everywhere, or which are entirely transparent: 00.png" in warnings_of(used)
    assert used.of("started")[0]["pictures"] == 5
    Image.new("L", (64, 65)).save(pictures / "mask.png")
    wrong = pictures / "01-mask.png"
    Image.new("L", (64, 80), 255).save(wrong)
    refused = train(dataset={"masked_loss": True})
    assert not refused.completed and refused.of("step") == []
    assert all(word in refused.events[-1]["text"] for word in ("01-mask.png", "64x80", "01.png", "96x64"))
    truncate(wrong, 0.5)
    assert not train(dataset={"masked_loss": True}).completed


def test_cached_captions_preserve_as_captions_encoded_each_time_do(train, pictures):
    common = {"dataset": {"shuffle_caption": False, "caption_dropout_rate": 0.3, "activation_tag": "pennyfox"},
              "network": {"network_train_unet_only": True},
              "loss": {"preservation_weight": 10.0, "preservation_class": "1girl", "preservation_every_n_steps": 2}}
    losses = [[event["loss"] for event in train(
        **common, training={"max_train_steps": 4, "cache_text_encoder_outputs": cached},
        save={"output_name": f"cached {cached}"}).of("step")] for cached in (False, True)]
    assert len(losses[0]) == 4 and losses[0] == pytest.approx(losses[1], rel=1e-4)
    plain = train(**{**common, "loss": {}}, training={"max_train_steps": 4}).of("step")
    assert plain[0]["loss"] == pytest.approx(losses[0][0]) and plain[-1]["loss"] != losses[0][-1]


@pytest.fixture(scope="module")
def striped():
    """A heart on stripes as a latent of the mini checkpoint, and its mask."""
    base = load_base(DEMO / "mini_sd15.safetensors", None, dtype=torch.float32, device="cpu")
    heart = Image.open(DEMO / "pictures" / "red_heart.webp").convert("RGBA").resize((64, 64))
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, np.arange(64) // 8 % 2 == 0], stripes[:, np.arange(64) // 8 % 2 == 1] = (225, 30, 200), (20, 170, 70)
    ground = Image.fromarray(stripes)
    ground.paste(heart, mask=heart.getchannel("A"))
    pixels = torch.from_numpy(np.asarray(ground, np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        latent = base.vae.encode(pixels, return_dict=False)[0].mean * base.family.latent_scale
    alpha = np.asarray(heart.getchannel("A"), np.float32).reshape(8, 8, 8, 8).mean(axis=(1, 3)) / 255
    return base, latent, torch.from_numpy(alpha)[None, None]


CAPTION, BARE = ["emoheart, red heart"], ["red heart"]
JOB = changed(Job(), {"dataset.activation_tag": "emoheart", "network.network_dim": 8, "network.network_alpha": 8.0,
                      "optimizer.optimizer_type": "AdamW", "optimizer.learning_rate": 1e-2, "loss.min_snr_gamma": None})


@pytest.fixture(scope="module")
def learned(striped):
    """How far each way of training moves predictions: (outside the mask, without the trigger), and what it gains inside
    and outside the mask."""
    base, latent, mask = striped
    image = type("Image", (), {"regularization": False, "weight": 1.0})()
    of_base = []

    @torch.no_grad()
    def measure(model):
        noise = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(9))
        noisy = mix_noise(latent.repeat(4, 1, 1, 1), noise, torch.tensor([200, 400, 600, 800]), model.noise_schedule)
        with model.evaluating():
            now = model.predict(noisy.noisy_latents, noisy.timesteps, CAPTION * 4)
            bare = model.predict(noisy.noisy_latents, noisy.timesteps, BARE * 4)
            if not of_base:
                with model.base_alone():
                    of_base.extend([model.predict(noisy.noisy_latents, noisy.timesteps, captions * 4)
                                    for captions in (CAPTION, BARE)])
        before, bare_before = of_base
        gained = (before - noisy.target).square() - (now - noisy.target).square()
        return {"outside": float(((now - before).square() * (1 - mask)).mean()),
                "bare": float((bare - bare_before).square().mean()),
                "gain inside": float((gained * mask).mean()), "gain outside": float((gained * (1 - mask)).mean())}

    def train_with(masked, **loss):
        network = create_network(JOB.network, base.unet, base.text_encoders, 1)
        model = TrainedModel(base, network, Tokenizer(find_vocabulary()), Accelerator(cpu=True),
                             noise_schedule("epsilon"), 1, 75, network.trains_text_encoder)
        job = changed(JOB, {f"loss.{name}": value for name, value in loss.items()})
        learner = make_learner(model, job, 8)
        batch = Batch(latent.repeat(2, 1, 1, 1), CAPTION * 2, (image, image),
                      mask.repeat(2, 1, 1, 1) if masked else None)
        for step in range(1, 9):
            train_step(learner, [batch], job, step)
        found = measure(model)
        network.detach()
        return found

    return {"whole": train_with(False), "masked": train_with(True),
            "base outside": train_with(True, masked_prior_preservation_weight=1.0),
            "preserved": train_with(True, preservation_weight=1.0)}


def test_masks_learn_the_subject_and_less_of_its_background(learned):
    whole, masked, kept = learned["whole"], learned["masked"], learned["base outside"]
    assert whole["gain inside"] > 0 and masked["gain inside"] > 0.7 * whole["gain inside"]
    assert kept["gain outside"] < masked["gain outside"] < 0.9 * whole["gain outside"]
    assert kept["outside"] < 0.5 * masked["outside"] and kept["gain inside"] > 0.5 * masked["gain inside"], learned


def test_preservation_keeps_prompts_without_the_trigger_word_nearer_to_the_base(learned):
    masked, preserved = learned["masked"], learned["preserved"]
    assert preserved["bare"] < 0.5 * masked["bare"]
    assert preserved["gain inside"] > 0.5 * masked["gain inside"]
