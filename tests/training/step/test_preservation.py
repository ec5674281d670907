"""Masks and preservation in a training step, for every family: gradients equal the formulas written out here.

The base model's predictions come from a second copy of the checkpoint that never had a network on it.
"""

from __future__ import annotations

import dataclasses

import pytest
import torch
from accelerate import Accelerator

from lib_lora_train.batches.batches import Batch
from lib_lora_train.config.change import changed
from lib_lora_train.config.check import problems_of
from lib_lora_train.config.groups.dataset import DatasetSettings
from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.config.groups.trigger_word import without_trigger
from lib_lora_train.config.job import Job
from lib_lora_train.models.load import load_base
from lib_lora_train.models.noise import noise_schedule
from lib_lora_train.models.prediction import VELOCITY, Prediction
from lib_lora_train.models.tokenizer import Tokenizer, find_vocabulary
from lib_lora_train.networks.create import create_network
from lib_lora_train.pictures.buckets import Frame
from lib_lora_train.training.model import TrainedModel
from lib_lora_train.training.noise import add_noise
from lib_lora_train.training.optimizers.plain import PlainSteps
from lib_lora_train.training.preservation import preserves
from lib_lora_train.training.randomness import generator_for
from lib_lora_train.training.step import Learner, train_step
from tests.figures import FULL
from tests.models.tiny_checkpoint import make_micro, make_tiny
from tests.models.tiny_families import SSD_SHAPE, save_state, sd2_state, sdxl_state

FAMILIES = {"sd1": ("sd1", "epsilon"), "sd2": ("sd2", "epsilon"), "sd2-v": ("sd2", VELOCITY),
            "sdxl": ("sdxl", "epsilon"), "sdxl-v": ("sdxl", VELOCITY), "ssd": ("ssd", "epsilon")}
"""Pony, Illustrious and NoobAI are SDXL with other weights, and NoobAI v-pred is sdxl-v."""
USUAL = [family for family in FAMILIES if FULL or family in ("sd1", "sd2-v", "sdxl")]
"""Each text encoder and each kind of prediction."""
CAPTIONS = ["pennyfox, red ball", "a red ball in the sun"]
BARE = ["1girl, red ball"]
FRAMES = (Frame(600, 900, 0, 36, 512, 640), Frame(1024, 1024, 8, 0, 1024, 1024))
JOB = changed(Job(), {
    "dataset.activation_tag": "PennyFox", "loss.min_snr_gamma": 5.0, "loss.unmasked_weight": 0.2,
    "loss.masked_prior_preservation_weight": 0.7, "loss.preservation_weight": 0.4, "loss.preservation_class": "1girl",
    "loss.loss_type": "smooth_l1", "loss.huber_schedule": "constant", "loss.huber_c": 0.3})


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("families")
    states = {"sd1": lambda: make_tiny().state, "sd2": sd2_state, "sdxl": sdxl_state,
              "ssd": lambda: sdxl_state(shape=SSD_SHAPE), "small": lambda: make_micro().state}
    used = {"small", *(FAMILIES[family][0] for family in USUAL)}
    return {name: save_state(states[name](), folder / f"{name}.safetensors") for name in used}


def base_of(path, kind):
    return load_base(path, None, dtype=torch.float32, device="cpu").predicting(Prediction(kind, "a test"))


def model_of(base, kind, **settings):
    network = create_network(NetworkSettings(network_dim=2, network_alpha=2.0, **settings), base.unet,
                             base.text_encoders, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return TrainedModel(base, network, Tokenizer(find_vocabulary()), Accelerator(cpu=True), noise_schedule(kind), 1, 75,
                        network.trains_text_encoder)


class Kept(PlainSteps):
    """Keeps the gradients instead of taking a step."""

    def step(self):
        self.gradients = [parameter.grad for parameter in self._parameters]
        self._optimizer.zero_grad(set_to_none=True)


def gradients_of(model, batches, job, step=1):
    parameters = list(model.network.parameters())
    optimizer = torch.optim.SGD(parameters, lr=0.0)
    descent = Kept(model.accelerator, optimizer, parameters, 0)
    result = train_step(Learner(model, optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer), descent), batches,
                        job, step)
    return result, descent.gradients


