"""The masks made so far, kept in the run's folder, so that an interrupted run can resume.

``masks.jsonl`` has one line for each image, beside the PNG files that it names. At the end of the run, all of them are
put in place in one edit.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path

from ...errors import RunError
from ...files.atomic import write_atomically
from ...files.json_file import parse
from ...files.reading import read_file, read_text, reason
from ...files.writing import open_to_append, writing
from ...pictures.listing import PictureFile

LIST_FILE = "masks.jsonl"
_MOST_BYTES = 256 << 20
_MOST_MASK_BYTES = 64 << 20


@dataclass(frozen=True)
class MadeMask:
    """A mask for the image ``picture``; ``file`` is its PNG."""

    picture: str
    file: Path

    def png(self) -> bytes:
        """The PNG. Raises ``RunError`` if it cannot be read."""
        try:
            return read_file(self.file, _MOST_MASK_BYTES)
        except (OSError, ValueError) as problem:
            raise RunError(f"The mask {self.file} cannot be read: {reason(problem)}. Start the run again.") from problem


class MadeMasks:
    """The masks of one run, by image. Thread-safe."""

    def __init__(self, folder: Path, pictures: list[PictureFile]) -> None:
        """Read those of an interrupted run, dropping those of images that have changed. Raises ``WriteError``."""
        self._folder = folder
        self._lock = threading.Lock()
        self._list = folder / LIST_FILE
        with writing(self._list):
            folder.mkdir(parents=True, exist_ok=True)
        stamps = {file.path: [file.size, file.modified_ns] for file in pictures}
        self.masks: dict[str, MadeMask] = {}
        self._next = 1
        lines = read_text(self._list, replace=True, most_bytes=_MOST_BYTES).splitlines() if self._list.is_file() else []
        for line in lines:
            try:
                found = parse(line)
                picture, file = found["picture"], folder / f"{int(found['number'])}.png"
                self._next = max(self._next, int(found["number"]) + 1)
                if stamps.get(picture) == found["stamp"] and file.is_file():
                    self.masks[picture] = MadeMask(picture, file)
            except (ValueError, KeyError, TypeError):
                continue  # the line that was being written when the run was killed

    def add(self, picture: PictureFile, png: bytes) -> None:
        """Save the mask of an image. Raises ``WriteError``."""
        with self._lock:
            number = self._next
            self._next += 1
        file = self._folder / f"{number}.png"
        write_atomically(file, png, durable=False)
        line = json.dumps({"picture": picture.path, "number": number, "stamp": [picture.size, picture.modified_ns]})
        with self._lock, writing(self._list), open_to_append(self._list) as listed:
            listed.write(f"\n{line}\n".encode())  # the newline before ends a line that was cut off
            self.masks[picture.path] = MadeMask(picture.path, file)
