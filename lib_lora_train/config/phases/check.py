"""Checks of the training phases of a job."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ...blocks.lists import read_blocks
from ...blocks.names import FULL_SD1
from ..job import Job
from ..optimizer_args import has_one_rate
from .effective import PhaseSettings, phases_of
from .read import name_problem, title_of
from .rules import BLOCK_RATES, why_not_here

_LENGTH = "training.max_train_epochs and training.max_train_steps"


def phase_problems(job: Job, known: Sequence[str], problems_of_one: Callable[[Job], list[str]]) -> list[str]:
    """Every problem of the phases after the first, one sentence each, with the phase and the setting.

    ``known`` are the problems of the job without its phases, ``problems_of_one`` finds those of a phase's settings.
    """
    problem = name_problem(job.training.first_phase_name)
    problems, before = [f"training.first_phase_name {problem}"] if problem else [], set(known)
    for phase, given in zip(phases_of(job)[1:], job.training.phases, strict=True):
        found = [problem for problem in (*_refused(phase, job), *_nothing_trained(phase), *problems_of_one(phase.job))
                 if not problem.startswith(_LENGTH)]
        own = [problem for problem in found if problem not in before]
        before.update(found)
        where = f"training.phases, {title_of(given, phase.number)}"
        problems += [f"{where}: {problem}" for problem in [*_length_problems(given), *own]]
    return problems + _block_rate_problems(job)


def _length_problems(given: dict[str, object]) -> Iterator[str]:
    if ("epochs" in given) == ("steps" in given):
        yield "give either epochs or steps, for how long it lasts."


def _refused(phase: PhaseSettings, job: Job) -> Iterator[str]:
    for key in phase.changes:
        reason = why_not_here(key, job)
        if reason:
            yield f"{key} cannot change during a run: {reason}."


def _nothing_trained(phase: PhaseSettings) -> Iterator[str]:
    optimizer, network = phase.job.optimizer, phase.job.network
    unet = optimizer.unet_rate > 0 and not network.network_train_text_encoder_only
    text_encoder = (max(optimizer.text_encoder_rate, optimizer.second_text_encoder_rate) > 0
                    and not network.network_train_unet_only)
    if not unet and not text_encoder:
        yield ("neither the UNet nor the text encoder is trained. Give one a rate above 0 in optimizer.learning_rate, "
               "and check network.network_train_unet_only and network.network_train_text_encoder_only.")


def _block_rate_problems(job: Job) -> list[str]:
    """With one rate for all, block rates are in the alphas: a phase can leave a block out, but not change its rate."""
    if not has_one_rate(job.optimizer):
        return []
    rates: dict[str, float] = {}
    for phase in phases_of(job):
        try:
            own = read_blocks(phase.job.network.block_lr_weight) or dict.fromkeys(FULL_SD1, 1.0)
        except ValueError:
            return []  # reported with the list itself
        differ = [block for block, rate in own.items() if rate and rates.setdefault(block, rate) != rate]
        if differ:
            return [f"training.phases, phase {phase.number}: {BLOCK_RATES} changes the rate of "
                    f"{', '.join(differ)}. {job.optimizer.optimizer_type} supports a single rate, so the rate of a "
                    "block is part of its alpha, and stays: it can only be left out, with 0."]
    return []
