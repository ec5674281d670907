"""Checks that files are inside a folder, and opens them without leaving it.

A name is checked with its links resolved and then used relative to the open folder that holds it, where the system can
do that (openat and O_NOFOLLOW: Linux, macOS). A link placed there in between is refused, not followed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO

from ..errors import DatasetError
from .writing import cannot_write

HIDDEN_FOLDER = ".lora_train"
"""Files of the editor and the tagger beside the images: undo journal and tag confidences."""

TRASH_FOLDER = ".lora_train_trash"
"""Where deleted images and their captions go."""

RESERVED_ON_WINDOWS = frozenset({"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)),
                                 *(f"lpt{n}" for n in range(10))})
"""File names that are devices on Windows, with any suffix."""

MOST_LEVELS = 64
"""The maximum depth of folders."""

_OWN_FOLDERS = (HIDDEN_FOLDER, TRASH_FOLDER)
LONGEST_NAME_BYTES = 255
"""The limit of file systems for one name; NTFS counts characters, which are fewer."""

_MOST_OPEN = 64
_BY_DESCRIPTOR = hasattr(os, "O_NOFOLLOW") and hasattr(os, "O_DIRECTORY") and {os.open, os.stat, os.rename} <= set(
    os.supports_dir_fd)


def local_path(text: str) -> Path:
    """Return the path that a user typed, without quotation marks and with ``~`` expanded; accesses no disk.

    Raises ``DatasetError`` if it is not a full path or on another machine (``\\\\server\\share``): opening a file there
    would send the user's Windows password hash to that server.
    """
    cleaned = text.strip().strip('"')
    if is_on_another_machine(cleaned):
        raise DatasetError(f"{cleaned[:200]!r} is on another machine. Connect that share to a drive letter, and give "
                           "the path with the letter.")
    try:
        path = Path(cleaned).expanduser()
    except (RuntimeError, ValueError) as problem:  # ~ of an unknown user, or a null byte
        raise DatasetError(f"{cleaned[:200]!r} cannot be a path: {problem}.") from problem
    if not path.is_absolute() or "\0" in cleaned:
        raise DatasetError(f"{cleaned[:200]!r} is not a full path. Begin with the drive or with /.")
    return path


def is_on_another_machine(text: str) -> bool:
    """Whether the path ``text`` is a Windows path to another machine (``\\\\server\\share``)."""
    return text[:2] in ("\\\\", "//", "\\/", "/\\")


def is_inside(folder: Path | str, path: Path | str) -> bool:
    """Whether ``path`` is ``folder`` or inside it, with links resolved in both; neither needs to exist."""
    root, found = (os.path.normcase(os.path.realpath(one)) for one in (folder, path))
    return found == root or found.startswith(root.rstrip(os.sep) + os.sep)


def is_named_inside(folder: Path, path: Path) -> bool:
    """Whether ``path`` is inside ``folder`` by name only: links in it may lead elsewhere.

    Does not access the disk. For folders such as the webui's LoRA folder, where users link files on another disk.
    """
    return ".." not in path.parts and path.is_relative_to(folder)


def inside(folder: Path, relative: str) -> Path:
    """Return the file or folder ``relative`` of ``folder`` with every link resolved; it need not exist.

    ``folder`` must be resolved already. Raises ``DatasetError`` if ``relative`` is absolute, leaves the folder by
    ``..`` or a link, or is one of the program's own folders.
    """
    path = Path(_resolved(str(folder), relative))
    if path == folder:
        raise DatasetError(f"{relative!r} is not the name of a file in {folder}.")
    if path.relative_to(folder).parts[0] in _OWN_FOLDERS or Path(relative).parts[0] in _OWN_FOLDERS:
        raise DatasetError(f"{relative!r} belongs to the editor itself and cannot be used as part of the dataset.")
    return path


def open_inside(folder: Path, relative: str) -> BinaryIO:
    """Open the file ``relative`` of ``folder`` for reading.

    Raises ``DatasetError`` as ``inside`` does, or if the file does not exist or cannot be read.
    """
    inside(folder, relative)
    try:
        return Confined(folder).open(relative)
    except OSError as problem:
        raise DatasetError(f"{relative[:200]!r} of {folder} cannot be opened: {problem.strerror}.") from problem


def open_file(path: Path | str, parent: int | None = None) -> BinaryIO:
    """Open ``path`` for reading; in the open folder ``parent`` a link is not followed.

    Raises ``OSError``, also for a pipe or a device, which might never end.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags | (0 if parent is None else os.O_NOFOLLOW), dir_fd=parent)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "It is not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


