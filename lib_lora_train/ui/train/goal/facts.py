"""The facts for a plan from the form: images, captions, base, machine, earlier runs."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ....advice.goals.rule import Facts
from ....advice.memory import GB
from ....advice.size import read_shapes
from ....batches.plan import fits_of
from ....captions.tags import is_prose
from ....config.groups.goal import GOOD, NO_CAPTIONS, POOR, PROSE, TAGS, GoalSettings
from ....config.job import Job
from ....config.load import job_to_dict, read_flat
from ....errors import ConfigError, TrainLoraError
from ....pictures.scan import Dataset, Picture
from ...services import Services
from ..checkpoint_family import advice_of, facts_of
from ..job_request import complete_job
from ..pace import pace_on
from .base_checks import base_check_of
from .test_bakes import test_bake_of

_ENLARGED_MUCH = 2.0
_FOR_THE_SCREEN_GB = 1


def goal_of(values: dict[str, Any]) -> GoalSettings:
    """Return the goal of the page's answers. Raises ``ConfigError`` if one is invalid."""
    goal, problems = read_flat(GoalSettings, values, source="The goal")
    if problems:
        raise ConfigError(problems)
    return goal


def facts_for(services: Services, values: dict[str, Any], goal: GoalSettings) -> tuple[GoalSettings, Facts, Job, str]:
    """Return ``goal`` with what it leaves open taken from the form's ``values``, the facts, the form's job, and why a
    check of the base is not used.

    Problems of the form are not reported here: the form shows them.
    """
    job, _ = complete_job(services, values)
    dataset = _dataset(services, job)
    shapes = (read_shapes(Path(job.base.checkpoint)) if job.base.checkpoint else None) or {}
    goal = dataclasses.replace(goal, vram_gb=goal.vram_gb or job.training.fit_in_gb or _usable_gb(services, job))
    checked, unused = base_check_of(services, job)
    known = bool(facts_of(Path(job.base.checkpoint), job.base.sdxl_base or "").name)
    facts = Facts(family=advice_of(job), family_known=known, trigger_word=bool(job.dataset.activation_tag.strip()),
                  regularization=bool(job.dataset.reg_data_dir), shapes=shapes, form=job_to_dict(job),
                  device=_device(services, job), pace=pace_on(services, job), checked=checked,
                  tested=test_bake_of(services, job, _usable_gb(services, job)))
    if dataset is None:
        return goal, dataclasses.replace(facts, images_per_epoch=goal.images), job, unused
    pictures = dataset.pictures
    concepts = Counter({concept.name: 0 for concept in dataset.concepts})
    for picture in pictures:
        concepts[picture.concept] += picture.repeats
    small = _share_enlarged(job, pictures)
    goal = dataclasses.replace(
        goal, images=len(pictures), quality=goal.quality or (POOR if small > 0.5 else GOOD),
        captions=goal.captions or _captions(pictures, job.dataset.caption_separator))
    facts = facts.with_images(pictures, job.dataset.dataset_repeats)
    return goal, dataclasses.replace(facts, concepts=+concepts, small=small), job, unused


def _dataset(services: Services, job: Job) -> Dataset | None:
    if not job.dataset.train_data_dir:
        return None
    try:
        found = services.datasets.survey(job.dataset)
    except (TrainLoraError, ValueError):
        return None  # the form says why
    return found if found.pictures else None


def _share_enlarged(job: Job, pictures: Sequence[Picture]) -> float:
    """Return the share of images that are enlarged to more than twice their size."""
    try:
        fits = fits_of(job.dataset, pictures)
    except (TrainLoraError, ValueError):
        return 0.0  # the form says what is wrong with the sizes
    small = [fit.resized_width > _ENLARGED_MUCH * picture.width
             for fit, picture in zip(fits, pictures, strict=True)]
    return sum(small) / len(small)


def _captions(pictures: Sequence[Picture], separator: str) -> str:
    lines = [picture.caption for picture in pictures if picture.caption_source == "file"]
    if 2 * len(lines) < len(pictures):
        return NO_CAPTIONS
    return PROSE if 2 * sum(is_prose(line, separator) for line in lines) > len(lines) else TAGS


def _usable_gb(services: Services, job: Job) -> float | None:
    """Return the memory of the webui's GPU, less a gigabyte for the screen; ``None`` if it is unknown."""
    size = services.host.gpu_bytes() if _device(services, job) == "cuda" else None
    return None if size is None else max(1.0, math.floor(2 * size / GB) / 2 - _FOR_THE_SCREEN_GB)


def _device(services: Services, job: Job) -> str:
    on = job.training.device if job.training.device != "auto" else services.host.device()
    return on.partition(":")[0]
