"""How far half precision is from float32: the same LoRA, noise and timesteps, one answer and one gradient of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from lib_lora_train.errors import ConfigError
from lib_lora_train.training.loss import batch_loss
from lib_lora_train.training.model import set_training
from lib_lora_train.training.noise import mix_noise
from lib_lora_train.training.randomness import generator_for
from lib_lora_train.training.setup import Prepared
from lib_lora_train.training.validation import TIMESTEPS

from .cases import Bench, Case, batches_of

_LOSS_SCALE = 1024.0
"""As accelerate scales the loss in fp16; small gradients would be zero there."""
WAYS = {"bf16": {"mixed_precision": "bf16"}, "fp16": {"mixed_precision": "fp16"},
        "fp8 weights": {"mixed_precision": "bf16", "base_weights": "fp8"},
        "nf4 weights": {"mixed_precision": "bf16", "base_weights": "nf4"}}


def against_float32(bench: Bench, kind: str, ways: Sequence[str] = tuple(WAYS)) -> dict[str, Any]:
    """For each of ``ways``: the relative errors of prediction and gradient (of vectors), the cosine of the gradients,
    and the relative error of the loss."""
    exact = _answers(bench, kind, {"mixed_precision": "no"})
    found: dict[str, Any] = {}
    for way in ways:
        try:
            answers = _answers(bench, kind, WAYS[way])
        except ConfigError as problem:
            found[way] = {"not_measured": str(problem)}
            continue
        errors = {f"{name}_error": _relative(one, other)
                  for name, one, other in zip(("prediction", "gradient", "loss"), answers, exact, strict=True)}
        found[way] = {**errors, "gradient_cosine": float(cosine_similarity(answers[1], exact[1], dim=0))}
    return found


def _answers(bench: Bench, kind: str, training: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Predictions, gradients and losses at every timestep, as three vectors in float32 on the CPU."""
    with bench.prepared(Case("correctness", kind, 1, {"training": training})) as (prepared, _):
        model, network = prepared.learner.model, prepared.learner.model.network
        _give_values(network)
        set_training(network, on=True)
        batch = next(batches_of(prepared))
        latents = batch.latents.to(model.device)
        predictions, losses = [], []
        for timestep in TIMESTEPS:
            noise = torch.randn(latents.shape, generator=generator_for(1, "correctness", timestep)).to(model.device)
            timesteps = torch.full((len(latents),), timestep, device=model.device)
            noisy = mix_noise(latents, noise, timesteps, model.noise_schedule)
            prediction = model.predict(noisy.noisy_latents, timesteps, batch.captions, batch.frames)
            loss = batch_loss(prediction, noisy.target, timesteps, model.noise_schedule, prepared.job.loss)
            (loss * _LOSS_SCALE).backward()
            predictions.append(prediction.detach().float().flatten().cpu())
            losses.append(loss.detach().float().cpu())
        return torch.cat(predictions), _gradient(prepared), torch.stack(losses)


def _give_values(network: torch.nn.Module) -> None:
    """A new LoRA changes nothing, and half of its gradients are zero: give it values, the same in each run."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)


def _gradient(prepared: Prepared) -> Tensor:
    gradients = [parameter.grad.float().flatten().cpu() / _LOSS_SCALE
                 for parameter in prepared.learner.model.network.parameters() if parameter.grad is not None]
    return torch.cat(gradients)


def _relative(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())
