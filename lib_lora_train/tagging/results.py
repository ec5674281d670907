"""The tagger's results so far, saved in the run's folder, so that an interrupted run can resume.

One JSON line per image, flushed after each batch. At the end, all captions are written from it in one edit.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any

from ..files.json_file import parse
from ..files.reading import read_file, read_text
from ..files.writing import open_to_append, writing
from .choose import Chosen

_MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class Result:
    """The tags of one image, and the content of its caption file before tagging (``None``: no file).

    ``prose`` is its description, ``None`` if it was not described.
    """

    key: str
    caption_key: str
    before: bytes | None
    chosen: Chosen
    prose: str | None = None


class ResultFile:
    """The results of one run, by image, kept across crashes."""

    def __init__(self, path: Path, folder: Path) -> None:
        """Read the results in ``path``, dropping those of images that have changed since."""
        self.results: dict[str, Result] = {}
        self._path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = TextIOWrapper(open_to_append(path), "utf-8", "backslashreplace", newline="\n")
        self.results = {result.key: result for result in _read(path, folder)}
        self._folder = folder
        if path.stat().st_size and not read_file(path, _MOST_BYTES).endswith(b"\n"):
            self._file.write("\n")  # the last run was killed in the middle of a line

    def add(self, results: Iterable[Result]) -> None:
        """Save the results of a batch. Raises ``WriteError``."""
        with writing(self._path):
            for result in results:
                self.results[result.key] = result
                self._file.write(json.dumps(_plain(result, self._folder), ensure_ascii=False) + "\n")
            self._file.flush()

    def __enter__(self) -> ResultFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if error is None:
            with writing(self._path):
                self._file.close()
        else:
            with contextlib.suppress(OSError):  # must not replace the error being raised
                self._file.close()


def _plain(result: Result, folder: Path) -> dict[str, Any]:
    before = None if result.before is None else result.before.decode("latin-1")  # round-trips any byte
    return {"picture": result.key, "stamp": _stamp(folder / result.key), "caption": result.caption_key,
            "before": before, "tags": result.chosen.tags, "confidences": result.chosen.confidences,
            "prose": result.prose}


def _read(path: Path, folder: Path) -> Iterable[Result]:
    for line in read_text(path, replace=True, most_bytes=_MOST_BYTES).splitlines():
        try:
            found = parse(line)
            if found["stamp"] != _stamp(folder / found["picture"]):
                continue
            before = None if found["before"] is None else found["before"].encode("latin-1")
            yield Result(found["picture"], found["caption"], before,
                         Chosen(tuple(found["tags"]), dict(found["confidences"])), _prose(found.get("prose")))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # the line that was being written when the run was killed


def _prose(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(value)
    return value


def _stamp(picture: Path) -> list[int]:
    """Size and modification time, to detect a changed image; zeros for a missing one."""
    try:
        state = os.stat(picture)  # noqa: PTH116 - ten thousand times
    except OSError:
        return [0, 0]
    return [state.st_size, state.st_mtime_ns]