def batches_of():
    """One batch with a masked and an unmasked image, and one without masks and without the trigger word."""
    generator = torch.Generator().manual_seed(3)
    mask = torch.ones(2, 1, 8, 16)
    mask[0, :, :, :5], mask[0, :, :, 5] = 0.0, 0.4
    images = tuple(dataclasses.make_dataclass("Image", ["regularization", "weight"])(False, 1.0) for _ in range(2))
    return [Batch(torch.randn(2, 4, 8, 16, generator=generator), CAPTIONS, images, mask, FRAMES),
            Batch(torch.randn(1, 4, 8, 16, generator=generator), CAPTIONS[1:], images[1:], None, FRAMES[1:])]


def error(prediction, target):
    """Pseudo-Huber with c = 0.3, averaged over channels: (B, h, w)."""
    return (2 * (((prediction - target) ** 2 + 0.09).sqrt() - 0.3)).mean(dim=1)


def snr_weight(timesteps, kind):
    betas = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000, dtype=torch.float64) ** 2
    alpha = torch.cumprod(1 - betas, 0)[timesteps]
    snr = alpha / (1 - alpha)
    return (snr.clamp(max=5) / (snr + (kind == VELOCITY))).float()


@pytest.mark.parametrize("family", USUAL)
def test_every_gradient_of_the_masked_and_preserved_loss_equals_the_formula(checkpoints, family):
    name, kind = FAMILIES[family]
    model, base = model_of(base_of(checkpoints[name], kind), kind), base_of(checkpoints[name], kind)
    alone = dataclasses.replace(model, base=base)  # the network is on the other copy
    with torch.no_grad():
        at = torch.tensor([500, 20])
        latents = batches_of()[0].latents
        assert not torch.allclose(model.predict(latents, at, CAPTIONS, FRAMES),
                                  alone.predict(latents, at, CAPTIONS, FRAMES), atol=1e-3)
    result, found = gradients_of(model, batches_of(), JOB)

    total, reported = 0.0, 0.0
    for number, batch in enumerate(batches_of()):
        noisy = add_noise(batch.latents, model.noise_schedule, JOB.loss, generator_for(JOB.training.seed, "noise", 1,
                                                                                number))
        weight = snr_weight(noisy.timesteps, kind)
        prediction = model.predict(noisy.noisy_latents, noisy.timesteps, batch.captions, batch.frames)
        errors = error(prediction, noisy.target)
        if batch.masks is None:
            loss = (errors.mean(dim=(1, 2)) * weight).mean()
        else:
            with torch.no_grad():
                of_base = alone.predict(noisy.noisy_latents, noisy.timesteps, batch.captions, batch.frames)
            m, outside = batch.masks[0, 0], error(prediction, of_base)[0]
            w = torch.maximum(m, torch.tensor(0.2))
            first = (w * errors[0]).sum() / w.sum() + 0.7 * ((1 - m) * outside).sum() / (1 - m).sum()
            loss = (first * weight[0] + errors[1].mean() * weight[1]) / 2
            with torch.no_grad():  # only the first image has the trigger word
                goal = alone.predict(noisy.noisy_latents[:1], noisy.timesteps[:1], BARE, batch.frames[:1])
            bare = model.predict(noisy.noisy_latents[:1], noisy.timesteps[:1], BARE, batch.frames[:1])
            total = total + 0.4 * (error(bare, goal).mean() * weight[0]) / 2 / 2
        total, reported = total + loss / 2, reported + float(loss.detach()) / 2
    total.backward()
    assert result.loss == pytest.approx(reported, rel=1e-4)
    assert max(float(gradient.abs().max()) for gradient in found if gradient is not None) > 1e-5
    for gradient, (key, parameter) in zip(found, model.network.named_parameters(), strict=True):
        assert (gradient is None) == (parameter.grad is None), key
        if gradient is not None:
            torch.testing.assert_close(gradient, parameter.grad, atol=1e-6, rtol=2e-3, msg=key)


def without(job, *names):
    return changed(job, {f"loss.{name}": 0.0 for name in names})


@pytest.mark.parametrize("kind", [{"network_type": "LyCORIS-LoKR"}, {"dora_wd": True}, {"module_dropout": 0.5},
                                  {"network_train_unet_only": True}, {"network_train_text_encoder_only": True}])
