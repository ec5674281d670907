"""A check of what the base knows: draws the words, tags the images, measures the loss, and says what follows."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..captions.traits import context_of, fingerprint, has_tag, traits_of
from ..config.groups.knows import KnowsJob
from ..files.atomic import write_atomically
from ..pictures.images import check_pictures, damaged_pictures_error
from ..pictures.scan import Dataset, survey
from ..runs.diagnosis.knows import TRAIT, Drawing, Word, drawings_of, file_mark, words_of
from ..runs.folder import RESULT_FILE, RunFolder
from ..training.encoding import StoppedEarly
from ..training.reporting.report import Reporter
from ..training.run import durations, report_failure
from .consequences import consequences_of
from .known_losses import Measured, measure
from .verdicts import Seen, Tagged, Verdict, verdict

MOST_TRAITS = 8
VERSION = 1

TagImages = Callable[[Sequence[Path], Callable[[int, int], None]], Tagged]
"""Tags images, reporting progress."""


def run_check(job: KnowsJob, run: RunFolder, reporter: Reporter, tag: TagImages | None) -> bool:
    """Carry out ``job`` in ``run``; the last event is finished, stopped or error. Returns whether it did not fail.

    ``tag`` is the tagger, ``None`` without one. Images that are in the run folder already, drawn by the webui, are
    kept; the others are drawn here. Never raises for errors of the run itself.
    """
    started = time.monotonic()
    try:
        reporter.phase("dataset", "Reading the images")
        progress = _until_stop(run, reporter)
        surveyed = survey(job.dataset)
        dataset, missing = _whole(surveyed, progress)
        job = completed(job, dataset)
        measured = measure(job, run, reporter, dataset)
        tagged, without = _tagged(job, run, reporter, dataset, tag, progress)
        for text in (*missing, *without):
            reporter.warning(text)
        result = {**result_of(job, run, dataset, measured, tagged), "missing": [*missing, *without],
                  "captions": fingerprint(surveyed.folder, surveyed.pictures)}
        write_atomically(run.result_file, json.dumps(result, ensure_ascii=False))
        reporter.event("result", {"path": RESULT_FILE})
    except StoppedEarly:
        reporter.event("stopped", {"steps": 0, **durations(started, reporter)})
        return True
    except Exception as problem:  # noqa: BLE001 - the run's last word has to be written whatever happened
        report_failure(problem, run, reporter,
                       "Lower dataset.train_batch_size or dataset.resolution, and try again.")
        return False
    finally:
        reporter.close()
    reporter.event("finished", {"steps": 0, **durations(started, reporter)})
    for sentence in result["advice"]["sentences"]:
        reporter.say(sentence)
    return True


def completed(job: KnowsJob, dataset: Dataset) -> KnowsJob:
    """``job`` with the tags of the subject and the prompt from the captions, where it names none."""
    knows = job.knows
    return dataclasses.replace(job, knows=dataclasses.replace(
        knows, traits=knows.traits or traits_of(dataset.pictures, job.dataset, MOST_TRAITS),
        prompt=knows.prompt or context_of(dataset.pictures, job.dataset)))


def _until_stop(run: RunFolder, reporter: Reporter) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if run.control.asked("stop"):
            raise StoppedEarly
        reporter.progress(done, total)

    return progress


def _whole(dataset: Dataset, progress: Callable[[int, int], None]) -> tuple[Dataset, list[str]]:
    """``dataset`` without damaged images, and a sentence about each. Raises ``DatasetError`` if all are."""
    problems = check_pictures([picture.path for picture in dataset.pictures], progress)
    damaged = {problem.path for problem in problems}
    pictures = tuple(picture for picture in dataset.pictures if picture.path not in damaged)
    if problems and not pictures:
        raise damaged_pictures_error(problems)
    return dataclasses.replace(dataset, pictures=pictures), [
        f"{problem.path.name} is not measured: {problem.reason}. Save it again from the original, or take it out."
        for problem in problems]


def _tagged(job: KnowsJob, run: RunFolder, reporter: Reporter, dataset: Dataset, tag: TagImages | None,
            progress: Callable[[int, int], None]) -> tuple[Tagged | None, list[str]]:
    """Confidences of the drawn images, then of the set's; ``None`` without a tagger or drawn images.

    If the tagger fails, the loss decides, and a sentence says why.
    """
    drawn = [drawing.file for drawing in drawings_of(job, run)]
    if tag is None or not drawn:
        return None, []
    pictures = [*drawn, *(picture.path for picture in dataset.pictures)]
    reporter.phase("tag", "Tagging the images", len(pictures))
    try:
        return tag(pictures, progress), []
    except StoppedEarly:
        raise
    except Exception as problem:  # noqa: BLE001 - whatever fails here, the losses are kept
        return None, [f"The images are not tagged, so only the loss decides: {problem} Or choose another tagger. Then "
                      "check again."]


def result_of(job: KnowsJob, run: RunFolder, dataset: Dataset, measured: Measured,
              tagged: Tagged | None) -> dict[str, Any]:
    """What was found, as JSON values, but for what is missing and the fingerprint; see docs/diagnosis.md."""
    words, drawings = words_of(job), drawings_of(job, run)
    seen = [None] * len(words) if tagged is None else [
        _seen(job, dataset, tagged, drawings, number, word) for number, word in enumerate(words, 1)]
    found = [(word, verdict(word.kind == TRAIT, word.text, what, measured.gain_of(number)))
             for number, (word, what) in enumerate(zip(words, seen, strict=True))]
    images_per_epoch = sum(picture.repeats for picture in dataset.pictures)
    return {
        "version": VERSION, "created": time.time(), "checkpoint": job.base.checkpoint,
        "checkpoint_mark": file_mark(Path(job.base.checkpoint)), "folder": str(dataset.folder),
        "prompt": job.knows.prompt,
        "images_per_word": job.knows.images_per_word, "tagger": job.tagger.model if tagged is not None else "",
        "alone": _pictures(drawings, run, 0),
        "words": [_word(word, one, what, _pictures(drawings, run, number))
                  for number, ((word, one), what) in enumerate(zip(found, seen, strict=True), 1)],
        "images": measured.images(dataset.folder),
        "advice": dataclasses.asdict(consequences_of(found, images_per_epoch))}


def _seen(job: KnowsJob, dataset: Dataset, tagged: Tagged, drawings: Sequence[Drawing], number: int,
          word: Word) -> Seen:
    own = [len(drawings) + place for place, picture in enumerate(dataset.pictures)
           if word.kind != TRAIT or has_tag(picture, word.text, job.dataset)]
    every = range(len(drawings), len(drawings) + len(dataset.pictures))
    rows = [[place for place, drawing in enumerate(drawings) if drawing.word == wanted] for wanted in (number, 0)]
    return Seen(tagged.names, tagged.of(rows[0]), tagged.of(rows[1]), tagged.of(own or every))


def _word(word: Word, found: Verdict, seen: Seen | None, pictures: list[str]) -> dict[str, Any]:
    return {"kind": word.kind, "word": word.text, "level": found.level, "score": found.score,
            "gain": None if found.gain is None else dataclasses.asdict(found.gain), "others": list(found.others),
            "means_something_else": found.means_something_else, "reason": found.reason,
            "tags": [] if seen is None else [list(one) for one in seen.risen()], "pictures": pictures}


def _pictures(drawings: Sequence[Drawing], run: RunFolder, number: int) -> list[str]:
    return [drawing.file.relative_to(run.path).as_posix() for drawing in drawings if drawing.word == number]
