"""On and off: images and their edited versions, found by their names."""

from __future__ import annotations

from pathlib import PurePosixPath

from ...pictures.origin import edited_of


class Pairs:
    """The images of a dataset by stem, and the edited versions of each. Paths are relative to the dataset's folder."""

    def __init__(self) -> None:
        self._by_stem: dict[str, list[str]] = {}
        self._edits: dict[str, list[str]] = {}

    def add(self, path: str) -> None:
        """Add an image."""
        self._by_stem.setdefault(_stem(path), []).append(path)
        base = edited_of(path)
        if base is not None:
            self._edits.setdefault(base, []).append(path)

    def remove(self, path: str) -> None:
        """Remove an image that was added."""
        self._by_stem[_stem(path)].remove(path)
        base = edited_of(path)
        if base is not None:
            self._edits[base].remove(path)

    def source_of(self, path: str) -> str:
        """The image that ``path`` was edited from: beside it, else the only one of that name; empty if there is none.
        """
        base = edited_of(path)
        candidates = self._by_stem.get(base, []) if base is not None else []
        beside = [one for one in candidates if _folder(one) == _folder(path)]
        return beside[0] if beside else candidates[0] if len(candidates) == 1 else ""

    def edits_of(self, path: str) -> list[str]:
        """The edited versions of the image ``path``."""
        return [one for one in self._edits.get(_stem(path), []) if self.source_of(one) == path]


def _stem(path: str) -> str:
    return PurePosixPath(path).stem.casefold()


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
