"""Moving, copying and deleting images with their captions, masks and weights, each as one undo step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...errors import DatasetError
from ...files.confine import (
    HIDDEN_FOLDER,
    LONGEST_NAME_BYTES,
    RESERVED_ON_WINDOWS,
    TRASH_FOLDER,
    inside,
    open_inside,
    own_folder,
)
from ...files.writing import cannot_write
from ...pictures.images import is_picture_name
from ...pictures.masks.find import MARKS
from ...pictures.problems import count_of
from ...pictures.weights import WEIGHT_ENDING, weight_file
from ..journal.format import Move
from .editor import CaptionEditor, Outcome
from .index import Entry
from .new_files import COPIES, free_folder


def delete_pictures(editor: CaptionEditor, numbers: Iterable[int]) -> Outcome:
    """Move images into the trash folder, each with its caption, mask and weight unless another image uses them.

    Raises ``ConflictError`` or ``DatasetError`` with nothing moved.
    """
    with editor.lock:
        entries = _entries(editor, numbers)
        own_folder(editor.folder, TRASH_FOLDER)
        place = free_folder(editor.folder / TRASH_FOLDER)
        gone = {entry.id for entry in entries}
        users = companion_users(editor)
        moves: dict[str, Move] = {}
        for entry in entries:
            moves[entry.path] = Move(entry.path, f"{TRASH_FOLDER}/{place}/{entry.path}")
            caption = entry.caption
            if caption.stamp is not None and gone.issuperset(caption.users):
                moves[caption.path] = Move(caption.path, f"{TRASH_FOLDER}/{place}/{caption.path}")
            for path in _companions(entry):
                if gone.issuperset(users[path]):
                    moves[path] = Move(path, f"{TRASH_FOLDER}/{place}/{path}")
        return editor.carry_out(f"Deleted {count_of(len(entries), 'image')}", list(moves.values()))


def move_pictures(editor: CaptionEditor, numbers: Iterable[int], folder: str) -> Outcome:
    """Move images with captions, masks and weights to ``folder`` of the dataset; a name that is taken gets a number.

    What another image also uses is copied. Raises as ``delete_pictures``.
    """
    with editor.lock:
        target = target_folder(editor, folder)
        entries = [entry for entry in _entries(editor, numbers) if entry.folder != target]
        going = {entry.id for entry in entries}
        names, users = Names(editor, target), companion_users(editor)
        moves: dict[str, Move] = {}
        for entry in entries:
            stem = names.free(entry)
            moves[entry.path] = Move(entry.path, _joined(target, stem + Path(entry.name).suffix))
            for path, ending in _companions(entry).items():
                alone = path not in moves and going.issuperset(users[path])
                source = path if alone else _copied(editor, path)
                moves[source] = Move(source, _joined(target, stem + ending))
            if entry.caption.stamp is None:
                continue
            first = entry.caption.path not in moves  # of several images with one caption, the others get a copy
            source = (entry.caption.path if first and going.issuperset(entry.caption.users)
                      else _copied(editor, entry.caption.path))
            moves[entry.caption.path if first else source] = Move(
                source, _joined(target, stem + editor.settings.caption_extension))
        label = f"Moved {count_of(len(entries), 'image')} to {target or 'the top folder'}"
        return editor.carry_out(label, list(moves.values()))


def copy_pictures(editor: CaptionEditor, numbers: Iterable[int], folder: str) -> Outcome:
    """Copy images with captions, masks and weights to ``folder`` of the dataset. Raises as ``delete_pictures``."""
    with editor.lock:
        target = target_folder(editor, folder)
        entries = _entries(editor, numbers)
        names = Names(editor, target)
        moves = []
        for entry in entries:
            stem = names.free(entry)
            moves.append(Move(_copied(editor, entry.path), _joined(target, stem + Path(entry.name).suffix)))
            if entry.caption.stamp is not None:
                caption = _copied(editor, entry.caption.path)
                moves.append(Move(caption, _joined(target, stem + editor.settings.caption_extension)))
            moves += [Move(_copied(editor, path), _joined(target, stem + ending))
                      for path, ending in _companions(entry).items()]
        label = f"Copied {count_of(len(entries), 'image')} to {target or 'the top folder'}"
        return editor.carry_out(label, moves)


def lower_case_endings(editor: CaptionEditor, numbers: Iterable[int]) -> Outcome:
    """Make the file extensions of images lower case, as other trainers require. Raises as ``delete_pictures``."""
    with editor.lock:
        entries = [entry for entry in _entries(editor, numbers) if _lowered(entry.path) != entry.path]
        moves = [Move(entry.path, _lowered(entry.path)) for entry in entries]
        return editor.carry_out(f"Wrote {count_of(len(moves), 'ending')} in small letters", moves)


def rename_folder(editor: CaptionEditor, folder: str, name: str) -> Outcome:
    """Rename a folder that contains images, for example to change its repeats. Raises as ``delete_pictures``."""
    with editor.lock:
        path = inside(editor.folder, folder)
        if not path.is_dir() or not any(f"{entry.folder}/".startswith(f"{folder}/")
                                        for entry in editor.index.entries.values()):
            raise DatasetError(f"{folder[:200]!r} is not a folder with images of this dataset. Only such a folder "
                               "can be renamed here.")
        if not name.strip() or "/" in name or "\\" in name or name.startswith("."):
            raise DatasetError(f"{name[:200]!r} cannot be the name of a folder. Give it one without / and \\ that does "
                               "not begin with a dot.")
        _refuse_reserved(name)
        target = _joined(folder.rpartition("/")[0], name)
        inside(editor.folder, target)
        return editor.carry_out(f"Renamed {folder} to {name}", [Move(folder, target)])


class Names:
    """Allocates names that no image, caption, mask or weight in a folder has."""

    def __init__(self, editor: CaptionEditor, folder: str) -> None:
        place = editor.folder / folder
        self._taken = {path.name.lower() for path in place.iterdir()} if place.is_dir() else set()
        self._extension = editor.settings.caption_extension

    def free(self, entry: Entry) -> str:
        """Reserve and return the image's stem, with a number if it is taken."""
        return self.free_stem(Path(entry.name).stem, [Path(entry.name).suffix, *_companions(entry).values()])

    def free_stem(self, stem: str, endings: Sequence[str], word: str = "") -> str:
        """Reserve and return ``stem`` with ``word`` after it, with a number if it is taken with one of ``endings``.

        The stem is cut if the name would be too long.
        """
        endings = [*endings, self._extension, f"{MARKS[0]}.png", WEIGHT_ENDING]
        longest = LONGEST_NAME_BYTES - max(len(each.encode()) for each in endings) - len(word)
        candidate, number = f"{_cut(stem, longest)}{word}" if word else stem, 2
        while {f"{candidate}{each}".lower() for each in endings} & self._taken:
            candidate, number = f"{_cut(stem, longest - len(f'-{number}'))}{word}-{number}", number + 1
        self._taken |= {f"{candidate}{each}".lower() for each in endings}
        return candidate


