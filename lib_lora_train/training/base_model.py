"""The base model of a run, and the checks of settings against its family."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch

from ..batches.captions import plain_caption
from ..batches.plan import TrainingPlan
from ..blocks.of_file import SD1_BLOCKS, SDXL_BLOCKS, BlockSet
from ..config.block_lists import list_problems, with_lists_for
from ..config.groups.trigger_word import without_trigger
from ..config.job import Job
from ..config.phases.effective import phases_of, with_each_network
from ..config.sample_prompt import read_prompt
from ..errors import ConfigError
from ..models.load import BaseModel
from ..models.prediction import VELOCITY, Prediction
from ..models.text_states import TextStates, encode_captions
from .known_states import KnownStates
from .model import TrainedModel
from .phases.report import prefix_of
from .reporting.report import Reporter

_MUCH_SMALLER = 0.6


def fitted_base(job: Job, base: BaseModel, reporter: Reporter) -> BaseModel:
    """``base`` with the prediction type of ``job``; reports its family.

    Raises ``ConfigError`` if settings do not suit its family.
    """
    if job.base.v_parameterization and base.prediction_type != VELOCITY:
        base = base.predicting(Prediction(VELOCITY, "base.v_parameterization"))
    family = base.family
    kind = f" and predicts velocity, according to {base.prediction_source}" if base.prediction_type == VELOCITY else ""
    reporter.say(f"{base.checkpoint.name} is {family.name}{kind}.")
    problems = [problem for phase in phases_of(job) for problem in list_problems(phase.job.network, _blocks_of(base))]
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    for phase in phases_of(job):
        width, height = phase.job.dataset.size
        small = family.resolution > 512 and width * height < (_MUCH_SMALLER * family.resolution) ** 2
        if small and (phase.number == 1 or "dataset.resolution" in phase.changes):
            reporter.warning(f"{prefix_of(phase)}dataset.resolution is {phase.job.dataset.resolution}, but "
                             f"{family.name} draws images of about {family.resolution} pixels: what it learns at this "
                             f"size will look coarse there. Raise it to {family.resolution}.")
    return base


def with_fitted_lists(job: Job, base: BaseModel) -> Job:
    """``job`` with the presets of block lists replaced by the equivalent numbers for ``base``."""
    return with_each_network(job, lambda network: with_lists_for(network, _blocks_of(base)))


def _blocks_of(base: BaseModel) -> BlockSet:
    return SDXL_BLOCKS if base.family.has_size_conditioning else SD1_BLOCKS


def with_known_captions(model: TrainedModel, plans: Sequence[tuple[Job, TrainingPlan]], reporter: Reporter,
                        progress: Callable[[int, int], None], further: Sequence[str] = ()) -> TrainedModel:
    """``model`` with all captions of ``plans``, sample prompts and ``further`` encoded, without text encoders.

    Each plan comes with the settings it is trained with.
    """
    captions: list[str] = []
    for job, plan in plans:
        own = [*(plain_caption(picture, job.dataset) for picture in plan.pictures), *further]
        if job.loss.preservation_weight:
            own += [without_trigger(caption, job.dataset, job.loss.preservation_class) for caption in own]
        captions += own
    job = plans[0][0]
    prompts = [read_prompt(line) for line in job.sample.sample_prompts]
    captions += ["", job.sample.negative_prompt, *(prompt.text for prompt in prompts),
                 *(prompt.negative for prompt in prompts if prompt.negative is not None)]
    lengths = sorted({model.length_of(caption) for caption in captions})
    reporter.phase("captions", "Encoding the captions", total=len(set(captions)) * len(lengths))
    for text_encoder in model.base.text_encoders:
        model.base.bring(text_encoder, model.device)

    def encode(texts: Sequence[str], length: int) -> TextStates:
        with torch.no_grad(), model.accelerator.autocast():
            return encode_captions(model.base.family, model.base.text_encoders, model.tokenizer, texts, length,
                                   model.clip_skip)

    known = KnownStates()
    known.keep(captions, lengths, encode, progress)
    if model.device.type == "cuda":
        torch.cuda.empty_cache()
    return dataclasses.replace(model, base=dataclasses.replace(model.base, text_encoders=()), known_states=known)