def test_nothing_pulls_on_a_network_that_changes_nothing_and_something_on_one_that_does(checkpoints, kind):
    """At the base's own prediction the preserved part has no gradient: the network's own part of it is 0 there."""
    base = base_of(checkpoints["small"], "epsilon")
    network = create_network(NetworkSettings(network_dim=2, **kind), base.unet, base.text_encoders, seed=1)
    model = TrainedModel(base, network, Tokenizer(find_vocabulary()), Accelerator(cpu=True), noise_schedule("epsilon"),
                         1, 75, network.trains_text_encoder)
    batch = [dataclasses.replace(batches_of()[0], masks=torch.zeros(2, 1, 8, 16))]  # nothing but the base is a target
    fresh = gradients_of(model, batch, JOB)[1]
    assert max(float(gradient.abs().max()) for gradient in fresh if gradient is not None) < 1e-5
    assert network.multiplier == 1.0
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    moved = gradients_of(model, batch, JOB)[1]
    assert max(float(gradient.abs().max()) for gradient in moved if gradient is not None) > 1e-5
    network.detach()


def test_it_is_preserved_every_few_steps_and_only_where_a_caption_has_the_trigger_word(checkpoints, monkeypatch):
    job = changed(JOB, {"loss.preservation_every_n_steps": 3})
    assert [step for step in range(1, 9) if preserves(job, step)] == [1, 4, 7]
    assert not any(preserves(without(job, "preservation_weight"), step) for step in range(1, 9))
    model, asked = model_of(base_of(checkpoints["small"], "epsilon"), "epsilon"), []
    real = TrainedModel.predict
    monkeypatch.setattr(TrainedModel, "predict", lambda self, latents, timesteps, captions, frames=(): asked.append(
        (list(captions), self.network.multiplier)) or real(self, latents, timesteps, captions, frames))
    both, none = batches_of()
    gradients_of(model, [both, none], job)
    assert asked == [(CAPTIONS, 0.0), (CAPTIONS, 1.0), (BARE, 0.0), (BARE, 1.0), (CAPTIONS[1:], 1.0)]
    asked.clear()
    gradients_of(model, [both, none], job, step=2)
    assert asked == [(CAPTIONS, 0.0), (CAPTIONS, 1.0), (CAPTIONS[1:], 1.0)]
    asked.clear()
    gradients_of(model, [dataclasses.replace(both, masks=None), none],
                 without(job, "preservation_weight", "masked_prior_preservation_weight"))
    assert asked == [(CAPTIONS, 1.0), (CAPTIONS[1:], 1.0)], "without these settings nothing is computed twice"


@pytest.mark.parametrize(("trigger", "caption", "instead", "wanted"), [
    ("penny", "penny, hat", "", "hat"), ("Penny", "1girl, PENNY, hat", "", "1girl, hat"),
    ("red_penny", "red penny, hat", "woman", "woman, hat"), ("red penny", "a photo of red_penny, smiling", "a woman",
                                                              "a photo of a woman, smiling"),
    ("penny", "pennyfox, a penny's hat", "", "pennyfox, a 's hat"), ("penny", "pennies, hat", "", "pennies, hat"),
    ("penny, redhat", "penny, redhat, tree", "", "tree"), ("a+b (c)", "a+b (c), hat", "", "hat"),
    ("", "penny, hat", "woman", "penny, hat"), ("penny", "penny", "", ""), ("penny", "", "x", "")])
def test_a_caption_without_its_trigger_word(trigger, caption, instead, wanted):
    assert without_trigger(caption, DatasetSettings(activation_tag=trigger), instead) == wanted


def test_preservation_needs_a_trigger_word_and_all_gradients_at_once():
    needs = [text for text in problems_of(changed(Job(), {"loss.preservation_weight": 1.0})) if "preserv" in text]
    assert len(needs) == 1 and "dataset.activation_tag is empty" in needs[0]
    fused = changed(JOB, {"training.fused_backward_pass": True, "optimizer.max_grad_norm": 0.0})
    assert [text for text in problems_of(fused) if "preservation_weight (0.4)" in text and "Set it to 0" in text]
