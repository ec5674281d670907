"""How long the first samples will take, before any have been measured."""

from __future__ import annotations

from ...config.job import Job
from ...config.sample_prompt import read_prompt

_PASSES_OF_A_STEP = 6.0
"""How many passes of sampling take as long as a training step of the same size, with its text encoders, gradients and
optimizer. Measured on small SD 1.x and SDXL checkpoints on a CPU: 7.2 and 7.0; guidance counts as two passes."""


def first_samples_in_steps(job: Job) -> float:
    """How many optimizer steps take as long as all samples of ``job`` at one save, by the pixels that pass the UNet.

    Raises ``ValueError`` for a prompt with invalid options.
    """
    settings, (width, height) = job.sample, job.dataset.size
    step = width * height * job.dataset.train_batch_size * job.training.gradient_accumulation_steps
    pixels = 0.0
    for line in settings.sample_prompts:
        prompt = read_prompt(line)
        guided = (settings.cfg_scale if prompt.cfg_scale is None else prompt.cfg_scale) > 1
        across, down = prompt.width or settings.sample_width or width, prompt.height or settings.sample_height or height
        pixels += across * down * (prompt.steps or settings.sample_steps) * (2 if guided else 1)
    return pixels / (_PASSES_OF_A_STEP * step)
