"""Rules of length and time: epochs from the images that should be seen, and how often to save."""

from __future__ import annotations

import math

from ...config.groups.goal import HUMANOID
from ...config.job import Job
from ..dampening import images_with_dampening
from ..of_job import dampening_of
from ..steps import FEWEST_IMAGES_SEEN, IMAGES_SEEN_IF_KNOWN, KNOWN, propose_length, propose_save_every
from .rule import IMAGES_SEEN, OVERNIGHT_MINUTES, Case, Rule

MOST_EPOCHS = 100
"""Of a plan without repeats: with more, hardly any of them is worth a file."""
EPOCHS_WITH_REPEATS = 12
_NIGHT_FACTOR = 1.5
_STEPS = "advice: Number of steps/epochs"
_MEASURED = "this project: the time of earlier runs"


def steps_of(job: Job, images_per_epoch: int) -> int:
    """About how many steps ``job`` takes; with a regularization folder each image is followed by one of those."""
    images = images_per_epoch * (2 if job.dataset.reg_data_dir else 1)
    batches = math.ceil(images / job.dataset.train_batch_size)
    return math.ceil(batches / job.training.gradient_accumulation_steps) * (job.training.max_train_epochs or 1)


def images_with_brakes(case: Case) -> int:
    """The images to see, with what dampening costs; a rank within its category is no brake."""
    brakes = dampening_of(case.job(), case.facts.family)
    if case.checked_letter:
        brakes = brakes.without("network.network_dim")
    return images_with_dampening(case.values[IMAGES_SEEN], brakes.arrows)


def _epochs(case: Case) -> int:
    return propose_length(case.images_per_epoch, 1, images_with_brakes(case)).epochs


def _known_size(case: Case) -> bool:
    return case.facts.images_per_epoch > 0


def _seconds(case: Case, epochs: int) -> float | None:
    job = case.job(training__max_train_epochs=epochs)
    return case.facts.pace(job, steps_of(job, case.images_per_epoch))


def _least_seen(case: Case) -> int:
    """The fewest images that stick; fewer if the base model knows the subject."""
    return IMAGES_SEEN_IF_KNOWN if case.measured_level == KNOWN else FEWEST_IMAGES_SEEN


def _epochs_in_time(case: Case) -> int:
    """The epochs that fit into the time, but no fewer than show what sticks."""
    epochs = case.values["training.max_train_epochs"]
    one = _seconds(case, 1)
    least = math.ceil(_least_seen(case) / case.images_per_epoch)
    return epochs if not one else max(min(epochs, least), min(epochs, int((case.goal.minutes or 0) * 60 / one)))


def _is_late(case: Case) -> bool:
    if not _known_size(case) or case.goal.minutes is None:
        return False
    seconds = _seconds(case, case.values["training.max_train_epochs"])
    return seconds is not None and seconds > case.goal.minutes * 60


def _why_shorter(case: Case) -> str:
    epochs = _epochs_in_time(case)
    if (_seconds(case, epochs) or 0) > (case.goal.minutes or 0) * 60:
        return f"As short as it can be: {epochs} epochs show {_least_seen(case)} images, the least that sticks."
    return f"{case.goal.minutes} minutes are enough for {epochs} epochs here."


def _why_epochs(case: Case) -> str:
    epochs, each, wanted = _epochs(case), case.images_per_epoch, case.values[IMAGES_SEEN]
    more = images_with_brakes(case) / wanted - 1
    braked = f", {more:.0%} more for settings that slow learning" if more >= 0.01 else ""
    return (f"{epochs} epochs of {each} images show {epochs * each:,}: {wanted:,} are wanted{braked}.")


def _repeats(case: Case) -> int:
    """The repeats with which about a dozen epochs show as many images."""
    return case.repeats * math.ceil(_epochs(case) / EPOCHS_WITH_REPEATS)


def _why_repeats(case: Case) -> str:
    each = case.images_per_epoch
    return (f"With {each} image{'' if each == 1 else 's'} an epoch, it would take {_epochs(case):,} epochs. With "
            f"{_repeats(case)} repeats, about {EPOCHS_WITH_REPEATS} epochs show as much, and each is saved to compare.")


LENGTH = (
    Rule("night", "a night, with an optimizer that finds its rate",
         lambda case: case.adaptive and (case.goal.minutes or 0) >= OVERNIGHT_MINUTES and not case.known
         and case.goal.made_into != HUMANOID,
         "There is time, and more epochs with Prodigy carry little risk: half as much again, every few saved to choose "
         "from.", "advice: Learning rates (adaptive optimizers)", lambda case: case.longer(_NIGHT_FACTOR),
         extends=True),
    Rule("few-images-repeats", f"more than {MOST_EPOCHS} epochs, and no folder has repeats of its own",
         lambda case: _known_size(case) and case.facts.follows_repeats and _epochs(case) > MOST_EPOCHS,
         lambda case: _why_repeats(case), "this project: about a dozen saved files",
         lambda case: {"dataset.dataset_repeats": _repeats(case)}),
    Rule("epochs", "the number of images is known", _known_size, _why_epochs, f"{_STEPS}; advice: Learn dampening",
         lambda case: {"training.max_train_epochs": _epochs(case)}),
    Rule("in-time", "a time that the run would exceed", lambda case: _is_late(case)
         and _epochs_in_time(case) < case.values["training.max_train_epochs"],
         lambda case: _why_shorter(case), _MEASURED,
         lambda case: {"training.max_train_epochs": _epochs_in_time(case),
                       IMAGES_SEEN: int(case.values[IMAGES_SEEN] * _epochs_in_time(case)
                                        / case.values["training.max_train_epochs"])}),
    Rule("too-late", "a time in which too little is seen", _is_late,
         lambda case: f"Even {_least_seen(case)} images, the least that sticks, take longer than {case.goal.minutes} "
                      "minutes here. Give it more time, or choose a lower resolution.", f"{_STEPS}; {_MEASURED}",
         todo=True),
    Rule("save-every", "the number of images is known", _known_size,
         "Some epochs are saved to compare, at most a dozen: every one of a short run, else every fourth or fewer.",
         "advice: Starting settings",
         lambda case: {"save.save_every_n_epochs": propose_save_every(case.values["training.max_train_epochs"])}),
    Rule("count-images", "the number of images is unknown", lambda case: not _known_size(case),
         "Choose an image folder: the number of epochs depends on how many images there are.", _STEPS, todo=True),
)
