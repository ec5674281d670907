"""What a plan costs, and what it would cost with one step up or down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...config.change import changed
from ...config.groups.network import IA3
from ...config.job import Job
from ...config.optimizer_facts import OPTIMIZERS
from ..memory import estimate_memory, fit
from ..of_job import images_to_see, rank_objections
from ..optimizer_guards import proposed_d_coef
from ..size import lora_file_bytes
from ..steps import FEWEST_IMAGES_SEEN, propose_length
from .length import steps_of
from .plan import Plan
from .rule import Facts

_RANKS = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
_EPOCHS = "training.max_train_epochs"
_SHORTER, _LONGER = 0.67, 1.5
_SIZE_STEPS = {512: 64, 768: 64, 1024: 128}


@dataclass(frozen=True)
class Cost:
    """``seconds`` without samples and saving, ``memory_bytes`` of the GPU, ``file_bytes`` of a file; ``None`` if
    unknown. ``switched`` are the switches that make it fit, in words.
    """

    steps: int | None
    seconds: float | None
    memory_bytes: int | None
    file_bytes: int | None
    switched: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step up or down from the plan: ``changes`` by ``group.name``, and what that does, in sentences.

    ``images_seen`` is how many images the form then wants to be seen: fewer than the plan if the step is shorter.
    """

    what: str
    label: str
    effect: str
    changes: dict[str, Any]
    images_seen: int
    cost: Cost


def cost_of(job: Job, facts: Facts) -> Cost:
    """The cost of ``job``, as far as ``facts`` say."""
    images = facts.images_with(job.dataset.dataset_repeats)
    steps = steps_of(job, images) if images else None
    seconds = None if steps is None else facts.pace(job, steps)
    if not facts.shapes:
        return Cost(steps, seconds, None, None)
    if facts.device == "cpu" and job.training.mixed_precision == "auto":
        job = changed(job, {"training.mixed_precision": "no"})  # the worker's choice on the CPU
    fitted, switched = fit(facts.shapes, job) if facts.device != "cpu" else (job, [])
    memory = estimate_memory(facts.shapes, fitted)
    error = facts.tested.memory_error if facts.tested is not None else 0
    return Cost(steps, seconds, None if memory is None else max(0, memory.total + error),
                lora_file_bytes(facts.shapes, job.network, job.save.save_precision), tuple(switched))


def steps_around(plan: Plan, facts: Facts) -> list[Step]:
    """Rank, length and resolution of ``plan``, one step down and one up, each with what goes with it.

    A step that the form would object to is left out.
    """
    job = plan.job(facts.form)
    images = facts.images_with(job.dataset.dataset_repeats)
    at_rank, found = rank_objections(job, plan.letter, facts.family), []
    for what, label, effect, changes in (*_ranks(job), *_sizes(job)):
        if rank_objections(changed(job, changes), plan.letter, facts.family) and not at_rank:
            continue
        longer = _long_enough(plan, facts, changed(job, changes))
        said = f"{effect} Needs {longer[_EPOCHS]} epochs, since it learns more slowly." if longer else effect
        found.append(Step(what, label, said, {**changes, **longer}, plan.images_seen,
                          cost_of(changed(job, {**changes, **longer}), facts)))
    for label, effect, epochs in _lengths(job, _fewest_epochs(plan, images)):
        seen = plan.images_seen * epochs // (job.training.max_train_epochs or epochs)
        found.append(Step("length", label, effect, {_EPOCHS: epochs}, min(plan.images_seen, seen),
                          cost_of(changed(job, {_EPOCHS: epochs}), facts)))
    return found


def _long_enough(plan: Plan, facts: Facts, job: Job) -> dict[str, int]:
    """The epochs that ``job`` needs if those of ``plan`` are too few for what slows learning."""
    images, epochs = facts.images_with(job.dataset.dataset_repeats), job.training.max_train_epochs
    if not images or epochs is None or job.training.max_train_steps is not None:
        return {}
    wanted = images_to_see(job, plan.letter, facts.family, plan.images_seen)
    needed = propose_length(images, 1, wanted).epochs
    return {_EPOCHS: needed} if needed > epochs else {}


def _fewest_epochs(plan: Plan, images_per_epoch: int) -> int:
    """The epochs that show the least that sticks."""
    least = min(FEWEST_IMAGES_SEEN, plan.images_seen)
    return propose_length(images_per_epoch, 1, least).epochs if images_per_epoch else 1


_Change = tuple[str, str, str, dict[str, Any]]


def _ranks(job: Job) -> Iterator[_Change]:
    network = job.network
    if network.network_type == IA3 or network.network_weights or network.block_dims:
        return
    lower = max((rank for rank in _RANKS if rank < network.network_dim), default=None)
    higher = min((rank for rank in _RANKS if rank > network.network_dim), default=None)
    for rank, effect in ((lower, "Holds less, in a smaller file."), (higher, "Holds more detail, and more of the "
                                                                             "images' flaws.")):
        if rank is not None:
            alpha = network.network_alpha
            alpha = alpha if alpha <= 1 else alpha / network.network_dim * rank
            changes = {"network.network_dim": rank, "network.network_alpha": alpha}
            yield "rank", f"Rank {rank}", effect, {**changes, **_d_coef(job, changes)}


def _d_coef(job: Job, changes: dict[str, Any]) -> dict[str, float]:
    """The d_coef that goes with the network after ``changes``, if ``job`` has the one for its own."""
    usual = OPTIMIZERS[job.optimizer.optimizer_type].usual_d_coef
    if usual is None or job.optimizer.d_coef != proposed_d_coef(job.network, usual)[0]:
        return {}
    proposed = proposed_d_coef(changed(job, changes).network, usual)[0]
    return {} if proposed == job.optimizer.d_coef else {"optimizer.d_coef": proposed}


def _lengths(job: Job, fewest: int) -> Iterator[tuple[str, str, int]]:
    """A shorter run of no fewer than ``fewest`` epochs, and a longer one."""
    epochs = job.training.max_train_epochs
    if epochs is None or job.training.max_train_steps is not None:
        return
    shorter, longer = max(1, fewest, round(epochs * _SHORTER)), max(epochs + 1, round(epochs * _LONGER))
    if shorter < epochs:
        label = f"{shorter} {'epoch' if shorter == 1 else 'epochs'}"
        yield label, "Changes other prompts less; may be too weak.", shorter
    yield f"{longer} epochs", "Closer to the images; may be less flexible. Saved epochs let you choose.", longer


def _sizes(job: Job) -> Iterator[_Change]:
    width, height = job.dataset.size
    if width != height:
        return
    step = next((step for usual, step in sorted(_SIZE_STEPS.items(), reverse=True) if width >= usual), 64)
    for side, effect in ((width - step, "Less fine detail."), (width + step, "Finer details.")):
        if side >= 256:
            yield "size", f"{side} px", effect, {"dataset.resolution": str(side)}
