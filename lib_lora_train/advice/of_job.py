"""What is worth saying about a job as a whole: its length, what brakes it, and whether the network fits."""

from __future__ import annotations

from ..config.job import Job
from ..config.optimizer_args import finds_own_rate
from .dampening import dampening
from .difficulty import DIFFICULTIES, difficulty, rank_advice
from .steps import length_problem

_BRAKES_WORTH_A_WORD = 2.0


def advice_on(job: Job, looks_per_epoch: int, steps_per_epoch: int, total_steps: int, letter: str | None) -> list[str]:
    """Sentences, the most important first; settings are called by their names.

    ``looks_per_epoch`` is the sum of training pictures x repeats. ``letter`` is the guide's category of what is
    learned, empty if it is not known; ``None`` if its ranks and brakes do not hold for the model (SDXL).
    """
    found = []
    looks = round(looks_per_epoch * total_steps / steps_per_epoch)
    too_short = length_problem(looks_per_epoch, looks)
    if too_short is not None:
        found.append(too_short)
    if letter is None:
        return found
    if letter.upper() in [one.letter for one in DIFFICULTIES]:
        found += rank_advice(difficulty(letter), job.network.network_dim, job.network.network_type)
    return found + _about_brakes(job)


def _about_brakes(job: Job) -> list[str]:
    width, height = job.dataset.size
    network = job.network
    brakes = dampening(
        width=width, height=height, network_dim=network.network_dim,
        alpha=network.network_alpha or network.network_dim, noise_offset=job.loss.noise_offset,
        adaptive=finds_own_rate(job.optimizer), min_snr_gamma=job.loss.min_snr_gamma)
    if brakes.arrows <= _BRAKES_WORTH_A_WORD:
        return []
    names = [brake.setting.split(".")[1] for brake in brakes.brakes if brake.arrows > 0]
    return [f"{brakes.advice} What brakes most: {', '.join(names[:3])}."]
