"""One training step, as the papers have it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from ..batches.batches import Batch
from ..config.job import Job
from ..pictures.scan import Picture
from .divergence import StepResult, check_numbers
from .loss import batch_loss
from .model import TrainedModel
from .noise import add_noise
from .optimizers.fused import FusedSteps
from .randomness import generator_for, seed_for


@dataclass(frozen=True)
class Learner:
    """The model and what moves it; with ``fused`` the optimizer steps inside of backward."""

    model: TrainedModel
    optimizer: torch.optim.Optimizer
    schedule: LRScheduler
    fused: FusedSteps | None = None


def prior_weights(pictures: Sequence[Picture], weight: float, device: torch.device) -> Tensor | None:
    """``weight`` for each regularization picture and 1 for the others, (B,); ``None`` if all are 1."""
    if weight == 1 or not any(picture.regularization for picture in pictures):
        return None
    return torch.tensor([weight if picture.regularization else 1.0 for picture in pictures], device=device)


def train_step(learner: Learner, batches: Sequence[Batch], job: Job, step: int) -> StepResult:
    """One optimizer step over ``batches``, whose gradients are averaged.

    ``step`` counts from 1. All randomness follows from the seed and ``step``. Raises ``DivergedError`` before anything
    is changed if the loss or the gradient is not a number.
    """
    model, accelerator = learner.model, learner.model.accelerator
    total, error, power = torch.zeros(3, device=model.device)
    torch.manual_seed(seed_for(job.training.seed, "dropout", step))
    model.network.train()
    for index, batch in enumerate(batches):
        noisy = add_noise(batch.latents.to(model.device), model.noise_schedule, job.loss,
                          generator_for(job.training.seed, "noise", step, index))
        prediction = model.predict(noisy.noisy_latents, noisy.timesteps, batch.captions, batch.frames)
        loss = batch_loss(prediction, noisy.target, noisy.timesteps, model.noise_schedule, job.loss,
                          mask=None if batch.masks is None else batch.masks.to(model.device),
                          picture_weights=prior_weights(batch.pictures, job.loss.prior_loss_weight, model.device))
        if learner.fused is not None:
            check_numbers(step, StepResult(float(loss.detach()), 0.0, 0.0), scaled=False)  # not later
        accelerator.backward(loss / len(batches))
        total = total + loss.detach() / len(batches)
        error = error + (prediction.detach().float() - noisy.target).square().mean()
        power = power + noisy.target.square().mean()
    if learner.fused is not None:
        norm = learner.fused.take_norm()
    else:  # a limit of infinity changes nothing and gives the norm all the same
        norm = accelerator.clip_grad_norm_(model.network.parameters(), job.optimizer.max_grad_norm or math.inf)
    result = StepResult(*torch.stack([total, norm.to(total), error / power]).tolist())
    check_numbers(step, result, scaled=accelerator.scaler is not None)
    if learner.fused is None:
        learner.optimizer.step()
    learner.schedule.step()
    learner.optimizer.zero_grad(set_to_none=True)
    if job.network.scale_weight_norms:
        model.network.apply_max_norm(job.network.scale_weight_norms)
    model.network.eval()
    return result