class _OpenFolder:
    """A folder's descriptor, closed when no longer referenced."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


class Spot:
    """A name in a folder: ``name`` is relative to the open folder ``parent``, or a full path if that is ``None``."""

    def __init__(self, folder: str, name: str, opened: _OpenFolder | None) -> None:
        self.path = f"{folder}{os.sep}{name}"
        self.name = self.path if opened is None else name
        self._opened = opened

    @property
    def parent(self) -> int | None:
        """The descriptor of the open folder, for the ``dir_fd`` argument of ``os`` functions."""
        return None if self._opened is None else self._opened.descriptor

    def state(self) -> os.stat_result | None:
        """The state of the file, of a link itself and not its target; ``None`` if it does not exist."""
        try:
            return os.stat(self.name, dir_fd=self.parent, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def beside(self, name: str) -> Spot:
        """Return another name in the same folder."""
        return Spot(self.path.rpartition(os.sep)[0], name, self._opened)


def open_spot(folder: Path | str, name: str) -> Spot:
    """Return ``name`` in ``folder``, which must not be a link. Raises ``OSError``."""
    return Spot(str(folder), name, _open_folder(str(folder)))


class Confined:
    """The files of one folder by relative names with ``/``; links may lead elsewhere in it, but not out."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is resolved."""
        self._folder = str(folder)
        self._parents: dict[str, str] = {}
        self._opened: OrderedDict[str, _OpenFolder] = OrderedDict()

    def at(self, relative: str) -> Spot:
        """Return the spot of ``relative``; a link at the end is not resolved.

        Raises ``DatasetError`` if it is not inside, ``OSError`` if its folder cannot be opened or has become a link.
        """
        parent, name = self._split(relative)
        return Spot(parent, name, self._open(parent))

    def real(self, relative: str) -> str:
        """Return the relative name of the file that ``relative`` resolves to. Raises ``DatasetError``."""
        path = _resolved(self._folder, relative)
        return path[len(self._folder.rstrip(os.sep)) + 1:].replace(os.sep, "/")

    def resolve(self, relative: str) -> tuple[str, os.stat_result | None]:
        """Return the resolved relative name of ``relative`` and its state, ``None`` if it does not exist.

        Raises ``DatasetError`` if it is not inside, ``OSError`` as ``at`` does.
        """
        try:
            state = self.at(relative).state()
            if state is not None and stat.S_ISLNK(state.st_mode):
                relative = self.real(relative)
                state = self.at(relative).state()
        except (FileNotFoundError, NotADirectoryError):
            return relative, None
        return relative, state

    def state(self, relative: str) -> os.stat_result | None:
        """Return the state of ``relative``, of a link itself and not its target; ``None`` if it does not exist."""
        try:
            return self.at(relative).state()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def open(self, relative: str) -> BinaryIO:
        """Open the file ``relative`` for reading. Raises ``DatasetError`` or ``OSError``."""
        spot = self.at(self.real(relative))
        return open_file(spot.name, spot.parent)

    def read(self, relative: str) -> bytes:
        """Return the content of the file ``relative``. Raises ``DatasetError`` or ``OSError``."""
        with self.open(relative) as file:
            return file.read()

    def make_folder_of(self, relative: str) -> None:
        """Create the parent folders of ``relative``. Raises ``DatasetError`` or ``OSError``."""
        parts = relative.split("/")[:-1]
        for count in range(1, len(parts) + 1):
            spot = self.at("/".join(parts[:count]))
            if spot.state() is None:
                os.mkdir(spot.name, dir_fd=spot.parent)

    def _split(self, relative: str) -> tuple[str, str]:
        """Return the resolved parent folder of ``relative`` and its name there."""
        parent, _, name = relative.rpartition("/")
        _check_name(relative, self._folder)
        if parent not in self._parents:
            found = _resolved(self._folder, parent) if parent else self._folder
            if not os.path.isdir(found):  # may be created soon, as something else
                return found, name
            self._parents[parent] = found
        return self._parents[parent], name

    def _open(self, folder: str) -> _OpenFolder | None:
        held = self._opened.get(folder)
        if held is None:
            inner = folder[len(self._folder.rstrip(os.sep)):].strip(os.sep)
            held = _open_folder(self._folder, *(inner.split(os.sep) if inner else ()))
            if held is not None:
                self._opened[folder] = held
            if len(self._opened) > _MOST_OPEN:
                self._opened.popitem(last=False)
        return held


