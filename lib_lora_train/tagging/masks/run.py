"""A masking run, from folder to mask files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...captions.editor.masks import NewMask, put_masks
from ...captions.journal.journal import Journal
from ...captions.journal.recover import sentences
from ...config.groups.masking import BORDER, FACE, PREVIEW, REPLACE_ALL, REPLACE_AUTOMATIC, SUBJECT
from ...config.mask_job import MaskJob
from ...config.mask_models import find_mask_model, known_mask_model, where_a_mask_model_belongs
from ...errors import DatasetError, TaggerError
from ...files.confine import open_inside
from ...pictures.faces import FaceDetector
from ...pictures.images import PictureError, decoded, decoding_threads
from ...pictures.listing import PictureFile, list_folder
from ...pictures.masks.automatic import made_mask
from ...pictures.masks.shape import NoMaskError, method_of_file, png_of
from ...pictures.problems import count_of
from ..run import Report, downloaded, reported
from ..work import chosen_among, in_threads
from .model import MaskNetwork
from .results import MadeMasks

_MOST_REPORTED = 20
"""Images named in warnings, each with its reason; of the others, only the number is reported."""


@dataclass(frozen=True)
class _Made:
    """The mask of one image, saved; or why there is none."""

    picture: PictureFile
    problem: str = ""


def run_masking(job: MaskJob, results: Path, asked: Callable[[str], bool], stand_still: Callable[[], object],
                report: Report) -> bool:
    """Run the masking ``job`` and report to ``report``; the last event is finished, stopped or error.

    ``results`` is the folder that stores the masks until all are put in place. ``asked`` and ``stand_still`` as for
    ``run_tagging``. ``finished`` and ``stopped`` carry ``pictures`` (masks made), ``written``, ``had_masks``,
    ``failed``, ``changed_meanwhile``, ``method``, ``mode``, ``model``, ``provider`` and ``seconds``.
    Returns ``False`` if the run failed; errors are reported, never raised.
    """
    return reported(MaskingRun(job, results, asked, stand_still, report), results, report)


class MaskingRun:
    """The steps of one run, and its counts."""

    def __init__(self, job: MaskJob, results: Path, asked: Callable[[str], bool], stand_still: Callable[[], object],
                 report: Report) -> None:
        self._job, self._results, self._report = job, results, report
        self._asked, self._stand_still = asked, stand_still
        self._folder = Path(os.path.realpath(Path(job.dataset.train_data_dir).expanduser()))
        self._network: MaskNetwork | None = None
        self._faces: FaceDetector | None = None
        self._pictures = self._written = self._had_masks = self._changed = 0
        self._failed: list[str] = []

    def execute(self) -> bool:
        """Load the model, make the masks, put them in place; ``False`` if stopped before the end."""
        job, report = self._job, self._report
        report.phase("list", "Looking for images")
        chosen = self._chosen()
        journal = None if job.write.mode == PREVIEW else Journal(self._folder)
        if journal is not None:
            for sentence in sentences(journal.recover()):
                report.warning(sentence)
        if not self._prepare():
            return False
        kept = MadeMasks(self._results, chosen)
        completed = self._make(chosen, kept)
        self._pictures = len(kept.masks)
        if journal is not None:
            report.phase("write", "Putting the masks in place")
            self._put_in_place(journal, kept)
        self._report_failed()
        return completed

    def counts(self) -> dict[str, Any]:
        """The counts of the run, for its last event."""
        network = self._network
        return {"pictures": self._pictures, "written": self._written, "had_masks": self._had_masks,
                "failed": len(self._failed), "changed_meanwhile": self._changed, "method": self._job.mask.method,
                "mode": self._job.write.mode, "model": network.name if network else "",
                "provider": network.provider if network else ""}

    def in_words(self, completed: bool) -> str:
        """The counts as a sentence."""
        parts = [f"{count_of(self._pictures, 'mask')} made", f"{self._written} put in place"]
        if self._had_masks:
            parts.append(f"{count_of(self._had_masks, 'image')} left alone because of existing masks")
        if self._failed:
            parts.append(f"{count_of(len(self._failed), 'image')} without a mask")
        return ("Finished: " if completed else "Stopped: ") + ", ".join(parts) + "."

    def _chosen(self) -> list[PictureFile]:
        """The images to mask. Raises ``DatasetError`` if there is none."""
        listing = list_folder(self._folder, ".txt")
        chosen = chosen_among((file.path for file in listing.pictures), self._job.dataset.images, listing.left_out,
                              self._folder, self._report.warning)
        pictures = [file for file in listing.pictures if file.path in chosen]
        if not pictures:
            raise DatasetError(f"There is no image to mask in {self._folder}. Choose the folder or the images again.")
        free = [file for file in pictures if self._may_replace(file)]
        self._had_masks = len(pictures) - len(free)
        return free

    def _may_replace(self, file: PictureFile) -> bool:
        """Whether the image has no mask, or one that the mode may replace."""
        mode = self._job.write.mode
        if not file.mask or mode in (REPLACE_ALL, PREVIEW):
            return True
        return mode == REPLACE_AUTOMATIC and bool(method_of_file(self._folder, file.mask))

    def _prepare(self) -> bool:
        """Load what the method needs; ``False`` if a download was stopped."""
        settings, report = self._job.mask, self._report
        if settings.method == FACE:
            self._faces = FaceDetector("Masks of faces need", "Choose another method.")
        if settings.method != SUBJECT:
            return True
        models_dir = Path(settings.models_dir or "models/TrainLora/masks").expanduser().absolute()
        found, known = find_mask_model(models_dir, settings.model), known_mask_model(settings.model)
        if found is None and known is not None and settings.download:
            if not downloaded(known, models_dir, lambda: self._asked("stop"), report):
                return False
            found = find_mask_model(models_dir, settings.model)
        if found is None:
            raise TaggerError(where_a_mask_model_belongs(models_dir, settings.model))
        name = known.name if known else found[0].stem
        report.phase("load", f"Loading {name}")
        self._network = MaskNetwork(name, *found, settings.provider, report.warning)
        return True

    def _make(self, chosen: Sequence[PictureFile], kept: MadeMasks) -> bool:
        """Make the masks that are not in ``kept``; ``False`` if stopped before the end."""
        waiting = [file for file in chosen if file.path not in kept.masks]
        done = len(chosen) - len(waiting)
        how = {BORDER: "by the color of the border", FACE: "around faces"}.get(
            self._job.mask.method, f"with {self._network.name} on {self._network.runs_on}" if self._network else "")
        self._report.phase("mask", f"Making masks {how}", len(chosen))
        threads = 2 if self._network else decoding_threads()
        with closing(in_threads(waiting, lambda file: self._made(file, kept), threads, 2 * threads)) as made:
            for one in made:
                if one.problem:
                    self._failed.append(f"{one.picture.path}: {one.problem}")
                done += 1
                self._report.progress(done, len(chosen))
                self._stand_still()
                if self._asked("stop") and done < len(chosen):
                    return False
        return True

    def _made(self, file: PictureFile, kept: MadeMasks) -> _Made:
        try:
            with open_inside(self._folder, file.path) as source, decoded(self._folder / file.path, source) as picture:
                model = None if self._network is None else self._network.mask
                mask = made_mask(self._job.mask, picture, self._folder / file.path, self._faces, model)
            kept.add(file, png_of(mask, self._job.mask.method))
        except (NoMaskError, PictureError) as problem:
            return _Made(file, problem.reason)
        except DatasetError as problem:
            return _Made(file, str(problem))
        return _Made(file)

    def _put_in_place(self, journal: Journal, kept: MadeMasks) -> None:
        """Put the masks in place as one edit, except where a mask has come or changed meanwhile."""
        now = {file.path: file for file in list_folder(self._folder, ".txt").pictures}
        masks = []
        for picture, made in kept.masks.items():
            file = now.get(picture)
            if file is None or not self._may_replace(file):
                self._changed += 1
                continue
            masks.append(NewMask(picture, file.mask, made.png()))
        if masks:
            label = f"Made {count_of(len(masks), 'mask')} ({self._job.mask.method})"
            put_masks(self._folder, masks, lambda moves: journal.do(label, moves, {}))
            journal.settle()
        self._written = len(masks)

    def _report_failed(self) -> None:
        for line in self._failed[:_MOST_REPORTED]:
            self._report.warning(f"No mask for {line}.")
        if len(self._failed) > _MOST_REPORTED:
            self._report.warning(f"{count_of(len(self._failed) - _MOST_REPORTED, 'more image')} got no mask for "
                                 "similar reasons. Filter by nomask to see them all.")
