"""The tagger's confidences, read from ``.lora_train/confidences.json``, which a tagging run writes.

The format is ``{relative path of the image: {tag: confidence from 0 to 1}}``.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

from ..errors import DatasetError
from ..files.confine import HIDDEN_FOLDER
from ..files.json_file import parse
from ..files.reading import read_file
from .tags import plain

FILE_NAME = "confidences.json"
MOST_BYTES = 1 << 30
"""Enough for ten thousand images with a thousand tags each."""

_NOTHING = array("I"), array("f")


class Confidences:
    """The confidences of all images, packed: eight bytes for each tag of an image."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._tags: list[str] = []
        self._keys: list[str] = []
        self._pictures: dict[str, tuple[array[int], array[float]]] = {}

    def __len__(self) -> int:
        return len(self._pictures)

    def __contains__(self, path: object) -> bool:
        return path in self._pictures

    def add(self, path: str, confidences: dict[str, float]) -> None:
        """Add the confidences of the image ``path``."""
        numbers, values = array("I"), array("f")
        for tag, confidence in confidences.items():
            number = self._numbers.get(tag)
            if number is None:
                number = self._numbers[tag] = len(self._tags)
                self._tags.append(tag)
                self._keys.append(plain(tag))
            numbers.append(number)
            values.append(confidence)
        self._pictures[path] = numbers, values

    def of(self, path: str) -> dict[str, float]:
        """The confidences by ``plain`` tag; empty if the image was never tagged."""
        numbers, values = self._pictures.get(path, _NOTHING)
        return {self._keys[number]: value for number, value in zip(numbers, values, strict=True)}

    def as_written(self, path: str) -> Iterator[tuple[str, float]]:
        """The tags in the tagger's spelling, with their confidences."""
        numbers, values = self._pictures.get(path, _NOTHING)
        return ((self._tags[number], value) for number, value in zip(numbers, values, strict=True))


def confidences_file(folder: Path) -> Path:
    """The path of a dataset's confidences."""
    return folder / HIDDEN_FOLDER / FILE_NAME


def read_confidences(folder: Path) -> Confidences:
    """The confidences of the dataset ``folder``; empty if no tagging run has written any.

    Raises ``DatasetError`` if the file is unreadable, damaged or reached through a link.
    """
    file = confidences_file(folder)
    found = Confidences()
    if file.is_symlink() or file.parent.is_symlink():
        raise DatasetError(f"{file} is reached through a link, which is not followed. Remove it.")
    try:
        content = parse(read_file(file, MOST_BYTES))
        for path, tags in content.items():
            found.add(str(path), {str(tag): float(confidence) for tag, confidence in tags.items()})
    except FileNotFoundError:
        return found
    except OSError as problem:
        raise DatasetError(f"{file} cannot be read: {problem.strerror}.") from problem
    except (ValueError, AttributeError, TypeError) as problem:
        raise DatasetError(f"{file} is damaged ({problem}). Delete it, or tag the images again.") from problem
    return found
