"""Nothing outside a dataset's folder is read or written: names are checked before a file is touched."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import DatasetError

HIDDEN_FOLDER = ".lora_train"
"""What the editor and the tagger keep beside the pictures: the undo journal and the confidences."""

TRASH_FOLDER = ".lora_train_trash"
"""Where deleted pictures go, with their captions."""

_OWN_FOLDERS = (HIDDEN_FOLDER, TRASH_FOLDER)


def inside(folder: Path, relative: str) -> Path:
    """The file or folder ``relative`` of ``folder`` with every link resolved; it need not exist.

    ``folder`` has to be resolved already. Raises ``DatasetError`` if ``relative`` is absolute, climbs out by ``..``,
    leads out through a link, or is one of the program's own folders.
    """
    if not relative or "\0" in relative or ("\\" in relative and os.sep == "\\"):
        raise DatasetError(f"{relative!r} names no file of {folder}.")
    parts = Path(relative).parts
    if Path(relative).is_absolute() or ".." in parts or (os.name == "nt" and ":" in relative):
        raise DatasetError(f"{relative!r} is not a name inside {folder}. Only files of the dataset can be used.")
    if parts and parts[0] in _OWN_FOLDERS:
        raise DatasetError(f"{relative!r} belongs to the editor itself and cannot be used as part of the dataset.")
    path = Path(os.path.realpath(folder / relative))
    if not path.is_relative_to(folder) or path == folder:
        raise DatasetError(f"{relative!r} leads out of {folder} to {path}. Copy it into the folder to use it.")
    if path.relative_to(folder).parts[0] in _OWN_FOLDERS:
        raise DatasetError(f"{relative!r} leads into the editor's own folder and cannot be used.")
    return path


def own_folder(folder: Path, *names: str) -> Path:
    """The folder ``names`` below ``folder``, made if it is missing.

    Raises ``DatasetError`` if one of them is a link or a file, or cannot be made.
    """
    path = folder
    for name in names:
        path = path / name
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise DatasetError(f"{path} should be a folder of the editor, but it is a link or a file. Remove it.")
        try:
            path.mkdir(exist_ok=True)
        except OSError as problem:
            raise DatasetError(f"{path} cannot be made: {problem.strerror}. The editor keeps its undo journal there, "
                               "so nothing can be edited without it.") from problem
    return path
