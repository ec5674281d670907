"""Crops of many images at once: searched in the background, shown, and saved as one undo step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ...captions.editor.editor import CaptionEditor, Outcome
from ...captions.editor.image_edits import ImageEdit, StoppedError, edit_images
from ...captions.editor.index import Entry
from ...captions.framing import Box, tag_proposals, with_proposals
from ...captions.tags import plain
from ...errors import DatasetError
from ...files.confine import open_inside
from ...pictures.buckets import BucketRule
from ...pictures.caption_files import split_tags
from ...pictures.editing.borders import without_borders
from ...pictures.editing.proposals import bust_frame, face_frame
from ...pictures.editing.turning import UNTURNED, Frame
from ...pictures.images import decoded
from ...pictures.listing import PictureFile
from ...pictures.problems import count_of
from .background import in_background
from .crop_desk import CropDesk, Sides, too_small

KINDS = ("face", "portrait", "borders")
_MOST_KEPT = 0.9
"""A face that fills more of its image than this is no new image."""

_SHOWN = 600

State = Literal["none", "searching", "found", "saving", "saved", "failed", "stopped"]


@dataclass(frozen=True)
class BatchSearch:
    """What to search for: ``kind`` is one of ``KINDS``, ``plain`` counts plain backgrounds as borders.

    Crops are too small, or not, by ``rule``. Raises ``DatasetError`` if there is no such kind.
    """

    kind: str
    plain: bool
    rule: BucketRule

    def __post_init__(self) -> None:
        """Check ``kind``."""
        if self.kind not in KINDS:
            raise DatasetError(f"{self.kind[:60]!r} is not something to search for. Choose one of {', '.join(KINDS)}.")


@dataclass(frozen=True)
class BatchCrop:
    """A crop of the image ``number``, and the tags to remove and to add. ``warning``: why it is too small, or empty."""

    number: int
    path: str
    version: str
    frame: Sides
    width: int
    height: int
    warning: str
    remove: tuple[str, ...]
    add: tuple[str, ...]


@dataclass(frozen=True)
class BatchReport:
    """The state of the search or the saving, for the page.

    ``done`` of ``total`` images are finished. ``crops`` are the first of ``found`` crops, of ``images`` images;
    ``left`` are images that were left alone. ``remove`` and ``add`` are the proposed tags with the number of their
    crops.
    """

    state: str
    kind: str
    done: int
    total: int
    problem: str
    label: str
    found: int
    images: int
    crops: tuple[BatchCrop, ...]
    left: tuple[str, ...]
    remove: tuple[tuple[str, int], ...]
    add: tuple[tuple[str, int], ...]


@dataclass
class ImageBatch:
    """The last batch of a session; one at a time."""

    state: State = "none"
    kind: str = KINDS[0]
    done: int = 0
    total: int = 0
    problem: str = ""
    label: str = ""
    crops: list[BatchCrop] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    _files: dict[int, PictureFile] = field(default_factory=dict)
    _stopped: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def search(self, editor: CaptionEditor, desk: CropDesk, wanted: BatchSearch, numbers: Sequence[int]) -> None:
        """Search ``numbers`` for crops in the background. Raises ``DatasetError`` if a batch is at work."""
        if wanted.kind != "borders":
            desk.detector()  # raises now if there is none
        self._begin("searching", len(numbers))
        self.kind, self.crops, self.left, self._files = wanted.kind, [], [], {}

        def search() -> None:
            for done, number in enumerate(numbers):
                if not self._progress(done, len(numbers)):
                    self.state = "stopped"
                    return
                self._search_one(editor, desk, wanted, number)
            self.done, self.state = len(numbers), "found"

        in_background(search, self._failed)

    def save(self, editor: CaptionEditor, without: Iterable[int], remove: Sequence[str], add: Sequence[str],
             saved: Callable[[], None]) -> None:
        """Save the found crops, except those at the places ``without``, in the background; ``saved`` is called then.

        Of the tags ``remove`` and ``add``, each caption gets those that were proposed for it. Raises ``DatasetError``
        if nothing was found, or a batch is at work.
        """
        skipped = set(without)
        chosen = [crop for place, crop in enumerate(self.crops) if place not in skipped]
        if self.state != "found" or not chosen:
            raise DatasetError("There is nothing to save. Search again, and choose at least one crop.")
        edits = [self._edit(editor, crop, remove, add) for crop in chosen]
        self._begin("saving", len(chosen))
        label = {"face": f"Made images of {count_of(len(chosen), 'face')}",
                 "portrait": f"Made {count_of(len(chosen), 'image')} of head and shoulders",
                 "borders": f"Trimmed {count_of(len(chosen), 'image')}"}[self.kind]

        def act() -> None:
            try:
                self._finished(edit_images(editor, edits, label, self._progress))
                saved()
            except StoppedError:
                self.state = "stopped"

        in_background(act, self._failed)

    def stop(self) -> None:
        """Stop the search or the saving; nothing is saved then."""
        self._stopped = True

    def report(self) -> BatchReport:
        """The state for the page; the crops only once they are found."""
        shown = self.crops if self.state == "found" else []
        counts = [_counts(getattr(crop, name) for crop in shown) for name in ("remove", "add")]
        return BatchReport(self.state, self.kind, self.done, self.total, self.problem, self.label, len(shown),
                           len({crop.number for crop in shown}), tuple(shown[:_SHOWN]), tuple(self.left), *counts)

    def _begin(self, state: State, total: int) -> None:
        with self._lock:
            if self.state in ("searching", "saving"):
                raise DatasetError("Another batch is running. Wait for it to finish, or stop it.")
            self.state = state
        self.done, self.total, self.problem, self.label, self._stopped = 0, total, "", "", False

    def _progress(self, done: int, total: int) -> bool:
        self.done, self.total = done, total
        return not self._stopped

    def _failed(self, problem: str) -> None:
        self.problem, self.state = problem, "failed"

    def _finished(self, outcome: Outcome) -> None:
        self.label, self.left = outcome.label, list(outcome.left)
        self.done, self.crops, self.state = self.total, [], "saved"

    def _search_one(self, editor: CaptionEditor, desk: CropDesk, wanted: BatchSearch, number: int) -> None:
        entry = editor.index.entries.get(number)
        if entry is None:
            return
        try:
            for frame, size, remove, add in _crops_of(editor, desk, wanted, entry):
                self.crops.append(BatchCrop(number, entry.path, entry.version, frame, *size,
                                            too_small(frame, wanted.rule), remove, add))
                self._files[number] = entry.file
        except DatasetError as problem:
            self.left.append(str(problem))

    def _edit(self, editor: CaptionEditor, crop: BatchCrop, remove: Sequence[str], add: Sequence[str]) -> ImageEdit:
        text = editor.entry(crop.number).caption.text
        gone, new = {plain(tag) for tag in remove}, {plain(tag) for tag in add}
        caption = None if text is None else with_proposals(
            text, [tag for tag in crop.remove if plain(tag) in gone], [tag for tag in crop.add if plain(tag) in new],
            editor.settings.caption_separator)
        in_place = self.kind == "borders"
        return ImageEdit(crop.number, self._files[crop.number], UNTURNED, Frame(*crop.frame), in_place,
                         "crop" if in_place else self.kind, None if in_place else caption)


def _crops_of(editor: CaptionEditor, desk: CropDesk, wanted: BatchSearch, entry: Entry
              ) -> list[tuple[Frame, tuple[int, int], tuple[str, ...], tuple[str, ...]]]:
    """The crops of one image, each with the image's size and the tags to remove and to add."""
    with open_inside(editor.folder, entry.path) as file, decoded(editor.folder / entry.path, file) as picture:
        if wanted.kind == "borders":
            inner = without_borders(picture, wanted.plain)
            return [] if inner is None else [(inner, picture.size, (), ())]
    faces = desk.faces(editor, entry, UNTURNED, picture)
    shape = face_frame if wanted.kind == "face" else bust_frame
    tags = [] if entry.caption.prose else split_tags(entry.caption.line, editor.settings.caption_separator)
    found = []
    for face in faces:
        frame = shape(face, picture.size)
        if frame.width * frame.height > _MOST_KEPT * picture.width * picture.height:
            continue
        proposed = tag_proposals(tags, picture.size, Box(*frame), faces)
        found.append((frame, picture.size, tuple(item.tag for item in proposed.remove if item.sure),
                      tuple(item.tag for item in proposed.add if item.sure)))
    return found


def _counts(tags: Iterable[tuple[str, ...]]) -> tuple[tuple[str, int], ...]:
    """Tags with the number of crops that have them, most frequent first."""
    counts: dict[str, int] = {}
    for each in tags:
        for tag in each:
            counts[tag] = counts.get(tag, 0) + 1
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
