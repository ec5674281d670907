"""The caption editor's index: images and captions in memory, and for every tag the set of images that have it.

Sets are integers used as bit sets, one bit per image: AND, OR and NOT of ten thousand images take a microsecond.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ...files.swap import Stamp
from ...files.walk import natural_key
from ...pictures.caption_files import NotTextError, text_of, used_line
from ...pictures.listing import PictureFile
from ...pictures.weights import EVERY_IMAGE, ImageWeight
from ..tags import PlainTags, is_prose_of, plain
from .pairs import Pairs

_LONGEST_PROSE_TAG = 3


@dataclass(slots=True)
class Caption:
    """A caption file's content. ``text`` is ``None`` if there is no file, or if it cannot be read (``problem``).

    ``tokens`` is -1 until they have been counted; ``users`` are the numbers of its images.
    """

    path: str
    data: bytes | None = None
    stamp: Stamp | None = None
    text: str | None = None
    problem: str = ""
    prose: bool = False
    says_nothing: bool = True
    tags: tuple[str, ...] = ()
    keys: frozenset[str] = frozenset()
    tokens: int = -1
    users: list[int] = field(default_factory=list)

    @property
    def line(self) -> str:
        """The line that is trained on."""
        return used_line(self.text).line if self.text else ""

    @property
    def is_empty(self) -> bool:
        """Whether the caption is missing or has nothing but separators in it."""
        return not self.problem and self.says_nothing


@dataclass(slots=True)
class Entry:
    """An image. ``width`` and ``height`` are 0 until its header is read, or if it is damaged.

    ``weight_problem`` says why its weight file cannot be used.
    """

    id: int
    file: PictureFile
    caption: Caption
    width: int = 0
    height: int = 0
    weight: ImageWeight = EVERY_IMAGE
    weight_problem: str = ""

    @property
    def version(self) -> str:
        """Identifies the state of the image's file for the page."""
        return f"{self.file.modified_ns:x}-{self.file.size:x}"

    @property
    def path(self) -> str:
        """The path relative to the dataset's folder, with ``/``."""
        return self.file.path

    @property
    def folder(self) -> str:
        """The relative path of its folder; empty for the dataset's folder."""
        return self.file.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.path.rpartition("/")[2]