def _companions(entry: Entry) -> dict[str, str]:
    """The mask and the weight file of an image, each with what follows the image's stem in the name of a new one."""
    found = {entry.file.mask: f"{MARKS[0]}{Path(entry.file.mask).suffix}"} if entry.file.mask else {}
    return found | ({weight_file(entry.path): WEIGHT_ENDING} if entry.file.weight_stamp is not None else {})


def companion_users(editor: CaptionEditor) -> dict[str, set[int]]:
    """The numbers of the images of each companion; images whose names differ in the extension only share them."""
    found: dict[str, set[int]] = {}
    for entry in editor.index.entries.values():
        for path in _companions(entry):
            found.setdefault(path, set()).add(entry.id)
    return found


def _cut(text: str, most_bytes: int) -> str:
    """``text`` truncated to at most ``most_bytes`` as a file name."""
    data = os.fsencode(text)
    return text if len(data) <= most_bytes else data[:most_bytes].decode("utf-8", "ignore")


def _entries(editor: CaptionEditor, numbers: Iterable[int]) -> Sequence[Entry]:
    return [editor.entry(number) for number in numbers]


def _refuse_reserved(folder: str) -> None:
    """Refuse new folder names that Windows reserves, since datasets are shared. Raises ``DatasetError``."""
    for part in folder.split("/"):
        if part.split(".")[0].strip().lower() in RESERVED_ON_WINDOWS or part != part.rstrip(". "):
            raise DatasetError(f"A folder named {part[:200]!r} cannot be used on Windows. Give it another name.")


def target_folder(editor: CaptionEditor, folder: str) -> str:
    """Validate ``folder`` and return it relative to the dataset. Raises ``DatasetError``."""
    cleaned = folder.strip().replace("\\", "/").rstrip("/")
    if not folder.strip() or cleaned == ".":
        return ""
    path = inside(editor.folder, cleaned)
    if path.exists() and not path.is_dir():
        raise DatasetError(f"{cleaned} is a file. Give the name of a folder.")
    if any(part.startswith(".") for part in Path(cleaned).parts):
        raise DatasetError(f"{cleaned} is a hidden folder, which is not trained on. Give it another name.")
    if not path.exists():
        _refuse_reserved(cleaned)
    return path.relative_to(editor.folder).as_posix()


def _copied(editor: CaptionEditor, relative: str) -> str:
    """Copy a file into the editor's hidden folder, to be moved from there; returns the copy's relative path."""
    place = own_folder(editor.folder, HIDDEN_FOLDER, COPIES)
    folder = free_folder(place)
    copy = place / folder / Path(relative).name
    try:
        copy.parent.mkdir()
        with open_inside(editor.folder, relative) as source, copy.open("xb") as target:
            shutil.copyfileobj(source, target)
            state = os.fstat(source.fileno())
        os.utime(copy, ns=(state.st_atime_ns, state.st_mtime_ns))
    except OSError as problem:
        raise DatasetError(f"{relative} cannot be copied; nothing was changed. "
                           f"{cannot_write(copy, problem)}") from problem
    return f"{HIDDEN_FOLDER}/{COPIES}/{folder}/{copy.name}"


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _lowered(path: str) -> str:
    stem, _, ending = path.rpartition(".")
    return f"{stem}.{ending.lower()}" if is_picture_name(path.rpartition("/")[2]) else path
