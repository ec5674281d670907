"""One training step, following the papers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from ..batches.batches import Batch
from ..config.job import Job
from ..pictures.scan import Picture
from .divergence import StepFigures, StepResult, check_numbers
from .loss import batch_loss
from .model import TrainedModel, set_training
from .noise import add_noise
from .optimizers.plain import Descent
from .preservation import prediction_outside_masks, preservation_loss, preserves
from .randomness import generator_for, seed_for


@dataclass(frozen=True)
class Learner:
    """The model and its optimizer: ``descent`` takes the steps."""

    model: TrainedModel
    optimizer: torch.optim.Optimizer
    schedule: LRScheduler
    descent: Descent


def loss_weights(pictures: Sequence[Picture], prior: float, device: torch.device) -> Tensor | None:
    """The weight of each image, times ``prior`` for regularization images, (B,); ``None`` if all are 1."""
    weights = [picture.weight * (prior if picture.regularization else 1.0) for picture in pictures]
    if all(weight == 1 for weight in weights):
        return None
    return torch.tensor(weights).to(device, non_blocking=True)


def train_step(learner: Learner, batches: Sequence[Batch], job: Job, step: int) -> StepResult:
    """One optimizer step over ``batches``, whose gradients are averaged.

    ``step`` counts from 1. All randomness follows from the seed and ``step``. Raises ``DivergedError`` if the loss or
    the gradient is not a number: before any update, or, with the fused backward pass, with a network that must not be
    saved. The host synchronizes with the device once, to read the step's figures.
    """
    model, descent, seed = learner.model, learner.descent, job.training.seed
    figures = StepFigures(len(batches), model.device)
    set_training(model.network, on=True)
    torch.manual_seed(seed_for(seed, "dropout", step))
    for index, batch in enumerate(batches):
        noisy = add_noise(batch.latents, model.noise_schedule, job.loss, generator_for(seed, "noise", step, index),
                          model.device)
        mask = None if batch.masks is None else batch.masks.to(model.device, non_blocking=True)
        outside = prediction_outside_masks(model, noisy, batch, job)
        prediction = model.predict(noisy.noisy_latents, noisy.timesteps, batch.captions, batch.frames)
        loss = batch_loss(prediction, noisy.target, noisy.timesteps, model.noise_schedule, job.loss, mask=mask,
                          base_prediction=outside,
                          picture_weights=loss_weights(batch.pictures, job.loss.prior_loss_weight, model.device))
        figures.take(loss, prediction, noisy.target, noisy.timesteps, mask)
        descent.backward(loss / len(batches))
        if preserves(job, step):
            kept = preservation_loss(model, noisy, batch, job)
            if kept is not None:
                descent.backward(kept / len(batches))
    result = figures.read(descent.take_norm())
    check_numbers(step, result, scaled=model.accelerator.scaler is not None)
    descent.step()
    learner.schedule.step()
    if job.network.scale_weight_norms:
        model.network.apply_max_norm(job.network.scale_weight_norms)
    return result
