"""The base model's own prediction as a second target: outside of masks, and for captions without the trigger word.

Prior preservation outside of masks is OneTrainer's, and the other one is ai-toolkit's differential output preservation.
Both replace regularization images: what must not change is learned from what the base model would have done.
"""

from __future__ import annotations

from torch import Tensor

from ..batches.batches import Batch
from ..config.groups.trigger_word import without_trigger
from ..config.job import Job
from .loss import elementwise_loss, timestep_weight
from .model import TrainedModel
from .noise import NoisyBatch


def prediction_outside_masks(model: TrainedModel, noisy: NoisyBatch, batch: Batch, job: Job) -> Tensor | None:
    """The base model's prediction for ``batch``; ``None`` if nothing outside of a mask has to be preserved."""
    if not job.loss.masked_prior_preservation_weight or batch.masks is None or bool((batch.masks == 1).all()):
        return None
    with model.base_alone():
        return model.predict(noisy.noisy_latents, noisy.timesteps, batch.captions, batch.frames)


def preserves(job: Job, step: int) -> bool:
    """Whether ``step``, counted from 1, preserves the base model's predictions without the trigger word."""
    return job.loss.preservation_weight > 0 and (step - 1) % job.loss.preservation_every_n_steps == 0


def preservation_loss(model: TrainedModel, noisy: NoisyBatch, batch: Batch, job: Job) -> Tensor | None:
    """How far the LoRA moves predictions without the trigger word, times ``preservation_weight``: a scalar.

    Each image's caption loses the trigger word; on the same noisy latents, the model with the network is trained to
    predict what the base model predicts, text encoders included. The error and its weight by timestep are those of the
    loss; masks do not limit it. Images whose caption is the same without the trigger word are left out, since their two
    targets would conflict; they count as 0 in the mean over the batch. ``None`` if that leaves none.
    """
    bare = [without_trigger(caption, job.dataset, job.loss.preservation_class) for caption in batch.captions]
    chosen = [index for index, caption in enumerate(bare) if caption != batch.captions[index]]
    if not chosen:
        return None
    latents, timesteps = noisy.noisy_latents[chosen], noisy.timesteps[chosen]
    captions, frames = [bare[index] for index in chosen], [batch.frames[index] for index in chosen if batch.frames]
    with model.base_alone():
        target = model.predict(latents, timesteps, captions, frames)
    prediction = model.predict(latents, timesteps, captions, frames)
    errors = elementwise_loss(prediction.float(), target.float(), timesteps, model.noise_schedule, job.loss)
    weighted = errors.mean(dim=(1, 2, 3)) * timestep_weight(timesteps, model.noise_schedule, job.loss)
    return job.loss.preservation_weight * weighted.sum() / len(bare)
