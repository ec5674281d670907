"""What is known around a job: its machine, its base model, and what its images add up to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..config.concepts import ConceptSettings
from ..config.groups.dataset import DatasetSettings


@dataclass(frozen=True)
class Note:
    """A sentence about the setting ``key`` (``group.name``), or about settings of which it is the one to change."""

    key: str
    text: str


class PlannedImage(Protocol):
    """What is asked of an image that is trained on."""

    @property
    def caption(self) -> str:
        """The first line of its caption."""
    @property
    def caption_lines(self) -> tuple[str, ...]:
        """All lines."""
    @property
    def concept(self) -> str:
        """The name that its folder has behind a number of repeats; empty if it has none."""
    @property
    def has_alpha(self) -> bool:
        """Whether it has transparency."""
    @property
    def regularization(self) -> bool:
        """Whether it shows the class only."""
    @property
    def repeats(self) -> int:
        """How often it is seen in an epoch."""
    @property
    def own(self) -> ConceptSettings:
        """What its folder has of its own."""


class PlannedFit(Protocol):
    """How an image becomes its bucket's size."""

    @property
    def share_cut_off(self) -> float:
        """The share of its area that is not trained on."""


class Plan(Protocol):
    """What is asked of a training plan."""

    @property
    def pictures(self) -> Sequence[PlannedImage]:
        """Every image that is trained on."""
    @property
    def fits(self) -> Sequence[PlannedFit]:
        """How each becomes its bucket's size."""
    @property
    def by_bucket(self) -> Mapping[Any, Sequence[int]]:
        """The images of each bucket by their index."""
    @property
    def batches_per_epoch(self) -> int:
        """Batches in an epoch."""
    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run."""
    @property
    def epochs(self) -> int:
        """Epochs that are begun."""


@dataclass(frozen=True)
class PlanFacts:
    """What the images of a job add up to.

    ``fullest_bucket`` counts images with repeats; ``cuts``: whether anything of an image is cut off;
    ``longest_caption`` is in tokens, ``None`` if nobody counted. ``sizes_with`` gives the images' sizes with other
    settings.
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


@dataclass(frozen=True)
class Surroundings:
    """What is known of a job's machine, base model and images. ``None`` or empty: not known, so nothing is said of it.

    ``device`` is ``cpu``, ``cuda`` or ``mps``. ``webui``: whether a webui started the run. ``family`` is its name,
    ``velocity`` whether the base model is known to predict it. ``shapes`` are those of the checkpoint's tensors,
    ``yaml_beside`` whether a YAML stands beside it.
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
    """Where the webui reads v-prediction from (``Host.reads_v_prediction``); without one, as webui 1.10.1 does."""
    drawn_as: str = ""
    """What the webui draws the checkpoint as, ``eps`` or ``v``; empty if it is not loaded."""


def plan_facts(plan: Plan, held_out: int, sizes_with: Callable[[DatasetSettings], object],
               longest_caption: int | None = None) -> PlanFacts:
    """The facts of ``plan``; ``held_out`` images are kept from training to measure the loss."""
    fullest = max(sum(plan.pictures[index].repeats for index in indices) for indices in plan.by_bucket.values())
    return PlanFacts(plan.pictures, held_out, plan.batches_per_epoch, plan.total_steps, plan.epochs, fullest,
                     any(fit.share_cut_off > 0 for fit in plan.fits), sizes_with, longest_caption)
