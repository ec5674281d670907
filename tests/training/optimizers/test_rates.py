"""What the settings say of rates, dropout and norms is what one step of training does, parameter by parameter."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from lib_lora_train.batches.batches import Batch
from lib_lora_train.blocks.names import SHORT_SD1, block_of
from lib_lora_train.config.groups.network import C3LIER, DYLORA, LIERLA, LOCON, LOHA, NetworkSettings
from lib_lora_train.config.groups.optimizer import OptimizerSettings
from lib_lora_train.config.job import Job
from lib_lora_train.models.load import BaseModel, load_base
from lib_lora_train.models.noise import noise_schedule
from lib_lora_train.models.tokenizer import Tokenizer, find_vocabulary
from lib_lora_train.networks.create import create_network
from lib_lora_train.training.model import TrainedModel
from lib_lora_train.training.setup import make_learner
from lib_lora_train.training.step import Learner, train_step

UNET_RATE, TEXT_RATE = 0.25, 0.0625
SGD = OptimizerSettings(optimizer_type="SGDNesterov", optimizer_args=["momentum=0.9"], unet_lr=UNET_RATE,
                        text_encoder_lr=TEXT_RATE, max_grad_norm=0.0)
BLOCK_RATES = {name: (number % 4) / 2 for number, name in enumerate(SHORT_SD1)}
Step = Callable[[NetworkSettings], tuple[Learner, dict[str, torch.Tensor]]]


@pytest.fixture(scope="session")
def checkpoint(whole_checkpoint: Path) -> Path:
    return whole_checkpoint


@pytest.fixture
def base(checkpoint) -> BaseModel:
    return load_base(checkpoint, None, dtype=torch.float32, device="cpu")


@pytest.fixture
def step(base) -> Step:
    """One step of SGD with ``settings``; the network's values before it, moved off zero as in the middle of a run."""
    def taken(settings: NetworkSettings, optimizer: OptimizerSettings = SGD) -> tuple[Learner, dict[str, torch.Tensor]]:
        job = Job(network=settings, optimizer=optimizer)
        network = create_network(settings, base.unet, base.text_encoder, seed=1)
        with torch.no_grad():
            for name, parameter in network.named_parameters():  # each by its name: some networks lack some blocks
                generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
        model = TrainedModel(base, network, Tokenizer(find_vocabulary()), Accelerator(cpu=True),
                             noise_schedule("epsilon"), 1, 75, network.trains_text_encoder)
        learner = make_learner(model, job, 1, pytest.fail)
        before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
        latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
        train_step(learner, [Batch(latents, ["penny"], ())], job, 1)
        network.detach()
        return learner, before

    return taken


def moves(learner: Learner, before: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() - before[name] for name, parameter in learner.model.network.named_parameters()}


def assert_moved(moved: torch.Tensor, plain: torch.Tensor, factor: float, name: str) -> None:
    """SGD moves by rate times gradient, and the gradient of the first step is the same at every rate."""
    torch.testing.assert_close(moved, plain * factor, atol=1e-6, rtol=1e-4, msg=name)


def test_unet_and_text_encoder_move_at_their_own_rates(step):
    one = dataclasses.replace(SGD, unet_lr=1.0, text_encoder_lr=1.0)
    plain, moved = moves(*step(NetworkSettings(network_dim=2), one)), moves(*step(NetworkSettings(network_dim=2)))
    for name, move in moved.items():
        assert_moved(move, plain[name], TEXT_RATE if name.startswith("lora_te") else UNET_RATE, name)
    assert any(move.abs().max() > 0 for name, move in moved.items() if name.startswith("lora_te"))


@pytest.mark.parametrize("kind", [LIERLA, LOCON])
def test_lora_plus_moves_up_faster_by_its_ratio(kind, step):
    plain = moves(*step(NetworkSettings(kind, 2)))
    for name, move in moves(*step(NetworkSettings(kind, 2, loraplus_lr_ratio=8.0))).items():
        assert_moved(move, plain[name], 8.0 if "lora_up" in name else 1.0, name)


@pytest.mark.parametrize("kind", [LIERLA, LOHA])
def test_blocks_move_at_their_factor_and_those_at_zero_are_not_there(kind, step):
    plain = moves(*step(NetworkSettings(kind, 2)))
    text = ",".join(str(rate) for rate in BLOCK_RATES.values())
    # without the blocks at 0 the rest has another gradient, so they are taken out by another way too
    kept = ",".join(str(2 if rate else 0) for rate in BLOCK_RATES.values())
    same_blocks = moves(*step(NetworkSettings(kind, 2, block_dims=kept)))
    moved = moves(*step(NetworkSettings(kind, 2, block_lr_weight=text)))
    assert set(moved) == set(same_blocks) == {name for name in plain if BLOCK_RATES.get(block_of(name) or "", 0)}
    for name, move in moved.items():
        assert_moved(move, same_blocks[name], BLOCK_RATES[block_of(name) or ""], name)


def test_after_a_step_no_layer_is_above_the_norm_limit_and_those_below_are_as_without(step):
    settings = NetworkSettings(C3LIER, 2)
    free = step(settings)[0].model.network
    norms = {key: float(free.lora(key).weight_change().norm()) for key in free.unet_keys}
    limit = sorted(norms.values())[len(norms) // 2]
    held = step(dataclasses.replace(settings, scale_weight_norms=limit))[0].model.network
    for key, norm in norms.items():
        wanted = free.lora(key).weight_change() * min(1.0, limit / norm)
        torch.testing.assert_close(held.lora(key).weight_change(), wanted, atol=1e-6, rtol=1e-4)


def share_of_still_ranks(step, settings: NetworkSettings) -> float:
    still = [(move == 0).all(0).flatten() for name, move in moves(*step(settings)).items()
             if "unet" in name and "lora_up" in name]
    return float(torch.cat(still).float().mean())


def test_rank_dropout_leaves_whole_ranks_out_of_a_step(step):
    assert share_of_still_ranks(step, NetworkSettings(network_dim=8)) < 0.05  # a single place has nothing to attend to
    assert 0.4 < share_of_still_ranks(step, NetworkSettings(network_dim=8, rank_dropout=0.5)) < 0.6


@pytest.mark.parametrize("settings", [NetworkSettings(LIERLA, 2, module_dropout=0.5),
                                      NetworkSettings(LOHA, 2, module_dropout=0.5),
                                      NetworkSettings(DYLORA, 4, 2.0, dylora_unit=2, module_dropout=0.5)])
def test_module_dropout_leaves_whole_layers_out_of_a_step(settings, step):
    learner, before = step(settings)
    moved: dict[str, bool] = {}
    for name, move in moves(learner, before).items():
        key = name.partition(".")[0]
        moved[key] = moved.get(key, False) or bool((move != 0).any())
    unet = [key for key in moved if "unet" in key]
    assert 0.35 < sum(moved[key] for key in unet) / len(unet) < 0.65


def test_a_limit_on_the_gradient_holds_for_all_together(step):
    plain = moves(*step(NetworkSettings(network_dim=2), dataclasses.replace(SGD, unet_lr=1.0, text_encoder_lr=1.0)))
    whole = torch.cat([move.flatten() for move in plain.values()]).norm()
    limited = moves(*step(NetworkSettings(network_dim=2), dataclasses.replace(
        SGD, unet_lr=1.0, text_encoder_lr=1.0, max_grad_norm=float(whole) / 190)))
    assert float(torch.cat([move.flatten() for move in limited.values()]).norm()) == pytest.approx(
        float(whole) / 100, rel=1e-3)
