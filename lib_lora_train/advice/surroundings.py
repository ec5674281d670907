"""The context of a job: its machine, its base model, and facts about its images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..config.concepts import ConceptSettings
from ..config.groups.dataset import DatasetSettings


@dataclass(frozen=True)
class Note:
    """A sentence about the setting ``key`` (``group.name``), or about several, ``key`` being the one to change."""

    key: str
    text: str


class PlannedImage(Protocol):
    """The attributes required of an image that is trained on."""

    @property
    def path(self) -> Path:
        """Its file."""
    @property
    def weight(self) -> float:
        """What multiplies its loss."""
    @property
    def caption(self) -> str:
        """The first line of its caption."""
    @property
    def caption_lines(self) -> tuple[str, ...]:
        """All lines."""
    @property
    def concept(self) -> str:
        """The name after the repeats in its folder's name; empty if there is none."""
    @property
    def has_alpha(self) -> bool:
        """Whether it has transparency."""
    @property
    def regularization(self) -> bool:
        """Whether it is a regularization image."""
    @property
    def mask(self) -> Path | None:
        """Its mask file; ``None`` if it has none."""
    @property
    def repeats(self) -> int:
        """Repeats per epoch."""
    @property
    def own(self) -> ConceptSettings:
        """The overrides of its folder."""


class PlannedFit(Protocol):
    """How an image is fitted to its bucket's size."""

    @property
    def share_cut_off(self) -> float:
        """The share of its area that is not trained on."""


class Plan(Protocol):
    """The attributes required of a training plan."""

    @property
    def pictures(self) -> Sequence[PlannedImage]:
        """Every image that is trained on."""
    @property
    def fits(self) -> Sequence[PlannedFit]:
        """How each is fitted to its bucket's size."""
    @property
    def by_bucket(self) -> Mapping[Any, Sequence[int]]:
        """Indexes of the images of each bucket."""
    @property
    def batches_per_epoch(self) -> int:
        """Batches in an epoch."""
    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run."""
    @property
    def epochs(self) -> int:
        """Epochs that are started."""


@dataclass(frozen=True)
class PlanFacts:
    """Facts about the images of a job.

    ``fullest_bucket`` counts images with repeats; ``cuts``: whether anything is cropped; ``longest_caption`` is in
    tokens, ``None`` if not counted. ``sizes_with`` returns the images' sizes with other settings. ``every`` are all
    images among which the job chooses, empty if unknown.
    """

    images: Sequence[PlannedImage]
    held_out: int
    batches_per_epoch: int
    total_steps: int
    epochs: int
    fullest_bucket: int
    cuts: bool
    sizes_with: Callable[[DatasetSettings], object]
    longest_caption: int | None = None
    every: Sequence[PlannedImage] = ()


@dataclass(frozen=True)
class Surroundings:
    """The known facts about a job's machine, base model and images. Notes skip what is ``None`` or empty (unknown).

    ``device`` is ``cpu``, ``cuda`` or ``mps``. ``webui``: whether a webui started the run. ``family`` is the family's
    name, ``velocity`` whether the base model is known to use v-prediction. ``shapes`` are those of the checkpoint's
    tensors, ``yaml_beside`` whether a YAML exists beside it.
    """

    device: str | None = None
    webui: bool | None = None
    family: str = ""
    text_encoders: int | None = None
    reads_clip_skip: bool | None = None
    velocity: bool | None = None
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    plan: PlanFacts | None = None
    yaml_beside: bool | None = None
    reads_v_prediction: Sequence[str] = ("yaml",)
    """How the webui detects v-prediction (``Host.reads_v_prediction``); without one, as webui 1.10.1 does."""
    webui_predicts: str = ""
    """The prediction type with which the webui runs the checkpoint, ``eps`` or ``v``; empty if it is not loaded."""
    auto_precision: str = ""
    """The precision that ``auto`` chooses for this job: ``no``, ``fp16`` or ``bf16``."""


def plan_facts(plan: Plan, held_out: int, sizes_with: Callable[[DatasetSettings], object],
               longest_caption: int | None = None, every: Sequence[PlannedImage] = ()) -> PlanFacts:
    """The facts of ``plan``, of some of the images ``every``; ``held_out`` images are reserved for validation."""
    fullest = max(sum(plan.pictures[index].repeats for index in indices) for indices in plan.by_bucket.values())
    return PlanFacts(plan.pictures, held_out, plan.batches_per_epoch, plan.total_steps, plan.epochs, fullest,
                     any(fit.share_cut_off > 0 for fit in plan.fits), sizes_with, longest_caption, every)
