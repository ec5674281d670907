"""Sample images, generated with the current model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from PIL import Image
from torch import Tensor

from ...config.job import Job
from ...config.sample_prompt import SamplePrompt, read_prompt
from ...errors import RunError
from ...models.prediction import VELOCITY
from ...models.text_states import TextStates
from ...pictures.buckets import Frame
from ..model import TrainedModel

_CFG_RESCALE = 0.7
"""φ of Lin et al. 2024, section 3.4."""

_LATENT_STEP = 64
"""Sides of a sample are multiples of this, since the UNet downsamples latents (1/8) three times."""


@dataclass(frozen=True)
class Sample:
    """A generated image and its prompt."""

    index: int
    prompt: str
    picture: Image.Image


def sample_size(job: Job, prompt: SamplePrompt) -> tuple[int, int]:
    """Width and height of a sample in pixels: from its prompt, else from the settings, else the training size."""
    width, height = job.dataset.size
    wanted = (prompt.width or job.sample.sample_width or width, prompt.height or job.sample.sample_height or height)
    return max(64, wanted[0] // _LATENT_STEP * _LATENT_STEP), max(64, wanted[1] // _LATENT_STEP * _LATENT_STEP)


@torch.no_grad()
def draw_samples(model: TrainedModel, job: Job, between: Callable[[], object]) -> Iterator[Sample]:
    """Generate each of the job's prompts with DPM++ 2M Karras; a prompt has the same noise every time.

    ``between`` is called before each step of an image, when nothing is being computed.
    """
    with model.evaluating(), _vae_at_hand(model):
        for index, line in enumerate(job.sample.sample_prompts):
            prompt = read_prompt(line)
            seed = job.sample.sample_seed + index if prompt.seed is None else prompt.seed
            latents = _denoise(model, job, prompt, torch.Generator("cpu").manual_seed(seed), between)
            between()
            yield Sample(index, prompt.text, decode_picture(model, latents))


@contextmanager
def _vae_at_hand(model: TrainedModel) -> Iterator[None]:
    model.base.bring(model.base.vae, model.device)
    try:
        yield
    finally:
        if model.device.type != "cpu":
            model.base.put_away(model.base.vae)


def decode_picture(model: TrainedModel, latents: Tensor) -> Image.Image:
    """Decode scaled latents (1, 4, h, w) to an image.

    SDXL's own VAE overflows in half precision; if it gives NaN, it is used in float32 from then on. Raises
    ``RunError`` if it gives NaN in float32 too.
    """
    vae = model.base.vae
    for dtype in dict.fromkeys((vae.dtype, torch.float32)):
        vae.to(dtype)
        pixels = _decode(vae, latents.to(dtype) / model.base.family.latent_scale)
        if torch.isfinite(pixels).all():
            array = ((pixels.float().clamp(-1, 1) + 1) * 127.5).round().permute(1, 2, 0).cpu().numpy()
            return Image.fromarray(array.astype(np.uint8))
    raise RunError("The VAE outputs NaN, in float32 too.")


def _decode(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """Pixels (3, H, W); decoded in tiles if there is not enough memory for the whole image."""
    try:
        return vae.decode(latents, return_dict=False)[0][0]  # type: ignore[no-any-return]
    except torch.cuda.OutOfMemoryError:
        torch.cuda.empty_cache()
        vae.enable_tiling()
        return vae.decode(latents, return_dict=False)[0][0]  # type: ignore[no-any-return]


def _denoise(model: TrainedModel, job: Job, prompt: SamplePrompt, generator: torch.Generator,
             between: Callable[[], object]) -> Tensor:
    size, scale = sample_size(job, prompt), prompt.cfg_scale or job.sample.cfg_scale
    negative = job.sample.negative_prompt if prompt.negative is None else prompt.negative
    sampler = DPMSolverMultistepScheduler.from_config(model.noise_schedule.config, use_karras_sigmas=True)
    sampler.set_timesteps(prompt.steps or job.sample.sample_steps, device=model.device)
    latents = torch.randn((1, 4, size[1] // 8, size[0] // 8), generator=generator).to(model.device)
    latents = latents * sampler.init_noise_sigma
    frames, rescale = [Frame.whole(*size)] * 2, _rescale_of(model)
    between()
    with model.accelerator.autocast():
        states = _states(model, negative, prompt.text)
        for timestep in sampler.timesteps:
            between()
            doubled = sampler.scale_model_input(torch.cat([latents, latents]), timestep)
            without, wanted = model.predict_from_states(doubled, timestep, states, frames).float().chunk(2)
            guided = with_guidance(without, wanted, scale, rescale=rescale)
            latents = sampler.step(guided, timestep, latents, return_dict=False)[0]
    return latents


def with_guidance(without: Tensor, wanted: Tensor, scale: float, *, rescale: float = 0.0) -> Tensor:
    """Classifier-free guidance of predictions (B, 4, h, w): without + scale · (wanted - without).

    With ``rescale`` φ the result x is φ · x · σ(wanted) / σ(x) + (1 - φ) · x, σ over each image (Lin et al. 2024,
    arXiv:2305.08891, equations 15 and 16): models with zero terminal SNR overexpose without it.
    """
    guided = without + scale * (wanted - without)
    if not rescale:
        return guided
    ratio = wanted.std((1, 2, 3), keepdim=True) / guided.std((1, 2, 3), keepdim=True)
    return guided * (rescale * ratio + 1 - rescale)


def _rescale_of(model: TrainedModel) -> float:
    config = model.noise_schedule.config
    zero_terminal_snr = config["rescale_betas_zero_snr"] and config["prediction_type"] == VELOCITY
    return _CFG_RESCALE if zero_terminal_snr else 0.0


def _states(model: TrainedModel, negative: str, prompt: str) -> TextStates:
    """States of both prompts. SDXL uses zeros for an empty negative prompt, as in the webui."""
    states = model.text_states([negative, prompt])
    if states.pooled is None or negative:
        return states
    kept = torch.tensor([0.0, 1.0], device=model.device)
    return TextStates(states.hidden * kept.to(states.hidden.dtype).view(2, 1, 1),
                      states.pooled * kept.to(states.pooled.dtype).view(2, 1))
