"""Files on their way into a dataset: received in pieces, checked, and kept apart until they are added."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import threading
import time
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from ...config.groups.dataset import CAPTION_ENDINGS
from ...errors import DatasetError
from ...files.confine import HIDDEN_FOLDER, own_folder
from ...files.writing import writing
from ...pictures.caption_files import MOST_CAPTION_BYTES
from ...pictures.images import PICTURE_ENDINGS, PictureError, open_picture, read_header
from ...pictures.limits import MOST_FILE_BYTES
from .archive import is_archive, unpack
from .names import UnsafePathError, parts_of, split_ending

MOST_FILES = 20_000
"""Files of one import: 10,000 images with their captions."""
MOST_ZIP_BYTES = 8 << 30
ENDINGS = (*PICTURE_ENDINGS, ".jfif", ".jpe", *CAPTION_ENDINGS, ".zip")
"""The extensions of files that can be added."""

_FOLDER = "incoming"
_PIECE = 1 << 20
_SMALL_SIDE = 64
_ABANDONED_SECONDS = 24 * 3600.0
_SPARE_BYTES = 64 << 20
_OF_SYSTEMS = frozenset({"thumbs.db", "desktop.ini", ".ds_store", "__macosx", ".git"})


@dataclass(frozen=True)
class Arrived:
    """A complete file. ``path`` is its relative path as it came, ``file`` where it is kept, ``digest`` its SHA-256."""

    path: str
    file: Path
    size: int
    digest: str

    @property
    def ending(self) -> str:
        """The extension in lower case."""
        return split_ending(self.path)[1]

    @property
    def is_caption(self) -> bool:
        """Whether it is a caption file."""
        return self.ending in CAPTION_ENDINGS


@dataclass
class _Partial:
    path: str
    total: int
    file: Path
    received: int = 0
    hash: Any = field(default_factory=hashlib.sha256)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Intake:
    """One import into ``folder``. Thread-safe.

    ``left`` are the files that are not added, each with its reason as a clause.
    """

    def __init__(self, folder: Path, files: int = 1, size_bytes: int = 0) -> None:
        """``folder`` is the dataset's, resolved; ``files`` and ``size_bytes`` are what is about to come.

        Raises ``DatasetError`` if that is too much, or the folder is not writable.
        """
        if files > MOST_FILES:
            raise DatasetError(f"{files:,} files cannot be added at once; the limit is {MOST_FILES:,}. "
                               "Add them in parts.")
        free = shutil.disk_usage(folder).free
        if size_bytes + _SPARE_BYTES > free:
            raise DatasetError(f"The disk of {folder} has {free / 1e9:,.1f} GB free, and the files need "
                               f"{size_bytes / 1e9:,.1f} GB. Free some space, or add fewer files.")
        self.id = uuid.uuid4().hex
        self.folder = folder
        self.left: list[tuple[str, str]] = []
        self._place = own_folder(folder, HIDDEN_FOLDER, _FOLDER, self.id)
        self._arrived: list[Arrived] = []
        self._partial: dict[int, _Partial] = {}
        self._done: set[int] = set()
        self._paths: set[str] = set()
        self._lock = threading.Lock()
        self._next = 0
        self._closed = False

    @property
    def arrived(self) -> list[Arrived]:
        """The complete files, in the order of their arrival."""
        with self._lock:
            return list(self._arrived)

    def receive(self, number: int, path: str, start: int, total: int, piece: bytes) -> str:
        """Take the piece from byte ``start`` on of the file ``number``, which has ``total`` bytes.

        Returns why the file is not added, as a clause; empty if the next piece can come. Raises ``DatasetError`` if
        the pieces do not fit together, ``WriteError`` if the disk is full.
        """
        try:
            parts_of(path)
            refusal = _why_not(path, total)
        except UnsafePathError as problem:
            refusal = problem.reason
        if refusal:
            self.leave(path, refusal)
            return refusal
        if number in self._done:
            return ""  # sent again, since the answer was lost
        partial = self._partial_of(number, path, total)
        with partial.lock:
            if start + len(piece) == partial.received and piece:
                return ""  # as above
            if start != partial.received or start + len(piece) > total:
                raise DatasetError(f"{path[:200]} did not arrive in order (byte {start:,} of {total:,}, after "
                                   f"{partial.received:,}). Add it again.")
            with writing(partial.file, total), partial.file.open("ab") as file:
                file.write(piece)
            partial.hash.update(piece)
            partial.received += len(piece)
            if partial.received < total:
                return ""
        with self._lock:
            self._partial.pop(number, None)
            self._done.add(number)
        return self._complete(path, partial.file, total, partial.hash.hexdigest())

    def leave(self, path: str, reason: str) -> None:
        """List a file that is not added."""
        with self._lock:
            if len(self.left) < MOST_FILES:
                self.left.append((path[:400], reason))

    def close(self) -> None:
        """Delete what was received and not added."""
        with self._lock:
            self._closed = True
            self._arrived.clear()
            self._partial.clear()
        shutil.rmtree(self._place, ignore_errors=True)

    def new_file(self, ending: str) -> Path:
        """The path for another file that is kept with the received ones. Raises ``DatasetError`` if there are too many.
        """
        with self._lock:
            if self._closed:
                raise DatasetError("This import was cancelled. Start it again.")
            if self._next >= MOST_FILES:
                raise DatasetError(f"More than {MOST_FILES:,} files cannot be added at once. Add the rest later.")
            self._next += 1
            return self._place / f"{self._next:06d}{ending}"

    def _unused(self, path: str) -> str:
        """``path``, with a number if another file came with it, as from two folders of a search."""
        stem, ending = split_ending(path)
        candidate, count = path, 2
        while candidate.casefold() in self._paths:
            candidate, count = f"{stem} ({count}){ending}", count + 1
        self._paths.add(candidate.casefold())
        return candidate

    def _partial_of(self, number: int, path: str, total: int) -> _Partial:
        with self._lock:
            known = self._partial.get(number)
        if known is None:
            known = _Partial(path, total, self.new_file(split_ending(path)[1]))
            with self._lock:
                known = self._partial.setdefault(number, known)
        if (known.path, known.total) != (path, total):
            raise DatasetError(f"{path[:200]} has the number of {known.path[:200]}. Add it again.")
        return known

    def _complete(self, path: str, file: Path, size: int, digest: str) -> str:
        if path.lower().endswith(".zip"):
            within = split_ending(path)[0]
            try:
                unpack(file, path, lambda inner, content, count: self._take_unpacked(f"{within}/{inner}", content,
                                                                                     count),
                       lambda inner, reason: self.leave(f"{within}/{inner}", reason))
            except DatasetError as problem:
                self.leave(path, str(problem).rstrip("."))
                return str(problem)
            finally:
                file.unlink(missing_ok=True)
            return ""
        return self._check(Arrived(path, file, size, digest))

    def _take_unpacked(self, path: str, content: BinaryIO, size: int) -> None:
        refusal = "archives inside an archive are not unpacked" if is_archive(path) else _why_not(path, size)
        if refusal:
            self.leave(path, refusal)
            return
        file, digest = self.new_file(split_ending(path)[1]), hashlib.sha256()
        try:
            with writing(file, size), file.open("xb") as target:
                while piece := content.read(_PIECE):
                    digest.update(piece)
                    target.write(piece)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        self._check(Arrived(path, file, size, digest.hexdigest()))

    def _check(self, arrived: Arrived) -> str:
        """Keep a file, or leave it out if it is an image that cannot be opened; returns the reason."""
        if not arrived.is_caption:
            try:
                read_header(arrived.file)
                if arrived.ending != ".avif":  # the webui's Pillow may not have it
                    open_picture(arrived.file, at_least=_SMALL_SIDE)
            except PictureError as problem:
                arrived.file.unlink(missing_ok=True)
                self.leave(arrived.path, problem.reason)
                return problem.reason
        with self._lock:
            if not self._closed:
                self._arrived.append(replace(arrived, path=self._unused(arrived.path)))
        return ""


def _why_not(path: str, size: int) -> str:
    """Why a file of this name and size is not added, as a clause; empty if it is."""
    parts = parts_of(path)
    ending = split_ending(parts[-1])[1]
    if any(part.lower() in _OF_SYSTEMS for part in parts) or parts[-1].startswith("._"):
        return "it belongs to the system, not to the images"
    if ending == ".zip":
        return f"zip files up to {MOST_ZIP_BYTES >> 30} GB can be unpacked" if size > MOST_ZIP_BYTES else ""
    if is_archive(path):
        return "only zip archives can be unpacked; unpack it yourself and drop the folder"
    if ending not in (*PICTURE_ENDINGS, *CAPTION_ENDINGS):
        return f"it is neither an image ({', '.join(PICTURE_ENDINGS)}) nor a caption ({', '.join(CAPTION_ENDINGS)})"
    if not size:
        return "it is empty" if ending in PICTURE_ENDINGS else ""
    if ending in CAPTION_ENDINGS and size > MOST_CAPTION_BYTES:
        return f"it has {size / 1024:,.0f} KB; a caption may have {MOST_CAPTION_BYTES // 1024} KB"
    if size > MOST_FILE_BYTES:
        return f"it has {size >> 20} MB; an image may have {MOST_FILE_BYTES >> 20} MB"
    return ""


def remove_leftovers(folder: Path) -> None:
    """Delete imports into ``folder`` that were interrupted: nothing has arrived in them for a day."""
    place = folder / HIDDEN_FOLDER / _FOLDER
    if place.is_symlink() or not place.is_dir():
        return
    for path in place.iterdir():
        with contextlib.suppress(OSError):  # deleted meanwhile
            old = time.time() - path.lstat().st_mtime > _ABANDONED_SECONDS
            if old and not path.is_symlink() and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
