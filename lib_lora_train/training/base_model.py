"""The base model of a run, and how the settings go with its family."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch

from ..batches.captions import plain_caption
from ..batches.plan import TrainingPlan
from ..blocks.lists import FULL_SD1, FULL_SDXL, list_problem
from ..config.job import Job
from ..config.sample_prompt import read_prompt
from ..errors import ConfigError
from ..models.load import BaseModel
from ..models.prediction import VELOCITY, Prediction
from ..models.text_states import TextStates, encode_captions
from .known_states import KnownStates
from .model import TrainedModel
from .reporting.report import Reporter

_MUCH_SMALLER = 0.6


def fitted_base(job: Job, base: BaseModel, reporter: Reporter) -> BaseModel:
    """``base`` as ``job`` says that it predicts; what family it is of is told.

    Raises ``ConfigError`` if settings do not go with its family.
    """
    if job.base.v_parameterization and base.prediction_type != VELOCITY:
        base = base.predicting(Prediction(VELOCITY, "base.v_parameterization"))
    family = base.family
    kind = f" and predicts velocity, as {base.prediction_told_by} tells" if base.prediction_type == VELOCITY else ""
    reporter.say(f"{base.checkpoint.name} is {family.name}{kind}.")
    blocks = FULL_SDXL if family.sizes_are_told else FULL_SD1
    problems = [f"network.{name} is {getattr(job.network, name)!r}. {problem}"
                for name in ("block_lr_weight", "block_dims", "block_alphas")
                if (problem := list_problem(getattr(job.network, name), blocks))]
    if problems:
        raise ConfigError(problems)
    width, height = job.dataset.size
    if family.resolution > 512 and width * height < (_MUCH_SMALLER * family.resolution) ** 2:
        reporter.warning(f"dataset.resolution is {job.dataset.resolution}, but {family.name} draws pictures of about "
                         f"{family.resolution} pixels: what it learns at this size will look coarse there. Raise it "
                         f"to {family.resolution}.")
    return base


def with_known_captions(model: TrainedModel, job: Job, plans: Sequence[TrainingPlan], reporter: Reporter,
                        progress: Callable[[int, int], None]) -> TrainedModel:
    """``model`` with every caption of ``plans`` and every sample prompt encoded, and without its text encoders."""
    captions = [plain_caption(picture, job.dataset) for plan in plans for picture in plan.pictures]
    prompts = [read_prompt(line) for line in job.sample.sample_prompts]
    captions += ["", job.sample.negative_prompt, *(prompt.text for prompt in prompts),
                 *(prompt.negative for prompt in prompts if prompt.negative is not None)]
    lengths = sorted({model.length_of(caption) for caption in captions})
    reporter.phase("captions", "Encoding the captions", total=len(set(captions)) * len(lengths))
    for text_encoder in model.base.text_encoders:
        model.base.move(text_encoder, model.device)

    def encode(texts: Sequence[str], length: int) -> TextStates:
        with torch.no_grad(), model.accelerator.autocast():
            return encode_captions(model.base.family, model.base.text_encoders, model.tokenizer, texts, length,
                                   model.clip_skip)

    known = KnownStates()
    known.keep(captions, lengths, encode, progress)
    if model.device.type == "cuda":
        torch.cuda.empty_cache()
    return dataclasses.replace(model, base=dataclasses.replace(model.base, text_encoders=()), known_states=known)
