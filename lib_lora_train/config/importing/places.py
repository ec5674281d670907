"""Resolves the paths that an imported source names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

CHECKPOINT, VAE, LORA, FOLDER, OUTPUT = "checkpoint", "VAE", "LoRA", "folder", "output folder"
_MOST_BYTES = 1_000_000


class Places(Protocol):
    """The files available to an import from the command line or the webui."""

    def find(self, kind: str, path: str) -> tuple[str | None, str]:
        """The local path for the source's ``path``, ``None`` if there is none, and a sentence about it, if needed."""
        ...

    def read(self, path: str) -> str | None:
        """The text of a file that the source names; ``None`` if it is missing or not allowed."""
        ...


class LocalPlaces:
    """The files of this machine; relative paths are resolved against ``folder``, that of the imported file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, kind: str, path: str) -> tuple[str | None, str]:
        """``path`` if it exists and is of the expected kind; an output folder is created when it is used."""
        try:
            place = self._folder / Path(path).expanduser()
            fits = place.is_dir() if kind in (FOLDER, OUTPUT) else place.is_file()
        except (OSError, ValueError, RuntimeError):
            fits = False
        if not fits:
            return None, missing(kind, path)
        return str(place), ""

    def read(self, path: str) -> str | None:
        """The text of the file ``path``; ``None`` if it is missing or too long."""
        try:
            place = self._folder / path
            if not place.is_file() or place.stat().st_size > _MOST_BYTES:
                return None
            return place.read_text(encoding="utf-8-sig")
        except (OSError, ValueError):
            return None


class Together:
    """Files imported together, by name: files that one of them names are read from the others only."""

    def __init__(self, others: Mapping[str, str], places: Places) -> None:
        """``others`` are the texts of the other files."""
        self._others = dict(others)
        self._places = places

    def find(self, kind: str, path: str) -> tuple[str | None, str]:
        """As ``Places.find``, on this machine."""
        return self._places.find(kind, path)

    def read(self, path: str) -> str | None:
        """The text of the file of that name, ignoring case; of the only other file if none matches, but prompts are not
        read from a dataset configuration.
        """
        wanted = file_name(path).casefold()
        name = next((name for name in self._others if name.casefold() == wanted), None)
        if name is None and len(self._others) == 1:
            only, text = next(iter(self._others.items()))
            name = None if wanted.endswith(".txt") and "[[datasets" in text else only
        return self._others.pop(name) if name is not None else self._places.read(path)

    def unread(self) -> list[str]:
        """The names of the files that were not read."""
        return list(self._others)


def is_empty(folder: str) -> bool:
    """Whether ``folder`` is empty."""
    try:
        return next(Path(folder).iterdir(), None) is None
    except OSError:
        return False


def missing(kind: str, path: str) -> str:
    """A sentence that the source's ``path`` is not on this machine, and what to do."""
    return f"There is no {kind} {path[:300]} on this machine. Choose the one to use here."


def file_name(path: str) -> str:
    """The last part of a Windows or POSIX path."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
