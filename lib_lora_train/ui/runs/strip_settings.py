"""The settings of a strip's images: those of txt2img, otherwise the run's size and CLIP skip."""

from __future__ import annotations

import random
from collections.abc import Sequence

from pydantic import BaseModel, Field

from ...config.job import Job
from ...host.interface import Hires, PictureSettings
from ..testing.plot_plans import SEEDS, eights

_THE_SAME = ("Use same checkpoint", "Use same sampler", "Use same scheduler")


class Txt2img(BaseModel):
    """The values of the webui's txt2img form, by the names of its API; ``None`` where unknown."""

    negative_prompt: str | None = None
    styles: list[str] | None = None
    steps: int | None = Field(None, ge=1, le=150)
    sampler_name: str | None = None
    scheduler: str | None = None
    cfg_scale: float | None = Field(None, ge=1, le=30)
    width: int | None = Field(None, ge=64, le=2048)
    height: int | None = Field(None, ge=64, le=2048)
    seed: int | None = None
    enable_hr: bool | None = None
    denoising_strength: float = 0.7
    hr_scale: float = 2.0
    hr_upscaler: str = "Latent"
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_checkpoint_name: str | None = None
    hr_sampler_name: str | None = None
    hr_scheduler: str | None = None
    hr_prompt: str | None = None
    hr_negative_prompt: str | None = None


def picture_settings(txt2img: Txt2img | None, job: Job) -> PictureSettings:
    """Return the settings of ``txt2img``, completed from ``job``'s samples.

    A seed of -1 is replaced by a random one, since all images of a strip share their seed.
    """
    form, sample = txt2img or Txt2img(), job.sample
    width, height = job.dataset.size
    seed = form.seed if form.seed is not None and form.seed >= 0 else random.randrange(SEEDS)
    return PictureSettings(
        width=eights(form.width or sample.sample_width or width),
        height=eights(form.height or sample.sample_height or height), steps=form.steps or sample.sample_steps,
        cfg_scale=form.cfg_scale or sample.cfg_scale, seed=seed % SEEDS, clip_skip=job.base.clip_skip,
        sampler=form.sampler_name or "", scheduler=form.scheduler or "",
        negative_prompt=sample.negative_prompt if form.negative_prompt is None else form.negative_prompt,
        styles=tuple(form.styles or ()), hires=_second_pass(form) if form.enable_hr else None)


def _second_pass(form: Txt2img) -> Hires:
    checkpoint, sampler, scheduler = ("" if name is None or name in _THE_SAME else name for name in (
        form.hr_checkpoint_name, form.hr_sampler_name, form.hr_scheduler))
    return Hires(form.hr_upscaler, form.hr_scale, form.hr_resize_x, form.hr_resize_y, form.hr_second_pass_steps,
                 form.denoising_strength, checkpoint, sampler, scheduler, form.hr_prompt or "",
                 form.hr_negative_prompt or "")


def in_words(picture: PictureSettings) -> str:
    """Return the settings on one line."""
    words = [picture.sampler or "the first sampler", picture.scheduler if picture.scheduler != "Automatic" else "",
             f"{picture.steps} steps", f"CFG {picture.cfg_scale:g}", f"{picture.width} × {picture.height}",
             _hires_in_words(picture), f"CLIP skip {picture.clip_skip}", f"seed {picture.seed}",
             _listed("style", picture.styles), "a negative prompt" if picture.negative_prompt.strip() else ""]
    return ", ".join(word for word in words if word)


def _hires_in_words(picture: PictureSettings) -> str:
    hires = picture.hires
    if hires is None:
        return ""
    if hires.resize_x or hires.resize_y:
        size = f"to {hires.resize_x or 'any'} × {hires.resize_y or 'any'}"
    else:
        size = f"× {hires.scale:g}"
    return f"hires fix {size} with {hires.upscaler}"


def _listed(what: str, names: Sequence[str]) -> str:
    return f"{what}{'s' if len(names) > 1 else ''} {' and '.join(names)}" if names else ""
