"""The loss of single images: the same noise whatever else is asked, and the error that the formula gives."""

from __future__ import annotations

import dataclasses

import torch

from lib_lora_train.batches.batches import load_batch
from lib_lora_train.diagnosis.losses import losses_of
from lib_lora_train.training.randomness import generator_for

TIMESTEPS = (200, 800)


def test_it_is_the_squared_error_on_noise_that_only_the_image_decides(prepared):
    with prepared() as ready:
        model, plan = ready.learner.model, ready.plan
        bucket = next(list(indices) for indices in plan.by_bucket.values() if len(indices) > 1)
        batch = load_batch(plan, bucket, ready.latents.first, ready.job.dataset, None)
        before = torch.random.get_rng_state()
        found = losses_of(model, batch, batch.captions, TIMESTEPS, 3)
        assert torch.equal(torch.random.get_rng_state(), before)

        alone = [losses_of(model, load_batch(plan, [index], ready.latents.first, ready.job.dataset, None),
                           [batch.captions[place]], TIMESTEPS, 3) for place, index in enumerate(bucket)]
        assert torch.allclose(torch.cat(alone), found, rtol=1e-4)
        other = losses_of(model, batch, [""] * len(bucket), TIMESTEPS, 3)
        assert not torch.allclose(other, found, rtol=1e-3)
        assert not torch.allclose(losses_of(model, batch, batch.captions, TIMESTEPS, 4), found, rtol=1e-3)

        image, timestep = plan.pictures[bucket[1]].path, TIMESTEPS[1]
        place = f"{image.parent.name}/{image.name}"
        noise = torch.randn(batch.latents.shape[1:], generator=generator_for(3, "diagnosis", place, timestep))
        kept = model.noise_schedule.alphas_cumprod[timestep]
        noisy = kept ** 0.5 * batch.latents[1:2] + (1 - kept) ** 0.5 * noise
        with torch.no_grad():
            predicted = model.predict(noisy, torch.tensor([timestep]), [batch.captions[1]], batch.frames[1:2])
        assert torch.isclose(((predicted.float() - noise) ** 2).mean(), found[1, 1], rtol=1e-4)


def test_a_mask_restricts_it_to_what_is_trained(prepared):
    with prepared() as ready:
        bucket = next(list(indices) for indices in ready.plan.by_bucket.values() if len(indices) > 1)
        batch = load_batch(ready.plan, bucket, ready.latents.first, ready.job.dataset, None)
        whole = losses_of(ready.learner.model, batch, batch.captions, TIMESTEPS, 3)
        sides = [torch.zeros(len(bucket), 1, *batch.latents.shape[2:]) for _ in range(2)]
        half = batch.latents.shape[3] // 2
        sides[0][..., :half], sides[1][..., half:] = 1, 1
        left, right = (losses_of(ready.learner.model, dataclasses.replace(batch, masks=side), batch.captions, TIMESTEPS,
                                 3) for side in sides)
        assert torch.allclose((left + right) / 2, whole, rtol=1e-4)
