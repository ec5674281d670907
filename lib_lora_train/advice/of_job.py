"""Advice on a job as a whole: its length, its dampening, and whether the network suits the subject."""

from __future__ import annotations

from ..config.groups.dataset import DatasetSettings
from ..config.job import Job
from ..config.optimizer_args import finds_own_rate
from .dampening import Dampening, dampening, images_with_dampening
from .difficulty import DIFFICULTIES, Difficulty, difficulty, rank_advice
from .families import SD1, FamilyAdvice
from .steps import USUAL_IMAGES_SEEN, length_problem

_BRAKES_WORTH_A_WORD = 2.0
_ENOUGH_TO_HOLD_OUT, _SHARE = 40, 0.1
"""A tenth of fewer images would be too few to measure on."""


def advice_on(job: Job, images_per_epoch: int, steps_per_epoch: int, total_steps: int, letter: str,
              family: FamilyAdvice = SD1, images_wanted: int = USUAL_IMAGES_SEEN) -> list[str]:
    """Sentences, the most important first, with settings by name.

    ``images_per_epoch`` is the sum of training images x repeats. ``letter`` is the difficulty category, empty if
    unknown; its ranks are converted for ``family``. ``images_wanted`` is how many images the run should see if nothing
    slows learning.
    """
    found = []
    category = _category(letter, family)
    images_seen = round(images_per_epoch * total_steps / steps_per_epoch)
    too_short = length_problem(images_per_epoch, images_seen, images_wanted)
    if too_short is not None:
        found.append(too_short)
    found += rank_objections(job, letter, family)
    return found + _about_brakes(_brakes(job, category, family), images_seen, images_wanted)


def rank_objections(job: Job, letter: str, family: FamilyAdvice = SD1) -> list[str]:
    """Why rank or network type do not suit the category ``letter``, a sentence each; empty without a category."""
    category = _category(letter, family)
    return [] if category is None else rank_advice(category, job.network.network_dim, job.network.network_type)


def images_to_see(job: Job, letter: str, family: FamilyAdvice, images_wanted: int) -> int:
    """How many images ``job`` should see so that ``advice_on`` does not object to its dampening; the arguments are its.
    """
    arrows = _brakes(job, _category(letter, family), family).arrows
    return images_wanted if arrows <= _BRAKES_WORTH_A_WORD else images_with_dampening(images_wanted, arrows)


def _category(letter: str, family: FamilyAdvice) -> Difficulty | None:
    known = letter.upper() in [one.letter for one in DIFFICULTIES]
    return difficulty(letter).on(family) if known else None


def _brakes(job: Job, category: Difficulty | None, family: FamilyAdvice) -> Dampening:
    """The dampening of ``job``, without that of a rank to choose for ``category``."""
    brakes, rank = dampening_of(job, family), job.network.network_dim
    if category is not None and category.lowest_rank <= rank <= category.highest_rank:
        return brakes.without("network.network_dim")
    return brakes


def dampening_of(job: Job, family: FamilyAdvice) -> Dampening:
    """The dampening of ``job``."""
    width, height = job.dataset.size
    network = job.network
    return dampening(
        width=width, height=height, network_dim=network.network_dim,
        alpha=network.network_alpha or network.network_dim, noise_offset=job.loss.noise_offset,
        adaptive=finds_own_rate(job.optimizer), min_snr_gamma=job.loss.min_snr_gamma, family=family)


def _about_brakes(brakes: Dampening, images_seen: int, wanted: int) -> list[str]:
    """Empty if the run is already long enough to compensate."""
    if brakes.arrows <= _BRAKES_WORTH_A_WORD or images_seen >= images_with_dampening(wanted, brakes.arrows):
        return []
    most = [f"{brake.setting.split('.')[1]} ({brake.effect})" for brake in brakes.brakes if brake.arrows > 0]
    return [f"{brakes.advice} Biggest brakes on learning: {', '.join(most[:3])}."]


def held_out_advice(settings: DatasetSettings, trained: int, held_out: int, names: str) -> list[str]:
    """What it means to hold out ``held_out`` images, called ``names``, of which ``trained`` are left; for large sets,
    that it is worthwhile.
    """
    if held_out:
        return [f"{held_out} of {trained + held_out} images are held out and not learned. The loss on them shows which "
                f"epoch is best: {names}."]
    if settings.validation_split or settings.validation_data_dir or trained < _ENOUGH_TO_HOLD_OUT:
        return []
    return [f"With {trained} images you can spare some: validation_split {_SHARE:g} would hold out about "
            f"{round(_SHARE * trained)}, which are then not learned. In return, the run says which epoch is best."]
