"""Which images a run was trained on, as it noted itself: the folder may have changed since."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..batches.held_out import held_out_pictures
from ..batches.plan import chosen_pictures
from ..config.job import Job
from ..config.phases.effective import phases_of
from ..errors import DatasetError
from ..files.json_file import DamagedFileError
from ..files.reading import reason
from ..pictures.problems import count_of
from ..pictures.scan import Dataset, Picture
from ..runs.diagnosis.records import FOLDER, PLAN_FILE, read_plan


@dataclass(frozen=True)
class TrainedOn:
    """``names`` are the training images, as paths relative to their folder; ``None`` if the run has no list.

    ``held_out`` is how many images the run held out, if it reported that. ``all_phases``: whether the list has the
    images of later training phases.
    """

    names: frozenset[str] | None = None
    held_out: int | None = None
    all_phases: bool = True


def trained_on(run: Path, folder: str, events: Iterable[Mapping[str, Any]], warn: Callable[[str], None]) -> TrainedOn:
    """What the run folder ``run`` says about the images in ``folder``, from which it was trained.

    A run that was resumed with other images has a list for each part. A damaged list is reported to ``warn``.
    """
    reported = [len(event["each"]) for event in events
                if event["event"] == "validation" and isinstance(event.get("each"), list)]
    names: set[str] = set()
    all_phases = True
    try:
        for path in sorted((run / FOLDER).glob(f"*{PLAN_FILE}")):
            plan = read_plan(path.parent, path.name)
            if plan is not None:
                names.update(_name(path, folder) for path in (*(image.path for image in plan.images),
                                                              *(plan.later or ())))
                all_phases = all_phases and plan.later is not None
    except (DamagedFileError, OSError) as problem:
        warn(f"{FOLDER}/{path.name} cannot be read: {reason(problem)}. Which images the run was trained on is taken "
             "from the folder as it is now.")
        names = set()
    return TrainedOn(frozenset(names) or None, reported[-1] if reported else None, all_phases)


@dataclass(frozen=True)
class Parted:
    """The images of a folder: ``trained`` on, and ``held_out``. ``doubt`` is a sentence: why that may be wrong.

    ``added``: whether nothing was held out, and these came into the folder after the run.
    """

    trained: tuple[Picture, ...]
    held_out: tuple[Picture, ...]
    doubt: str = ""
    added: bool = False


def parted(job: Job, dataset: Dataset, known: TrainedOn) -> Parted:
    """The images of ``dataset`` that a run of ``job`` was trained on, and those that it was not.

    Without ``validation_split``, images that came into the folder after the run count as held out, if the run has a
    list. Raises ``ConfigError`` or ``DatasetError`` if no image is left.
    """
    by_rule = held_out_pictures(job.dataset, dataset)
    if known.names is None:
        trained = set(_of_all_phases(job, dataset)) - set(by_rule)
        return Parted(tuple(picture for picture in dataset.pictures if picture in trained), by_rule,
                      _without_list(len(by_rule), known.held_out) if by_rule else "")
    names = {picture: _name(str(picture.path), job.dataset.train_data_dir) for picture in dataset.pictures}
    trained_images = tuple(picture for picture in dataset.pictures if names[picture] in known.names)
    if not trained_images:
        raise DatasetError(f"{dataset.folder} has none of the {count_of(len(known.names), 'image')} that the run was "
                           "trained on. If they have moved, give their folder as the image folder (train_data_dir).")
    others = {*by_rule, *_of_all_phases(job, dataset)} - set(trained_images)
    unknown = bool(job.training.phases) and not known.all_phases
    if unknown:
        others &= set(by_rule)
    held_out = tuple(picture for picture in dataset.pictures if picture in others)
    if not held_out:
        return Parted(trained_images, ())
    unsure = set(dataset.pictures) - set(trained_images) - set(by_rule) if unknown else ()
    gone = known.names - {names[one] for one in trained_images}
    return Parted(trained_images, held_out, _with_list(gone, len(unsure), dataset.folder),
                  added=not job.dataset.validation_split)


def _of_all_phases(job: Job, dataset: Dataset) -> list[Picture]:
    """The images that some training phase of ``job`` chooses. Raises ``ConfigError`` if one chooses none."""
    return [picture for phase in phases_of(job) for picture in chosen_pictures(phase.job.dataset, dataset)]


def _without_list(now: int, then: int | None) -> str:
    text = ("The run has no list of its training images (diagnosis/plan.json), so which images it held out is worked "
            "out from the folder as it is now. ")
    if then is not None and then != now:
        return text + f"It held out {then} and these are {now}, so some of them were probably trained on."
    return text + "If images were added, removed or renamed since, some of them may have been trained on."


def _with_list(gone: frozenset[str], of_later_phases: int, folder: Path) -> str:
    if gone:
        return (f"{count_of(len(gone), 'image')} that the run was trained on {'is' if len(gone) == 1 else 'are'} no "
                f"longer in {folder}. If they were renamed, some of the held-out images were trained on.")
    if of_later_phases:
        return ("The run has a list of the training images of its first phase only. If images were added or removed "
                "since, some of the held-out images may have been trained on in a later phase.")
    return ""


def _name(path: str, folder: str) -> str:
    """``path`` as it is called in ``folder``, or whole if it is elsewhere."""
    whole, root = (Path(os.path.normcase(os.path.realpath(one))) for one in (path, folder))
    return str(whole.relative_to(root) if root in whole.parents else whole)
