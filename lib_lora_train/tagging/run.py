"""A tagging run, from folder to captions."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from ..captions.tags import plain
from ..config.groups.tagging import CONFIDENCES_ONLY, FLORENCE, IF_EMPTY, INTERROGATOR
from ..config.tag_job import TagJob
from ..config.taggers import (
    FLORENCE_2,
    TaggerFiles,
    find_captioner,
    find_tagger,
    known_tagger,
    where_captioner_belongs,
    where_it_belongs,
)
from ..errors import TaggerError, TrainLoraError
from ..files.writing import why_it_ended
from ..pictures.problems import count_of, names_of
from .choose import TagChooser
from .confidences import keep_confidences
from .describe import Captioner, DescribingPass, WebuiDescriptions
from .download import Download, download_tagger
from .results import Result, ResultFile
from .session import Tagger
from .work import Item, Prepared, in_batches, list_items, prepare_ahead
from .writing import CaptionWriter, Written

MOST_NEAR = 20
"""The number of tags that are shown for one image beside those that are written."""


class Report(Protocol):
    """Receives the progress of a run."""

    def event(self, event: str, fields: Mapping[str, Any] | None = None) -> None:
        """Append an event to the run's log."""

    def phase(self, name: str, text: str, total: int | None = None) -> None:
        """Start a new phase."""

    def progress(self, done: int, total: int) -> None:
        """Report the progress of the phase."""

    def say(self, text: str) -> None:
        """Print a line to the terminal and the log."""

    def warning(self, text: str) -> None:
        """Report a warning; the run continues."""

    @property
    def still_seconds(self) -> float:
        """The total time that the run was paused."""

    def close(self) -> None:
        """End the report."""


def run_tagging(job: TagJob, results_file: Path, asked: Callable[[str], bool], stand_still: Callable[[], object],
                report: Report) -> bool:
    """Run the tagging ``job`` and report to ``report``; the last event is finished, stopped or error.

    ``results_file`` stores the results, so that a run can be resumed. ``asked("stop")`` returns whether a stop is
    requested; ``stand_still`` blocks while a pause is.

    ``finished`` and ``stopped`` carry ``pictures`` (tagged), ``had_captions``, ``failed``, ``written``, ``unchanged``,
    ``changed_meanwhile``, ``provider``, ``model`` and ``seconds``. Returns ``False`` if the run failed. Errors of the
    run are reported as an event, never raised.
    """
    return reported(TaggingRun(job, results_file, asked, stand_still, report), results_file, report)


class Run(Protocol):
    """The steps of one run, and its counts."""

    def execute(self) -> bool:
        """Do everything; ``False`` if stopped before the end."""

    def counts(self) -> dict[str, Any]:
        """The counts of the run, for its last event."""

    def in_words(self, completed: bool) -> str:
        """The counts as a sentence."""


def reported(run: Run, results_file: Path, report: Report) -> bool:
    """Execute ``run``; the last event is finished, stopped or error. Returns ``False`` if it failed, never raises."""
    began = time.monotonic()
    try:
        completed = run.execute()
    except TrainLoraError as problem:
        report.event("error", {"text": str(problem), "detail": ""})
        report.say(f"\n{problem}")
        return False
    except Exception as problem:  # noqa: BLE001 - the last event has to be written in any case
        text = why_it_ended(problem, results_file)
        report.event("error", {"text": text, "detail": traceback.format_exc()})
        report.say(f"\n{text}\n{traceback.format_exc()}")
        return False
    finally:
        report.close()
    still = report.still_seconds
    report.event("finished" if completed else "stopped",
                 {"steps": 0, "seconds": round(time.monotonic() - began - still, 1), "still_seconds": round(still, 1),
                  **run.counts()})
    report.say(run.in_words(completed))
    return True


def downloaded(known: Download, models_dir: Path, stopped: Callable[[], bool], report: Report) -> bool:
    """Download ``known`` with progress; ``False`` if stopped before it was complete. Raises ``TaggerError``."""
    current = [""]

    def report_download(file: str, done: int, total: int) -> None:
        if current[0] != file:
            current[0] = file
            report.phase("download", f"Downloading {file} of {known.repository} ({total / 1e6:.0f} MB)", total)
        report.progress(done, total)

    return download_tagger(known, models_dir, progress=report_download, stopped=stopped, note=report.warning)


