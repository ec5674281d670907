"""The caption editor of a dataset: keeps the index in sync with the files and edits through the undo journal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ...config.groups.dataset import DatasetSettings
from ...errors import DatasetError
from ...files.confine import Confined, open_inside
from ...files.swap import Stamp
from ...pictures.buckets import BucketRule
from ...pictures.caption_files import MOST_CAPTION_BYTES, as_utf8, bytes_of, split_tags, too_large
from ...pictures.facts import PictureFacts
from ...pictures.folders import LeftOut
from ...pictures.listing import Listing, list_folder
from ...pictures.problems import count_of
from ...pictures.weights import EVERY_IMAGE, WEIGHT_ENDING, weight_file, weight_inside
from ..confidences import Confidences, confidences_file, read_confidences
from ..filter import parse
from ..journal.apply import ConflictError, HalfDoneError
from ..journal.format import Change, Move, Write
from ..journal.journal import Applied, History, Journal
from ..journal.recover import sentences
from ..patterns import Cancel
from ..tags import plain
from ..tokens import TokenCounter
from .index import Caption, EditorIndex, Entry
from .new_files import remove_abandoned
from .operations import Operation, Surroundings, describe, edited
from .query import Measures, pictures_of, tokens_of

_LIKELY = 0.6
_MOST_LIKELY = 12


@dataclass(frozen=True)
class Outcome:
    """The result of an edit: its label, the images whose caption, file or mask changed, and what was skipped."""

    label: str
    changed: tuple[int, ...]
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preview:
    """A caption before and after an operation that has not been applied."""

    number: int
    before: str
    after: str


class CaptionEditor:
    """A dataset open for editing. Thread-safe.

    ``revision`` increases with every change of the index; a page with an older one is out of date.
    """

    def __init__(self, folder: Path, settings: DatasetSettings, cache: Path, tokens: TokenCounter) -> None:
        """Finish interrupted edits of an earlier session, and read everything but the image sizes.

        ``folder`` must be resolved; ``cache`` may be deleted at any time. Without a writable undo journal the captions
        are read-only, and ``messages`` has the reason.
        Raises ``DatasetError`` if the folder cannot be read.
        """
        self.folder = folder
        self.settings = settings
        self.tokens = tokens
        self.revision = 0
        self.left_out: list[LeftOut] = []
        self.facts = PictureFacts(folder, cache)
        self.lock = threading.RLock()
        self.messages: list[str] = []
        self._journal: Journal | None = None
        try:
            _ = self.journal
        except DatasetError as problem:
            self.messages.append(f"The captions can be read, but not edited. {problem}")
        self.index = EditorIndex(settings.caption_separator)
        self._order: list[int] = []
        self._confidences: tuple[Stamp | None, Confidences] | None = None
        self.refresh()

    @property
    def journal(self) -> Journal:
        """The undo journal, recovered on first use. Raises ``DatasetError`` if it cannot be written."""
        if self._journal is None:
            journal = Journal(self.folder)
            self.messages += sentences(journal.recover())
            remove_abandoned(self.folder, journal)
            self._journal = journal
        return self._journal

    def settle(self) -> None:
        """Wait until all edits are on disk. Raises ``DatasetError`` if the journal cannot be written."""
        if self._journal is not None:
            self._journal.settle()

    def refresh(self) -> bool:
        """Read changes made by other programs; returns whether there were any. Raises ``DatasetError``."""
        with self.lock:
            listing = list_folder(self.folder, self.settings.caption_extension)
            self.left_out = listing.left_out
            changed = self._take_in_pictures(listing)
            changed = self._take_in_captions(listing) or changed
            if changed:
                self._order = self.index.by_path()
                self.revision += 1
            return changed

    def read_sizes(self) -> None:
        """Read image headers and count tokens, so that filters are fast; takes seconds the first time."""
        with self.lock:
            files = [entry.file for entry in self.index.entries.values()]
        self.facts.read_headers(files)
        with self.lock:
            for entry in self.index.entries.values():
                self._set_size(entry)
        for caption in list(self.index.captions.values()):
            tokens_of(caption, self.tokens.count)

    def read_size(self, entry: Entry) -> None:
        """Read the size of one image now, which need not wait for those of a large dataset."""
        self.facts.read_header(entry.file)
        self._set_size(entry)

    def order(self) -> Sequence[int]:
        """The numbers of all images, by folder and name."""
        return self._order

    def filtered(self, text: str) -> int:
        """The set of images that match the filter ``text``. Raises ``FilterError``."""
        tree = parse(text)
        with self.lock:
            if tree is None:
                return self.index.all
            measures = Measures(BucketRule.of(self.settings), self.tokens.count, self.folder.as_posix())
            return pictures_of(tree, self.index, measures)

    def entry(self, number: int) -> Entry:
        """The image with this number. Raises ``DatasetError`` if it no longer exists."""
        entry = self.index.entries.get(number)
        if entry is None:
            raise DatasetError("That image is no longer there. The list was read again.")
        return entry

    def confidences(self) -> Confidences:
        """The confidences of the last tagging run, cached until the file changes. Raises ``DatasetError``."""
        file = confidences_file(self.folder)
        stamp = Stamp.of(file.stat()) if file.is_file() else None
        with self.lock:
            if self._confidences is None or self._confidences[0] != stamp:
                self._confidences = stamp, read_confidences(self.folder)
            return self._confidences[1]

    def preview(self, operation: Operation, numbers: Iterable[int], activation_tag: str,
                cancel: Cancel | None = None) -> list[Preview]:
        """The captions that ``operation`` would change. Raises ``DatasetError`` if it is invalid or cancelled."""
        planned = self._planned(operation, numbers, activation_tag, cancel)
        return [Preview(caption.users[0], before, after) for caption, before, after in planned if after != before]

    def apply(self, operation: Operation, numbers: Iterable[int], activation_tag: str) -> Outcome:
        """Apply ``operation`` to the captions of the images ``numbers``, as one undo step.

        Raises ``ConflictError`` or ``DatasetError`` with nothing written.
        """
        wanted = list(numbers)
        planned = self._planned(operation, wanted, activation_tag)
        with self.lock:
            changed = [caption.path for caption, before, _ in planned
                       if self.index.captions.get(caption.path) is not caption or (caption.text or "") != before]
            if changed:
                raise ConflictError(changed)
            new = {caption.path: after for caption, before, after in planned if after != before}
            left = self._left_alone(operation, wanted)
            return self._write_texts(describe(operation, len(new)), new, left)

    def set_texts(self, texts: Mapping[int, str], label: str = "") -> Outcome:
        """Set the captions of images, by number, as one undo step. Raises as ``apply``."""
        with self.lock:
            new: dict[str, str] = {}
            for number, text in texts.items():
                caption = self.entry(number).caption
                if caption.problem:
                    raise DatasetError(caption.problem)
                if text != (caption.text or ""):
                    new[caption.path] = text
            first = self.entry(next(iter(texts))).name if texts else ""
            name = label or (f"Edited the caption of {first}" if len(texts) == 1
                             else f"Edited {count_of(len(new), 'caption')}")
            return self._write_texts(name, new, ())

    def save_as_utf8(self, numbers: Iterable[int]) -> Outcome:
        """Convert captions in other encodings to UTF-8, as one undo step. Raises as ``apply``."""
        with self.lock:
            captions = [caption for caption in self._captions(numbers) if caption.problem and caption.data is not None]
            changes = [Write(caption.path, caption.data, as_utf8(caption.data or b"", caption.path))
                       for caption in captions]
            return self.carry_out(f"Saved {count_of(len(changes), 'caption')} as UTF-8", changes)

    def carry_out(self, label: str, changes: Sequence[Change], left: Sequence[str] = ()) -> Outcome:
        """Apply ``changes`` as one undo step. Raises ``ConflictError`` (after a refresh) or ``DatasetError``."""
        with self.lock:
            if not changes:
                return Outcome("Nothing had to be changed.", (), tuple(left))
            stamps = {change.path: stamp for change in changes
                      if isinstance(change, Write) and (stamp := self._known(change.path, change.old)) is not None}
            return self._through(lambda: self.journal.do(label, changes, stamps), left)

    def undo(self, leave: Sequence[str] = ()) -> Outcome:
        """Undo the last edit, except for the files ``leave``. Raises as ``carry_out``."""
        with self.lock:
            return self._through(lambda: self.journal.undo(self._known, leave), ())

    def redo(self, leave: Sequence[str] = ()) -> Outcome:
        """Redo the edit that was undone last, except for the files ``leave``. Raises as ``carry_out``."""
        with self.lock:
            return self._through(lambda: self.journal.redo(self._known, leave), ())

    def history(self) -> History:
        """The edits to undo and redo. Raises ``DatasetError`` if a damaged journal cannot be set aside."""
        return History((), 0) if self._journal is None else self._journal.history()

    def picture(self, relative: str) -> BinaryIO:
        """An image of this dataset, open for reading. Raises ``DatasetError`` if it is not in the dataset."""
        if self.index.of_path(relative) is None:
            raise DatasetError(f"{relative[:200]!r} is not an image of this dataset.")
        return open_inside(self.folder, relative)

    def _through(self, act: Callable[[], Applied], left: Sequence[str]) -> Outcome:
        try:
            applied = act()
        except (ConflictError, HalfDoneError):
            self.refresh()
            raise
        changed: list[int] = []
        for change in applied.changes:
            if isinstance(change, Write) and (caption := self.index.captions.get(change.path)) is not None:
                self.index.set_caption(caption, change.new, applied.stamps[change.path])
                changed += caption.users
        self.revision += 1
        weights = {change.path for change in applied.changes
                   if isinstance(change, Write) and change.path.endswith(WEIGHT_ENDING)}
        files = {entry.id: entry.file for entry in self.index.entries.values()}
        if weights or any(isinstance(change, Move) for change in applied.changes):
            self.refresh()
        changed += [entry.id for entry in self.index.entries.values()
                    if files.get(entry.id, entry.file) != entry.file or weight_file(entry.path) in weights]
        return Outcome(applied.label, tuple(dict.fromkeys(changed)), (*applied.said, *left))

    def _known(self, path: str, content: bytes | None) -> Stamp | None:
        caption = self.index.captions.get(path)
        return caption.stamp if caption is not None and caption.data == content else None

    def _captions(self, numbers: Iterable[int]) -> list[Caption]:
        """The distinct captions of the images ``numbers``; skips images that no longer exist."""
        entries = (self.index.entries.get(number) for number in numbers)
        return list({entry.caption.path: entry.caption for entry in entries if entry is not None}.values())

    def _editable(self, numbers: Iterable[int]) -> list[Caption]:
        return [caption for caption in self._captions(numbers) if not caption.problem]

    def _planned(self, operation: Operation, numbers: Iterable[int],
                 activation_tag: str,
                 cancel: Cancel | None = None) -> list[tuple[Caption, str, str]]:
        """Captions with their texts before and after, computed without holding the lock."""
        with self.lock:
            captions = self._editable(numbers)
            texts = [caption.text or "" for caption in captions]
            sure = None
            if operation.kind == "sort" and operation.order == "confidence":
                known = self.confidences()
                sure = [known.of(self.index.entries[caption.users[0]].path) for caption in captions]
        around = Surroundings(self.settings.caption_separator, activation_tag, self.index.count_of, self.tokens.count,
                              cancel)
        return list(zip(captions, texts, edited(texts, operation, around, sure), strict=True))

    def _left_alone(self, operation: Operation, numbers: Iterable[int]) -> list[str]:
        captions = self._captions(numbers)
        damaged = sum(bool(caption.problem) and caption.data is not None for caption in captions)
        unread = sum(bool(caption.problem) and caption.data is None for caption in captions)
        prose = sum(caption.prose for caption in captions)
        left = [f"{count_of(damaged, 'caption')} in another encoding than UTF-8 left alone."] if damaged else []
        left += [f"{count_of(unread, 'caption')} that cannot be read left alone."] if unread else []
        if prose and not operation.include_prose and operation.kind not in ("regex_caption", "join_lines", "rename"):
            left.append(f"{count_of(prose, 'prose caption')} left alone.")
        return left

    def _write_texts(self, label: str, texts: Mapping[str, str], left: Sequence[str]) -> Outcome:
        changes = []
        for path, text in texts.items():
            before = self.index.captions[path].data
            new = bytes_of(text, before)
            if len(new) > MOST_CAPTION_BYTES:
                raise DatasetError(f"Nothing was changed: with this edit, {too_large(path, len(new))}")
            if new != before:
                changes.append(Write(path, before, new))
        return self.carry_out(label, changes, left)

    def _take_in_pictures(self, listing: Listing) -> bool:
        found = {file.path: file for file in listing.pictures}
        known = {entry.path: entry for entry in self.index.entries.values()}
        changed, confined = False, Confined(self.folder)
        for path, entry in known.items():
            file = found.get(path)
            if file is None or file.caption != entry.caption.path:
                self.index.remove(entry)
                changed = True
            elif file != entry.file:
                self.index.set_file(entry, file)
                entry.width = entry.height = 0
                self._take_in_facts(entry, confined)
                changed = True
        for path, file in found.items():
            if self.index.of_path(path) is None:
                self._take_in_facts(self.index.add(file), confined)
                changed = True
        return changed

    def _take_in_facts(self, entry: Entry, confined: Confined) -> None:
        self._set_size(entry)
        entry.weight, entry.weight_problem = EVERY_IMAGE, ""
        if entry.file.weight_stamp is not None:
            entry.weight, entry.weight_problem = weight_inside(confined, weight_file(entry.path))

    def _set_size(self, entry: Entry) -> None:
        """Set the size of an image, if the current version's is cached."""
        header = self.facts.header(entry.file)
        if header is not None:
            entry.width, entry.height = header.width, header.height

    def _take_in_captions(self, listing: Listing) -> bool:
        changed = False
        confined = Confined(self.folder)
        for caption in self.index.captions.values():
            stamp = listing.captions.get(caption.path)
            blocked = listing.blocked.get(caption.path, "")
            if blocked:
                changed = changed or caption.problem != blocked
                self.index.set_blocked(caption, None, blocked)
            elif stamp != caption.stamp:
                changed = self._read_caption(caption, stamp, confined) or changed
        return changed

    def _read_caption(self, caption: Caption, stamp: Stamp | None, confined: Confined) -> bool:
        data = None
        if stamp is not None and stamp.size > MOST_CAPTION_BYTES:
            self.index.set_blocked(caption, stamp, too_large(caption.path, stamp.size))
            return True
        if stamp is not None:
            try:
                data = confined.read(caption.path)
            except FileNotFoundError:
                stamp = None
            except OSError as problem:
                self.index.set_blocked(caption, stamp, f"{caption.path} cannot be read: {problem.strerror}.")
                return True
            except DatasetError as problem:  # it has become a link out of the folder
                self.index.set_blocked(caption, stamp, str(problem))
                return True
        changed = data != caption.data
        self.index.set_caption(caption, data, stamp)
        return changed


def numbers_in(editor: CaptionEditor, numbers: Sequence[int] | None, filter_text: str) -> list[int]:
    """The images that an action applies to: those in ``numbers``, or all that match the filter."""
    if numbers is not None:
        return list(numbers)
    return editor.index.members(editor.filtered(filter_text), editor.order())


def tags_of_picture(editor: CaptionEditor, entry: Entry) -> list[dict[str, object]]:
    """All parts of a caption, each with its image count and the tagger's confidence (``None`` if unknown)."""
    sure = editor.confidences().of(entry.path)
    return [{"tag": tag, "count": editor.index.count_of(plain(tag)), "confidence": sure.get(plain(tag))}
            for tag in split_tags(entry.caption.line, editor.settings.caption_separator)]


def likely_tags(editor: CaptionEditor, entry: Entry) -> list[dict[str, object]]:
    """Tags that the tagger is confident of and the caption lacks, by descending confidence."""
    found = [(value, tag) for tag, value in editor.confidences().as_written(entry.path)
             if value >= _LIKELY and plain(tag) not in entry.caption.keys]
    found.sort(key=lambda item: (-item[0], item[1]))
    return [{"tag": tag, "confidence": value} for value, tag in found[:_MOST_LIKELY]]