def own_folder(folder: Path, *names: str) -> Path:
    """Return the folder ``names`` below ``folder``, created if missing.

    Raises ``DatasetError`` if one of them is a link or a file, or cannot be created.
    """
    path = folder
    for name in names:
        path = path / name
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise DatasetError(f"{path} should be a folder of the editor, but it is a link or a file. Remove it.")
        try:
            path.mkdir(exist_ok=True)
        except OSError as problem:
            raise DatasetError(f"The editor's own folder, without which nothing can be edited, cannot be made. "
                               f"{cannot_write(path, problem)}") from problem
    return path


def _open_folder(folder: str, *inner: str) -> _OpenFolder | None:
    """Open the folder ``inner`` below ``folder`` name by name, following no link. Raises ``OSError``."""
    if not _BY_DESCRIPTOR:
        return None
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    opened = _OpenFolder(os.open(folder, flags))
    for name in inner:
        opened = _OpenFolder(os.open(name, flags, dir_fd=opened.descriptor))
    return opened


def _resolved(folder: str, relative: str) -> str:
    """Return the path of ``relative`` with links resolved. Raises ``DatasetError`` if it is not inside ``folder``."""
    _check_name(relative, folder)
    path = os.path.realpath(os.path.join(folder, relative))
    if not os.path.normcase(path + os.sep).startswith(os.path.normcase(folder.rstrip(os.sep) + os.sep)):
        raise DatasetError(f"{relative[:200]!r} leads out of {folder} to {path[:400]}. Copy it into the folder to use "
                           "it.")
    return path


def _check_name(relative: str, folder: str) -> None:
    """Check that ``relative`` is a plain relative name, without accessing the disk. Raises ``DatasetError``."""
    parts = relative.split("/")
    if relative in ("", ".") or "\0" in relative or parts[-1] in ("", ".", ".."):
        raise DatasetError(f"{relative[:200]!r} is not the name of a file in {folder}.")
    if os.path.isabs(relative) or ".." in parts or (os.name == "nt" and _is_odd_on_windows(relative)):
        raise DatasetError(f"{relative[:200]!r} is not a name inside {folder}. Only files of the dataset can be used.")
    if len(parts) > MOST_LEVELS:
        raise DatasetError(f"{relative[:200]!r} … has {len(parts)} levels of folders; {MOST_LEVELS} can be used.")
    if any(len(os.fsencode(part)) > LONGEST_NAME_BYTES for part in parts):
        raise DatasetError(f"{relative[:200]!r} … is too long for a name. Use {LONGEST_NAME_BYTES} bytes or fewer.")


def _is_odd_on_windows(relative: str) -> bool:
    """Whether it has a drive, a stream, a backslash, a device name, or a trailing character that Windows drops."""
    return ":" in relative or "\\" in relative or any(
        part.split(".")[0].strip().lower() in RESERVED_ON_WINDOWS or part != part.rstrip(". ")
        for part in relative.split("/"))
