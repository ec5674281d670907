"""Every type of network, on every part it has, and every optimizer lowers the loss of the mini checkpoint."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from lib_lora_train.batches.batches import Batch
from lib_lora_train.config.groups.loss import LossSettings
from lib_lora_train.config.groups.network import (
    C3LIER,
    DYLORA,
    IA3,
    LIERLA,
    LOCON,
    LOHA,
    LOKR,
    NETWORK_TYPES,
    NetworkSettings,
)
from lib_lora_train.config.groups.optimizer import OptimizerSettings
from lib_lora_train.config.job import Job
from lib_lora_train.config.optimizer_facts import OPTIMIZERS
from lib_lora_train.models.load import BaseModel, load_base
from lib_lora_train.models.noise import noise_schedule
from lib_lora_train.models.tokenizer import Tokenizer, find_vocabulary
from lib_lora_train.networks.create import create_network
from lib_lora_train.networks.network import Network
from lib_lora_train.pictures.images import open_picture
from lib_lora_train.training.model import TrainedModel
from lib_lora_train.training.optimizers.create import averaged_weights
from lib_lora_train.training.setup import make_learner
from lib_lora_train.training.step import train_step
from lib_lora_train.training.validation import validation_loss
from tests.figures import share

DEMO = Path(__file__).resolve().parents[3] / "demo"
PICTURES = ("red_heart",)
STEPS = 3
UNET, TEXT, BOTH = "UNet", "text encoder", "both"
ONLY = {UNET: {"network_train_unet_only": True}, TEXT: {"network_train_text_encoder_only": True}, BOTH: {}}

TYPES = {
    "LierLa": (NetworkSettings(LIERLA, 8, 8.0), 1e-2),
    "C3Lier": (NetworkSettings(C3LIER, 8, 8.0, conv_dim=4), 1e-2),
    "LoCon": (NetworkSettings(LOCON, 8, 8.0, conv_dim=4), 1e-2),
    "LoHa": (NetworkSettings(LOHA, 8, 8.0), 1e-2),
    "LoKR": (NetworkSettings(LOKR, 4, 4.0), 2e-2),
    "(IA)^3": (NetworkSettings(IA3), 1e-1),
    "DyLoRA": (NetworkSettings(DYLORA, 8, 8.0), 2e-2),
}
VARIANTS = {
    "LierLa with DoRA": (NetworkSettings(LIERLA, 8, 8.0, dora_wd=True), 1e-2),
    "LierLa with rs-LoRA": (NetworkSettings(LIERLA, 8, 4.0, rs_lora=True), 1e-2),
    "LoKR decomposed": (NetworkSettings(LOKR, 2, 2.0, decompose_both=True), 3e-2),
}
RATES = {"Lion": 2e-3, "Lion8bit": 2e-3, "SGDNesterov": 0.5, "SGDNesterov8bit": 0.5, "AdaFactor": 1e-2}
"""Rates for a few steps on one batch; others have 0.01, the adaptive ones 1."""
ARGUMENTS = {"AdaFactor": ["relative_step=False", "scale_parameter=False", "warmup_init=False"],
             "Prodigy": ["d0=3e-3"], "ProdigyPlusScheduleFree": ["d0=1e-2"],
             "DAdaptAdam": ["d0=5e-3", "growth_rate=1.2"], "DAdaptLion": ["d0=1e-3"]}
"""So that they are there within a few steps: by themselves they creep up to their rate over hundreds."""


@pytest.fixture(scope="module")
def base() -> BaseModel:
    return load_base(DEMO / "mini_sd15.safetensors", None, dtype=torch.float32, device="cpu")


@pytest.fixture(scope="module")
@torch.no_grad()
def batch(base: BaseModel) -> Batch:
    """A heart, which the mini checkpoint has never seen, at 64 pixels."""
    pictures = [open_picture(DEMO / "pictures" / f"{name}.webp").resize((64, 64)) for name in PICTURES]
    pixels = torch.stack([torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(64, 64, 3)
                          for picture in pictures]).permute(0, 3, 1, 2) / 127.5 - 1
    captions = [(DEMO / "pictures" / f"{name}.txt").read_text(encoding="utf-8").strip() for name in PICTURES]
    return Batch(base.vae.encode(pixels).latent_dist.mean * base.family.latent_scale, captions, ())


@pytest.fixture(scope="module")
def before(base: BaseModel, batch: Batch) -> float:
    """The loss with fixed noise of the checkpoint alone, which is that of every network at first."""
    network = create_network(NetworkSettings(network_dim=1), base.unet, base.text_encoder, seed=1)
    loss = validation_loss(model_of(base, network), [batch], 0)
    network.detach()
    return loss


def model_of(base: BaseModel, network: Network) -> TrainedModel:
    return TrainedModel(base, network, Tokenizer(find_vocabulary()), Accelerator(cpu=True), noise_schedule("epsilon"),
                        clip_skip=1, max_token_length=75, trains_text_encoder=network.trains_text_encoder)


def loss_after(base: BaseModel, batch: Batch, settings: NetworkSettings, optimizer: OptimizerSettings,
               steps: int = STEPS) -> float:
    """The loss with fixed noise after ``steps`` on one batch."""
    job = Job(network=settings, optimizer=optimizer, loss=LossSettings(min_snr_gamma=None))
    network = create_network(settings, base.unet, base.text_encoder, seed=1)
    try:
        learner = make_learner(model_of(base, network), job, steps, pytest.fail)
        for step in range(steps):
            train_step(learner, [batch], job, step + 1)
        with averaged_weights(learner.optimizer):
            return validation_loss(learner.model, [batch], 0)
    finally:
        network.detach()


PARTS_IN_TURN = [(name, part) for number, name in enumerate(TYPES) for part in share(list(ONLY), number + 1, len(ONLY))]
"""So that the types with convolutions, C3Lier and LoCon, have the UNet in any case."""


@pytest.mark.parametrize(("name", "part"), [*PARTS_IN_TURN, *((name, BOTH) for name in VARIANTS)])
def test_every_type_of_network_learns_with_every_part(name, part, base, batch, before):
    settings, rate = {**TYPES, **VARIANTS}[name]
    adamw = OptimizerSettings(optimizer_type="AdamW", learning_rate=rate)
    after = loss_after(base, batch, dataclasses.replace(settings, **ONLY[part]), adamw)
    assert after < 0.95 * before


def test_every_type_is_there():
    assert {settings.network_type for settings, _ in TYPES.values()} == set(NETWORK_TYPES)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_learns(name, base, batch, before):
    rate = RATES.get(name, 1.0 if OPTIMIZERS[name].adaptive else 1e-2)
    settings = OptimizerSettings(optimizer_type=name, learning_rate=rate, optimizer_args=ARGUMENTS.get(name, []))
    after = loss_after(base, batch, NetworkSettings(LIERLA, 8, 8.0, network_train_unet_only=True), settings, 5)
    assert after < 0.95 * before
