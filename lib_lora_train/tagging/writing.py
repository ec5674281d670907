"""Writing the tags into the captions: one edit in the undo journal, skipping captions that changed since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..captions.journal.apply import ConflictError, check
from ..captions.journal.format import Write
from ..captions.journal.journal import Journal
from ..captions.journal.recover import sentences
from ..config.groups.tagging import APPEND, PREPEND
from ..config.tag_job import TagJob
from ..files.confine import Confined
from ..pictures.caption_files import NotTextError, bytes_of, text_of
from ..pictures.problems import count_of
from .compose import composed, with_prose
from .results import Result
from .work import has_words

_TRIES = 5


@dataclass(frozen=True)
class Written:
    """The number of captions written, already right, and skipped because another program changed them meanwhile."""

    written: int = 0
    unchanged: int = 0
    changed_meanwhile: int = 0


class CaptionWriter:
    """Writes captions into one dataset."""

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        """Finish an interrupted earlier edit. Raises ``DatasetError`` if the folder is not writable."""
        self._folder = folder
        self._warn = warn
        self._journal = Journal(folder)
        for sentence in sentences(self._journal.recover()):
            warn(sentence)

    def write(self, results: Iterable[Result], job: TagJob, tagger: str) -> Written:
        """Write the captions of ``results`` in the job's mode: all of them or, on failure, none.

        Raises ``DatasetError`` if they cannot be written; all captions are then unchanged.
        """
        planned = self._planned(results, job)
        changes = [change for change in planned if change.old != change.new]
        unchanged = len(planned) - len(changes)
        verb = "Tagged" if job.tags_images else "Described"
        label = f"{verb} {count_of(len(changes), 'image')} with {tagger} ({job.write.mode})"
        left: list[str] = []
        done_before = 0
        for _ in range(_TRIES):
            conflicts = set(check(changes, Confined(self._folder), {}))
            others = [change for change in changes if change.path in conflicts]
            foreign = check([Write(change.path, change.new, change.new) for change in others],
                            Confined(self._folder), {})
            left += foreign
            done_before += len(others) - len(foreign)  # this run was interrupted while writing and resumes
            changes = [change for change in changes if change.path not in conflicts]
            try:
                if changes:
                    self._journal.do(label, changes, {})
                break
            except ConflictError:
                continue  # another program just changed one; the next try skips it
        self._journal.settle()
        if left:
            self._warn(f"{count_of(len(left), 'caption')} were changed by another program while the tagger was "
                       f"running, and were not touched: {_names(left)}.")
        return Written(len(changes) + done_before, unchanged, len(left))

    def _planned(self, results: Iterable[Result], job: TagJob) -> list[Write]:
        planned, not_text = [], []
        for result in results:
            try:
                planned.append(_change(result, job))
            except NotTextError:
                not_text.append(result.caption_key)
        if not_text:
            self._warn(f"{count_of(len(not_text), 'caption')} are not UTF-8, so nothing can be added to them: "
                       f"{_names(not_text)}. Save them again as UTF-8.")
        return planned


def _change(result: Result, job: TagJob) -> Write:
    separator = job.dataset.caption_separator
    before = result.before
    adds = job.write.mode in (APPEND, PREPEND) and has_words(before)
    text = text_of(before or b"", result.caption_key) if adds else _blank_or_old(before)
    parts = with_prose(result.chosen.tags, result.prose or "", job.prose.place)
    new = composed(text, parts, job.tags.always_first_tags, job.write.mode, separator)
    if new == text:
        return Write(result.caption_key, before, before)
    return Write(result.caption_key, before, bytes_of(new, before if adds else None))


def _blank_or_old(before: bytes | None) -> str:
    """The text to overwrite, of which only its being blank matters."""
    return (before or b"").decode("utf-8", "replace") if has_words(before) else ""


def _names(paths: Sequence[str]) -> str:
    return ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