class EditorIndex:
    """All images of a dataset. An image's number never changes while the index exists, and is never reused."""

    def __init__(self, separator: str) -> None:
        self.separator = separator
        self.entries: dict[int, Entry] = {}
        self.captions: dict[str, Caption] = {}
        self._by_path: dict[str, int] = {}
        self._next = 0
        self._bits: dict[str, int] = {}
        self._display: dict[str, str] = {}
        self.all = 0
        self.without_caption = 0
        self.prose = 0
        self.masked = 0
        self._strings: dict[str, str] = {}
        self._parts: dict[str, tuple[str, int]] = {}
        self._plain = PlainTags()
        self.pairs = Pairs()

    def add(self, file: PictureFile) -> Entry:
        """Add an image; its caption counts as missing until ``set_caption``."""
        caption = self.captions.get(file.caption)
        if caption is None:
            caption = self.captions[file.caption] = Caption(file.caption)
        entry = Entry(self._next, file, caption)
        self._next += 1
        self.entries[entry.id] = entry
        self._by_path[file.path] = entry.id
        self.pairs.add(file.path)
        caption.users.append(entry.id)
        bit = 1 << entry.id
        self.all |= bit
        self._mark(caption, caption.keys, bit, True)
        self._mark_kind(caption, bit)
        self.set_file(entry, file)
        return entry

    def set_file(self, entry: Entry, file: PictureFile) -> None:
        """Update an image from the current state of its file and its mask."""
        entry.file = file
        bit = 1 << entry.id
        self.masked = self.masked | bit if file.mask else self.masked & ~bit

    def remove(self, entry: Entry) -> None:
        """Remove an image, and its caption if no other image uses it."""
        bit = 1 << entry.id
        self._mark(entry.caption, entry.caption.keys, bit, False)
        self.without_caption &= ~bit
        self.prose &= ~bit
        self.masked &= ~bit
        self.all &= ~bit
        del self.entries[entry.id]
        del self._by_path[entry.path]
        self.pairs.remove(entry.path)
        entry.caption.users.remove(entry.id)
        if not entry.caption.users:
            self.captions.pop(entry.caption.path, None)

    def of_path(self, path: str) -> Entry | None:
        """The image ``path``, or ``None``."""
        number = self._by_path.get(path)
        return None if number is None else self.entries[number]

    def set_caption(self, caption: Caption, data: bytes | None, stamp: Stamp | None) -> None:
        """Update a caption from its file's current content."""
        bits = sum(1 << user for user in caption.users)
        before = caption.keys
        caption.data, caption.stamp = data, stamp
        caption.text, caption.problem, caption.tags, caption.prose, caption.tokens = None, "", (), False, -1
        caption.says_nothing = True
        if data is not None:
            try:
                caption.text = text_of(data, caption.path)
            except NotTextError as problem:
                caption.problem = str(problem)
            else:
                self._analyse(caption)
        caption.keys = frozenset(map(self._plain.__getitem__, caption.tags))
        if caption.keys != before:
            self._mark(caption, before - caption.keys, bits, False)
            self._mark(caption, caption.keys - before, bits, True)
        self._mark_kind(caption, bits)

    def set_blocked(self, caption: Caption, stamp: Stamp | None, problem: str) -> None:
        """Mark a caption as existing but unusable."""
        self.set_caption(caption, None, stamp)
        caption.problem = problem
        self._mark_kind(caption, sum(1 << user for user in caption.users))

    def bits_of(self, key: str) -> int:
        """The set of images with the ``plain`` tag ``key``."""
        return self._bits.get(key, 0)

    def count_of(self, key: str) -> int:
        """The number of images with the tag ``key``."""
        return self._bits.get(key, 0).bit_count()

    def display(self, key: str) -> str:
        """The tag ``key`` as spelled in the captions."""
        return self._display.get(key, key)

    def known_tags(self) -> list[str]:
        """All ``plain`` tags that any image has."""
        return list(self._bits)

    def tag_counts(self, among: int | None = None, most: int | None = None, part: str = "") -> list[tuple[str, int]]:
        """Tags with the number of images (of the set ``among``) that have them, most frequent first.

        Only tags that contain ``part``; at most ``most`` of them.
        """
        wanted = plain(part) if part.strip() else ""
        counts = ((count, key) for key, bits in self._bits.items() if wanted in key
                  and (count := (bits if among is None else bits & among).bit_count()))
        order = sorted(counts, key=_rarest_last) if most is None else heapq.nsmallest(most, counts, key=_rarest_last)
        return [(self.display(key), count) for count, key in order]

    def members(self, bits: int, order: Sequence[int] | None = None) -> list[int]:
        """The numbers of the images in a set, in the given order or in index order."""
        flags = bits.to_bytes(self._next // 8 + 1, "little")
        return [number for number in (self.entries if order is None else order)
                if flags[number >> 3] >> (number & 7) & 1]

    def by_path(self) -> list[int]:
        """The numbers of all images, sorted by folder and name."""
        keys = {number: (natural_key(entry.folder), natural_key(entry.name)) for number, entry in self.entries.items()}
        return sorted(keys, key=keys.__getitem__)

    def _mark(self, caption: Caption, keys: frozenset[str], bits: int, present: bool) -> None:
        for key in keys:
            known = self._bits.get(key, 0)
            left = known | bits if present else known & ~bits
            if left:
                self._bits[key] = left
            else:
                self._bits.pop(key, None)
        if present:
            for tag in caption.tags:
                if self._plain[tag] in keys:
                    self._display.setdefault(self._plain[tag], tag)

    def _mark_kind(self, caption: Caption, bits: int) -> None:
        self.without_caption = self.without_caption | bits if caption.is_empty else self.without_caption & ~bits
        self.prose = self.prose | bits if caption.prose else self.prose & ~bits

    def _analyse(self, caption: Caption) -> None:
        """Determine whether a caption is prose, and its tags; in prose, only short parts that end no sentence."""
        caption.says_nothing = not (caption.text or "").replace(self.separator, " ").strip()
        line = caption.line
        parts = [self._part(raw) for raw in line.split(self.separator)]
        parts = [part for part in parts if part[0]]
        caption.prose = is_prose_of(line, [words for _, words in parts])
        if caption.prose:
            caption.tags = tuple(tag for tag, words in parts if words <= _LONGEST_PROSE_TAG and tag[-1] not in ".!?")
        else:
            caption.tags = tuple(tag for tag, _ in parts)

    def _part(self, raw: str) -> tuple[str, int]:
        """The tag in the text between two separators, as one string shared by all captions, and its word count."""
        part = self._parts.get(raw)
        if part is None:
            tag = self._strings.setdefault(raw.strip(), raw.strip())
            part = self._parts[raw] = tag, len(tag.split())
        return part


def _rarest_last(item: tuple[int, str]) -> tuple[int, str]:
    return -item[0], item[1]


def bits_of_numbers(numbers: Iterable[int]) -> int:
    """The set of images with these numbers."""
    flags = bytearray()
    for number in numbers:
        if number >> 3 >= len(flags):
            flags.extend(bytes((number >> 3) + 1024 - len(flags)))
        flags[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(flags, "little")
