"""What can be cropped out of an image: faces, details, the inside of borders; and what a crop means for training."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from PIL import Image

from ...captions.editor.editor import CaptionEditor
from ...captions.editor.index import Entry
from ...captions.framing import Box, TagProposal, tag_proposals
from ...config.groups.dataset import DatasetSettings
from ...errors import ConfigError, DatasetError
from ...files.confine import open_inside
from ...pictures.buckets import BucketRule, bucket_sizes
from ...pictures.caption_files import split_tags
from ...pictures.editing.borders import without_borders
from ...pictures.editing.proposals import proposals
from ...pictures.editing.saving import NEW_FORMAT, format_words, losses
from ...pictures.editing.turning import Frame, Turn, checked_frame, cut_out
from ...pictures.faces import Face, FaceDetector
from ...pictures.images import as_rgb, as_stored, read_header

_REMEMBERED = 256

Sides = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels of the turned image."""


@dataclass(frozen=True)
class ProposedCrop:
    """A crop to propose; ``kind`` is ``face``, ``bust`` or ``detail``."""

    kind: str
    label: str
    frame: Sides


@dataclass(frozen=True)
class CropOptions:
    """An image as it is turned: its size, crops to propose, and how it is saved.

    ``bars`` is the image without bars and frames, ``background`` without a plain background; ``None`` if it has none.
    ``sizes`` are the training sizes. ``saved_as`` says how it is saved in place, ``cannot`` why it cannot be.
    ``losses`` are those of a new image, ``losses_in_place`` of the image itself. ``about_faces`` says why none are
    proposed.
    """

    width: int
    height: int
    proposals: tuple[ProposedCrop, ...]
    bars: Sides | None
    background: Sides | None
    sizes: tuple[tuple[int, int], ...]
    saved_as: str
    cannot: str
    losses: tuple[str, ...]
    losses_in_place: tuple[str, ...]
    about_faces: str
    has_mask: bool


@dataclass(frozen=True)
class FrameFacts:
    """What a crop means: the training size, a ``warning`` if it is too small, and tags to remove and to add."""

    bucket: tuple[int, int]
    warning: str
    remove: tuple[TagProposal, ...]
    add: tuple[TagProposal, ...]
    note: str


class CropDesk:
    """Finds faces, and remembers those of the images looked at last. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._detector: FaceDetector | None = None
        self._known: OrderedDict[tuple[str, int, int, Turn], tuple[Face, ...]] = OrderedDict()

    def detector(self) -> FaceDetector:
        """The face detector, made on first use. Raises ``DatasetError`` if OpenCV is missing in this Python."""
        with self._lock:
            if self._detector is None:
                try:
                    self._detector = FaceDetector()
                except ConfigError as problem:
                    raise DatasetError("Faces cannot be found, since this webui's Python has no OpenCV with face "
                                       "cascades. Draw the crop by hand.") from problem
            return self._detector

    def faces(self, editor: CaptionEditor, entry: Entry, turn: Turn, picture: Image.Image | None = None
              ) -> tuple[Face, ...]:
        """The faces of the turned image, largest first; ``picture`` is it, if already decoded.

        Raises ``DatasetError`` if there is no OpenCV, or the image cannot be decoded.
        """
        detector = self.detector()
        key = (str(editor.folder / entry.path), entry.file.modified_ns, entry.file.size, turn)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        found = detector.search(_turned(editor, entry, turn) if picture is None else picture)
        with self._lock:
            self._known[key] = found
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found

    def options(self, editor: CaptionEditor, entry: Entry, turn: Turn, settings: DatasetSettings) -> CropOptions:
        """What can be cropped out of the turned image. Raises ``DatasetError`` if it cannot be decoded."""
        with as_stored(editor.folder / entry.path, _content(editor, entry.path)) as stored:
            try:
                saved_as, cannot = format_words(stored), ""
            except DatasetError as problem:
                saved_as, cannot = "", str(problem)
            lost, lost_in_place = losses(stored, NEW_FORMAT), losses(stored, stored.format)
            picture = cut_out(as_rgb(stored.picture), turn, None)
        faces: tuple[Face, ...] = ()
        try:
            faces = self.faces(editor, entry, turn, picture)
            about_faces = "" if faces else "No face was found; drawn faces, profiles and small ones are often missed."
        except DatasetError as problem:
            about_faces = str(problem)
        rule = BucketRule.of(settings)
        found = proposals(picture, faces, min(rule.width, rule.height))
        return CropOptions(picture.width, picture.height,
                        tuple(ProposedCrop(item.kind, item.label, item.frame) for item in found),
                        without_borders(picture), without_borders(picture, plain=True), _sizes(rule, settings),
                        saved_as, cannot, tuple(lost), tuple(lost_in_place), about_faces, bool(entry.file.mask))

    def frame(self, editor: CaptionEditor, entry: Entry, turn: Turn, place: Frame | None,
              settings: DatasetSettings) -> FrameFacts:
        """What the crop ``place`` of the turned image means. Raises ``DatasetError`` if it is not inside."""
        with open_inside(editor.folder, entry.path) as file:  # its size may not be known yet
            header = read_header(editor.folder / entry.path, file)
        size = turn.size_of(header.width, header.height)
        crop = checked_frame(place, size)
        rule = BucketRule.of(settings)
        fit = rule.fit(crop.width, crop.height)
        try:
            faces = self.faces(editor, entry, turn)
        except DatasetError:
            faces = ()  # ``options`` has reported it
        proposed = tag_proposals(_tags(editor, entry), size, Box(*crop), faces)
        return FrameFacts((fit.bucket.width, fit.bucket.height), too_small(crop, rule), proposed.remove, proposed.add,
                          proposed.note)


def too_small(crop: Frame, rule: BucketRule) -> str:
    """A sentence if the crop has fewer pixels than the training size; otherwise empty."""
    fit = rule.fit(crop.width, crop.height)
    enlarged = max(fit.resized_width / crop.width, fit.resized_height / crop.height)
    if enlarged > 1.005:
        return (f"Smaller than the training size: it is enlarged {enlarged:.1f} times, to {fit.bucket.width} × "
                f"{fit.bucket.height}.")
    if fit.bucket.width * fit.bucket.height < rule.width * rule.height / 2:
        return (f"Smaller than the training size: {fit.bucket.width} × {fit.bucket.height} instead of about "
                f"{rule.width} × {rule.height} pixels.")
    return ""


def _sizes(rule: BucketRule, settings: DatasetSettings) -> tuple[tuple[int, int], ...]:
    """The training sizes, widest last; those of the usual buckets if the settings allow any size."""
    found = rule.sizes or bucket_sizes(rule.width * rule.height, *settings.bucket_sides, rule.step)
    return tuple((size.width, size.height) for size in found)


def _tags(editor: CaptionEditor, entry: Entry) -> list[str]:
    caption = entry.caption
    return [] if caption.prose else split_tags(caption.line, editor.settings.caption_separator)


def _turned(editor: CaptionEditor, entry: Entry, turn: Turn) -> Image.Image:
    with as_stored(editor.folder / entry.path, _content(editor, entry.path)) as stored:
        return cut_out(as_rgb(stored.picture), turn, None)


def _content(editor: CaptionEditor, relative: str) -> bytes:
    with open_inside(editor.folder, relative) as file:
        return file.read()
