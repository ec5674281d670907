"""A rule: when it applies, what it sets, why, and where that is known from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...config.groups.goal import CHARACTER, CREATURE, DRAWING, HUMANOID, POOR, VEHICLE, GoalSettings
from ...config.groups.network import LOKR
from ...config.job import Job, all_settings
from ...config.load import read_job
from ...config.optimizer_facts import OPTIMIZERS
from ..difficulty import Difficulty, difficulty
from ..families import SD1, FamilyAdvice
from ..steps import KNOWN, UNSURE
from ..surroundings import PlannedImage

IMAGES_SEEN = "images_seen"
"""Not a setting: how many images the run should see, repeats included. The number of epochs follows from it."""
FEW_IMAGES = 30
"""The guide counts 15 to 30 images as bad inputs."""
OVERNIGHT_MINUTES = 360

Values = Mapping[str, Any]
Pace = Callable[[Job, int], "float | None"]


@dataclass(frozen=True)
class TestBake:
    """The result of a short run of the plan. ``share_learned`` is how far the held-out loss fell, 0.1 for 10 %.

    ``fast`` and ``slow`` are sentences of the diagnosis that say so, empty if it does not; ``barely``: it is slow only
    because the loss fell little. ``suspicious`` are the file names of images, ``tags`` doubtful tags. ``ending`` says
    how a run ended before its last step, ``problem`` why it failed; ``complete`` is then the name of an earlier one
    that shows what was learned. ``rates`` are those it trained with, by ``group.name``, of the optimizer, network, rank
    and alpha ``of``. ``out_of_memory``: it needed more than there is; ``ceiling_gb`` is the limit to try then.
    ``too_big`` is a training size in pixels at which memory ran out even with gradient checkpointing. ``memory_error``
    is how many bytes of GPU memory it used more than estimated. ``size`` is its training size in pixels.
    """

    __test__ = False  # not a test of pytest

    run: str
    name: str
    images_seen: int = 0
    seconds_per_step: float | None = None
    diverged: bool = False
    fast: str = ""
    slow: str = ""
    share_learned: float | None = None
    suspicious: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    barely: bool = False
    ending: str = ""
    problem: str = ""
    complete: str = ""
    of: tuple[Any, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
    out_of_memory: bool = False
    ceiling_gb: float | None = None
    too_big: int | None = None
    memory_error: int = 0
    size: str = ""


@dataclass(frozen=True)
class BaseCheck:
    """What a check of the base has shown for the trigger word ``word``, on these images and this checkpoint.

    ``level`` is one of those in ``advice.steps``, ``reason`` a sentence, ``images_seen`` what follows from it.
    ``measured`` says when and on what. ``better`` is a name that was tried and is known better, ``better_seen`` what it
    needs. ``means`` is what comes out with ``word`` and is not in the images; ``avoid`` are other such names, in words.
    ``new_tags`` are tags of the images that the base does not draw.
    """

    measured: str
    word: str = ""
    level: str = UNSURE
    reason: str = ""
    images_seen: int = 0
    better: str = ""
    better_seen: int = 0
    means: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()
    new_tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What is known about images, base and machine.

    ``images_per_epoch`` includes repeats, but not those of ``dataset_repeats`` if ``follows_repeats``: if that setting
    applies to every folder. ``concepts`` are the images of each concept, repeats included. ``small`` is
    the share of images that are smaller than the training size. ``device`` is cpu, cuda or mps. ``form`` are the
    form's values that a plan leaves alone, nested. ``pace`` estimates the seconds of a job with a number of steps.
    ``family_known``: the base could be read.
    """

    family: FamilyAdvice = SD1
    images_per_epoch: int = 0
    follows_repeats: bool = True
    concepts: Mapping[str, int] = field(default_factory=dict)
    small: float = 0.0
    trigger_word: bool = True
    regularization: bool = False
    device: str | None = None
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    form: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pace: Pace = lambda job, steps: None
    tested: TestBake | None = None
    checked: BaseCheck | None = None
    family_known: bool = True

    def with_images(self, images: Sequence[PlannedImage], repeats: int) -> Facts:
        """These facts for ``images`` that were read with ``repeats`` as ``dataset_repeats``."""
        follows = not any(image.concept or image.own.dataset_repeats is not None for image in images)
        seen = sum(image.repeats for image in images)
        return replace(self, images_per_epoch=seen // repeats if follows else seen, follows_repeats=follows)

    def images_with(self, repeats: int) -> int:
        """The images of an epoch, repeats included, if ``dataset_repeats`` is ``repeats``."""
        return self.images_per_epoch * (repeats if self.follows_repeats else 1)


@dataclass
class Case:
    """A goal with its facts, and the values that the rules have set so far."""

    goal: GoalSettings
    facts: Facts
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def few(self) -> bool:
        """Whether there are few images."""
        return 0 < self.goal.images <= FEW_IMAGES

    @property
    def poor(self) -> bool:
        """Whether the guide's settings for bad inputs apply."""
        return self.goal.quality == POOR or self.few

    @property
    def measured_level(self) -> str:
        """How well the base knows the trigger word by a check; empty without one, or if the user has answered."""
        checked = self.facts.checked
        return "" if checked is None or self.goal.known is not None else checked.level

    @property
    def known(self) -> bool:
        """Whether the base knows the subject: by the user's answer, else by a check."""
        return bool(self.goal.known) or self.measured_level == KNOWN

    @property
    def letter(self) -> str:
        """The category that the subject is trained as; empty if there is none."""
        goal = self.goal
        if goal.kind == CREATURE and goal.made_into == HUMANOID:
            return "D"
        if goal.kind == CREATURE:
            return goal.category or "F"
        if goal.kind == VEHICLE and goal.made_into != DRAWING:
            return min(max(goal.category or "E", "C"), "G")
        return goal.category if goal.kind == CHARACTER else ""

    @property
    def category(self) -> Difficulty:
        """The category of ``letter``, with the ranks of the family. Raises ``KeyError`` without one."""
        return difficulty(self.letter).on(self.facts.family)

    @property
    def checked_letter(self) -> str:
        """The category by which the form judges rank and network: only characters and creatures have one."""
        return "" if self.goal.kind == VEHICLE else self.letter

    @property
    def repeats(self) -> int:
        """``dataset_repeats`` as chosen so far, else the form's."""
        of_form = self.facts.form.get("dataset", {}).get("dataset_repeats", 1)
        return int(self.values.get("dataset.dataset_repeats", of_form))

    @property
    def images_per_epoch(self) -> int:
        """The images of an epoch with these repeats."""
        return self.facts.images_with(self.repeats)

    @property
    def adaptive(self) -> bool:
        """Whether the optimizer chosen so far finds its rate by itself."""
        facts = OPTIMIZERS.get(self.values.get("optimizer.optimizer_type", ""))
        return facts is not None and facts.usual_d_coef is not None

    @property
    def on_gpu(self) -> bool:
        """Whether training is not known to run on the CPU."""
        return self.facts.device != "cpu"

    @property
    def limit_gb(self) -> float | None:
        """The GPU memory to keep to: less than there is if a test bake ran out of it."""
        tested = self.facts.tested
        known = (self.goal.vram_gb, None if tested is None or not tested.out_of_memory else tested.ceiling_gb)
        return min((one for one in known if one is not None), default=None)

    @property
    def is_lokr(self) -> bool:
        """Whether the network chosen so far is LoKR."""
        return self.values.get("network.network_type") == LOKR

    def wants(self, *what: str) -> bool:
        """Whether any of ``what`` matters."""
        return bool(set(what) & set(self.goal.matters))

    def rank(self, on_sd1: int) -> int:
        """A rank of SD 1.x on this family."""
        return self.facts.family.rank(on_sd1)

    def longer(self, factor: float) -> dict[str, int]:
        """The run, ``factor`` times as long."""
        return {IMAGES_SEEN: round(self.values[IMAGES_SEEN] * factor)}

    def job(self, **changes: Any) -> Job:
        """The job as planned so far, with ``changes`` as ``group__name``."""
        values = {**self.values, **{key.replace("__", "."): value for key, value in changes.items()}}
        return job_with(self.facts.form, values)


@dataclass(frozen=True)
class Rule:
    """``asked`` is its condition in words. ``todo`` is what only the user can do, instead of or besides settings.

    ``extends``: it makes the run longer by a factor, so that the reasons for the length so far still hold.
    """

    id: str
    asked: str
    when: Callable[[Case], bool]
    reason: str | Callable[[Case], str]
    source: str
    settings: Callable[[Case], Values] = lambda case: {}
    todo: bool = False
    extends: bool = False

    def sentence(self, case: Case) -> str:
        """The reason for ``case``."""
        return self.reason if isinstance(self.reason, str) else self.reason(case)


def job_with(form: Mapping[str, Mapping[str, Any]], values: Values) -> Job:
    """The job of the nested values ``form`` with ``values`` by ``group.name``; other keys are skipped."""
    nested = {group: dict(content) for group, content in form.items()}
    for key, value in values.items():
        group, dot, name = key.partition(".")
        if dot:
            nested.setdefault(group, {})[name] = value
    return read_job(nested)[0]


def defaults_of(*groups: str) -> dict[str, Any]:
    """The default of each setting of ``groups`` by ``group.name``."""
    return {field.key: field.default for field in all_settings() if field.group in groups}
