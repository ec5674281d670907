"""Advice on a job as a whole: its length, its dampening, and whether the network suits the subject."""

from __future__ import annotations

from ..config.job import Job
from ..config.optimizer_args import finds_own_rate
from .dampening import Dampening, dampening, images_with_dampening
from .difficulty import DIFFICULTIES, difficulty, rank_advice
from .families import SD1, FamilyAdvice
from .steps import USUAL_IMAGES_SEEN, length_problem

_BRAKES_WORTH_A_WORD = 2.0


def advice_on(job: Job, images_per_epoch: int, steps_per_epoch: int, total_steps: int, letter: str,
              family: FamilyAdvice = SD1) -> list[str]:
    """Sentences, the most important first, with settings by name.

    ``images_per_epoch`` is the sum of training images x repeats. ``letter`` is the difficulty category, empty if
    unknown; its ranks are converted for ``family``.
    """
    found = []
    known = letter.upper() in [one.letter for one in DIFFICULTIES]
    category = difficulty(letter).on(family) if known else None
    images_seen = round(images_per_epoch * total_steps / steps_per_epoch)
    too_short = length_problem(images_per_epoch, images_seen)
    if too_short is not None:
        found.append(too_short)
    brakes = dampening_of(job, family)
    if category is not None:
        found += rank_advice(category, job.network.network_dim, job.network.network_type)
        if category.lowest_rank <= job.network.network_dim <= category.highest_rank:
            brakes = brakes.without("network.network_dim")  # this is the rank to choose
    return found + _about_brakes(brakes, images_seen)


def dampening_of(job: Job, family: FamilyAdvice) -> Dampening:
    """The dampening of ``job``."""
    width, height = job.dataset.size
    network = job.network
    return dampening(
        width=width, height=height, network_dim=network.network_dim,
        alpha=network.network_alpha or network.network_dim, noise_offset=job.loss.noise_offset,
        adaptive=finds_own_rate(job.optimizer), min_snr_gamma=job.loss.min_snr_gamma, family=family)


def _about_brakes(brakes: Dampening, images_seen: int) -> list[str]:
    """Empty if the run is already long enough to compensate."""
    if brakes.arrows <= _BRAKES_WORTH_A_WORD or images_seen >= images_with_dampening(USUAL_IMAGES_SEEN, brakes.arrows):
        return []
    most = [f"{brake.setting.split('.')[1]} ({brake.effect})" for brake in brakes.brakes if brake.arrows > 0]
    return [f"{brakes.advice} Biggest brakes on learning: {', '.join(most[:3])}."]
