"""Where paths that a source names are looked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

CHECKPOINT, VAE, LORA, FOLDER, OUTPUT = "checkpoint", "VAE", "LoRA", "folder", "output folder"
_MOST_BYTES = 1_000_000


class Places(Protocol):
    """What is there on this machine, as the command line or the webui sees it."""

    def find(self, kind: str, path: str) -> tuple[str | None, str]:
        """The path to use for ``path`` of the source, ``None`` if there is none, and a sentence about it, if any."""
        ...

    def read(self, path: str) -> str | None:
        """The text of a file that the source names; ``None`` if it is not there or may not be read."""
        ...


class LocalPlaces:
    """The files of this machine; a relative path is meant from ``folder``, that of the file imported."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, kind: str, path: str) -> tuple[str | None, str]:
        """``path`` if it exists, as the kind of thing that it should be; an output folder is made when it is used."""
        try:
            place = self._folder / Path(path).expanduser()
            fits = place.is_dir() if kind in (FOLDER, OUTPUT) else place.is_file()
        except (OSError, ValueError, RuntimeError):
            fits = False
        if not fits:
            return None, missing(kind, path)
        return str(place), ""

    def read(self, path: str) -> str | None:
        """The text of the file ``path``, if it is there and not long."""
        try:
            place = self._folder / path
            if not place.is_file() or place.stat().st_size > _MOST_BYTES:
                return None
            return place.read_text(encoding="utf-8-sig")
        except (OSError, ValueError):
            return None


class Together:
    """Files that were given together, by name: what one of them names is read from the others, and nowhere else."""

    def __init__(self, others: Mapping[str, str], places: Places) -> None:
        """``others`` are the texts of the files beside the one that is read."""
        self._others = dict(others)
        self._places = places

    def find(self, kind: str, path: str) -> tuple[str | None, str]:
        """As the places of this machine have it."""
        return self._places.find(kind, path)

    def read(self, path: str) -> str | None:
        """The text of the file of that name, in upper or lower case; of the only other one if none has it."""
        wanted = file_name(path).casefold()
        name = next((name for name in self._others if name.casefold() == wanted), None)
        if name is None and len(self._others) == 1:
            name = next(iter(self._others))
        return self._others.pop(name) if name is not None else self._places.read(path)

    def unread(self) -> list[str]:
        """The names of the files that nothing has asked for."""
        return list(self._others)


def is_empty(folder: str) -> bool:
    """Whether there is nothing at all in ``folder``."""
    try:
        return next(Path(folder).iterdir(), None) is None
    except OSError:
        return False


def missing(kind: str, path: str) -> str:
    """That the source's ``path`` is not on this machine, and what to do."""
    return f"There is no {kind} {path[:300]} on this machine. Choose the one to use here."


def file_name(path: str) -> str:
    """The last part of a path of Windows or of another system."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