def sample_of(result: Result) -> dict[str, Any]:
    """What a run would write for one image, to show the effect of its rules: ``tags`` and ``near``, the likeliest tags
    that are not written, each ``[tag, confidence]`` (``None`` if not kept); ``image`` and ``prose``.
    """
    confidences, written = result.chosen.confidences, result.chosen.tags
    plain_written = {plain(tag) for tag in written}
    near = [(tag, value) for tag, value in confidences.items() if plain(tag) not in plain_written]
    by_tag = {plain(tag): value for tag, value in confidences.items()}
    return {"image": result.key, "tags": [[tag, by_tag.get(plain(tag))] for tag in written],
            "near": sorted(near, key=lambda one: -one[1])[:MOST_NEAR], "prose": result.prose or ""}


class TaggingRun:
    """The steps of one run, and its counts."""

    def __init__(self, job: TagJob, results_file: Path, asked: Callable[[str], bool],
                 stand_still: Callable[[], object], report: Report) -> None:
        self._job, self._results_file, self._report = job, results_file, report
        self._asked, self._stand_still = asked, stand_still
        self._pictures = self._had_captions = self._failed = 0
        self._written = Written()
        self._names: list[str] = []
        self._provider = ""

    def execute(self) -> bool:
        """Load the tagger, tag the images, write the captions; ``False`` if stopped before the end."""
        job, report = self._job, self._report
        report.phase("list", "Looking for images")
        folder, items = list_items(job.dataset, report.warning)
        writer = CaptionWriter(folder, report.warning)
        files, captioner = self._files() if job.tags_images else None, self._captioner(folder)
        if (files is None and job.tags_images) or (captioner is None and job.describes):
            return False
        with ResultFile(self._results_file, folder) as kept:
            completed = files is None or self._load_and_tag(files, items, kept)
            if captioner is not None and completed:
                tagged = [item for item in items if item.key in kept.results] if job.tags_images else items
                completed = self._describe(captioner, tagged, kept)
            results = [result for result in kept.results.values() if result.prose is not None or not job.describes]
        if job.write.mode != CONFIDENCES_ONLY:
            self._report_empty(results)
        elif len(results) == 1:
            report.event("tags", sample_of(results[0]))
        report.phase("write", "Writing captions")
        self._pictures = len(results)
        if job.write.mode != CONFIDENCES_ONLY:
            self._written = writer.write(results, job, " and ".join(self._names))
        if job.tags_images:
            keep_confidences(folder, {result.key: result.chosen.confidences for result in results})
        return completed

    def counts(self) -> dict[str, Any]:
        """The counts of the run, for its last event."""
        return {"pictures": self._pictures, "had_captions": self._had_captions, "failed": self._failed,
                "written": self._written.written, "unchanged": self._written.unchanged,
                "changed_meanwhile": self._written.changed_meanwhile, "described": not self._job.tags_images,
                "mode": self._job.write.mode,
                "model": " and ".join(self._names), "provider": self._provider}

    def in_words(self, completed: bool) -> str:
        """The counts as a sentence."""
        parts = [f"{count_of(self._pictures, 'image')} {'tagged' if self._job.tags_images else 'described'}",
                 f"{count_of(self._written.written, 'caption')} written"]
        if self._had_captions:
            parts.append(f"{self._had_captions} left alone because they had captions")
        if self._failed:
            parts.append(f"{self._failed} could not be read")
        return ("Finished: " if completed else "Stopped: ") + ", ".join(parts) + "."

    @property
    def _models_dir(self) -> Path:
        return Path(self._job.tagger.models_dir or "models/TrainLora/taggers").expanduser().absolute()

    def _files(self) -> TaggerFiles | None:
        """The tagger's files, downloaded if allowed; ``None`` if the run was stopped meanwhile."""
        settings, report = self._job.tagger, self._report
        models_dir = self._models_dir
        found, known = find_tagger(models_dir, settings.model), known_tagger(settings.model)
        if found is not None:
            return found
        if known is None or not settings.download:
            raise TaggerError(where_it_belongs(models_dir, settings.model))
        if not downloaded(known, models_dir, lambda: self._asked("stop"), report):
            return None
        found = find_tagger(models_dir, settings.model)
        if found is None:
            raise TaggerError(where_it_belongs(models_dir, settings.model))
        return found

    def _captioner(self, folder: Path) -> Captioner | WebuiDescriptions | None:
        """What describes the images; ``None`` if nothing does, or if the run was stopped meanwhile."""
        job, report = self._job, self._report
        if job.prose.captioner == INTERROGATOR:
            return WebuiDescriptions(folder)
        if job.prose.captioner != FLORENCE:
            return None
        files = find_captioner(self._models_dir)
        if files is None and job.prose.download:
            if not downloaded(FLORENCE_2, self._models_dir, lambda: self._asked("stop"), report):
                return None
            files = find_captioner(self._models_dir)
        if files is None:
            raise TaggerError(where_captioner_belongs(self._models_dir))
        report.phase("load", "Loading Florence-2")
        from .florence import Florence

        return Florence(files, job.tagger, job.prose.detail, report.warning)

    def _describe(self, captioner: Captioner | WebuiDescriptions, items: Sequence[Item], kept: ResultFile) -> bool:
        """Describe ``items``; ``False`` if stopped before the end."""
        report = self._report
        self._names.append(captioner.name)
        self._provider = self._provider or captioner.provider
        report.phase("describe", f"Describing with {captioner.name} on {captioner.runs_on}", len(items))

        def progress(done: int) -> bool:
            report.progress(done, len(items))
            return self._may_continue()

        describing = DescribingPass(captioner, self._job.write.mode, self._job.tagger.decoding_threads)
        completed = describing.run(items, kept, self._note, progress)
        if describing.missing:
            missing = [Path(key) for key in describing.missing]
            report.warning(f"{count_of(len(missing), 'image')} {'has' if len(missing) == 1 else 'have'} no description "
                           f"by the webui's interrogator and {'is' if len(missing) == 1 else 'are'} left alone: "
                           f"{names_of(missing)}. Start the run in the tab, which describes them first.")
        return completed

    def _load_and_tag(self, files: TaggerFiles, items: Sequence[Item], kept: ResultFile) -> bool:
        self._report.phase("load", f"Loading {files.name}")
        tagger = Tagger(files, self._job.tagger, self._report.warning)
        self._names.append(tagger.name)
        self._provider = tagger.provider
        return self._tag(tagger, items, kept)

    def _tag(self, tagger: Tagger, items: Sequence[Item], kept: ResultFile) -> bool:
        """Tag the images without a result in ``kept``; ``False`` if stopped before the end."""
        chooser = TagChooser(tagger.tag_list, self._job.tags)
        waiting = [item for item in items if item.key not in kept.results]
        done = len(items) - len(waiting)
        self._report.phase("tag", f"Tagging with {tagger.name} on {tagger.runs_on}", len(items))
        threads = self._job.tagger.decoding_threads
        prepared = prepare_ahead(waiting, tagger.prepare, self._job.write.mode, 2 * tagger.batch_size, threads)
        with closing(prepared):
            for batch, passed in in_batches(prepared, tagger.batch_size):
                self._note(passed)
                if batch:
                    found = tagger.confidences([one.pixels for one in batch if one.pixels is not None])
                    kept.add(Result(one.item.key, one.item.caption_key, one.caption, chooser.choose(row))
                             for one, row in zip(batch, found, strict=True))
                done += len(batch) + len(passed)
                self._report.progress(done, len(items))
                if not self._may_continue() and done < len(items):
                    return False
        return True

    def _report_empty(self, results: Sequence[Result]) -> None:
        empty = [Path(result.key) for result in results if not result.chosen.tags] if self._job.tags_images else []
        if empty:
            self._report.warning(f"The tagger found no tag in {count_of(len(empty), 'image')}: "
                                 f"{names_of(empty)}. Lower the threshold, or write the caption by hand.")

    def _note(self, passed: Sequence[Prepared]) -> None:
        for one in passed:
            if one.problem:
                self._failed += 1
                self._report.warning(f"{one.item.key} is skipped: {one.problem}.")
            elif self._job.write.mode == IF_EMPTY:
                self._had_captions += 1

    def _may_continue(self) -> bool:
        """Block while paused; ``False`` if a stop is requested."""
        self._stand_still()
        return not self._asked("stop")
