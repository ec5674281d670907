"""The event log of a run: ``events.jsonl``, append-only, one JSON object per line, flushed.

Every event has ``time`` (seconds since the epoch, UTC) and ``event``, and further fields by kind:

    queued    steps, total_steps, name         an ended run is queued to continue after ``steps``
    phase     name, text                       a phase begins; name is one word, text a sentence
    progress  done, total, seconds_left|null   within the phase
    started   name, pictures, total_steps, steps_per_epoch, total_epochs, parameters, device, precision,
              from_step (not 0 if an interrupted or stopped run resumes), noise {family, prediction, zero_terminal_snr,
              edges, guess}: bands of timesteps and the loss of a blind guess in each (training/reporting/noise_bands);
              with several training phases, steps_per_epoch is that of the last, and training_phases are number, name,
              first_step, steps, first_epoch, epochs, steps_per_epoch of each
    training_phase  number, name, step, epoch  a further training phase begins after that step, with that epoch
    step      step, total_steps, epoch, loss, lr_unet, lr_text_encoder, gradient_norm (before clipping),
              seconds_per_step, seconds_left, bands [[mean unweighted squared error|null, images] of each band]
    norms     step, epoch, unet, text_encoder, blocks {name: norm}   Frobenius norms of the LoRA's changes
    epoch     epoch, total_epochs, loss        mean loss of the epoch that ended
    validation  step, epoch, loss, each [loss]  loss on held-out images, fixed noise and timesteps: mean, and of each
                                               image (not in earlier versions)
    drift     step, epoch, drift               change of predictions without the trigger word, relative to the error of
                                               the base; not at each save if there is no time for it
    state_saved  step                          the training state of that step is on disk; kept in earlier versions
    saved     path, name, step, epoch, final   a LoRA file is complete on disk
    sample    path, step, epoch, prompt, index an image; path is relative to the run folder
    memory    peak_bytes, device_bytes          peak GPU memory so far, and the total
    warning   text
    weights   way, text, bytes                 source of the base weights (see lend_ticket), a sentence, bytes shared
                                               with the webui
    held      who, why, token, gave_gpu        the run is on hold by the request token, see runs.hold; gave_gpu: whether
                                               it has left the GPU. One for each request
    resumed   who, why, token, seconds         the request was withdrawn after seconds; the run continues when all are.
                                               Earlier versions: held with token and gpu_free, went_on with seconds,
                                               paused, and resumed without fields
    tags      image, tags, near, prose         what a tagging run would write for a single image: [tag, confidence]
    result    path                             a tool's result file, relative to the run folder, before saving
    error     text, detail, kind               the run has failed; text is for the user; kind is "diverged" if
                                               the loss was NaN or had exploded, "memory" if there was too little
    finished / stopped   steps, seconds (at work), still_seconds (on hold, not included); of a tagging run
                         also pictures, had_captions, failed, written, unchanged, changed_meanwhile, mode, model,
                         provider, described (in sentences only)
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import WriteError
from ..files.confine import open_file
from ..files.json_file import DamagedFileError, number, parse, text
from ..files.reading import reason
from ..files.writing import open_to_append, writing

EVENTS_FILE = "events.jsonl"
ENDINGS = ("finished", "stopped", "error")
DIVERGED, OUT_OF_MEMORY = "diverged", "memory"
"""Kinds of errors."""
_FIELDS: dict[str, dict[str, Callable[..., Any]]] = {
    "queued": {"name": text},
    "started": {"name": text, "total_steps": number, "steps_per_epoch": number, "total_epochs": number},
    "step": {"step": number, "total_steps": number},
    "epoch": {"epoch": number},
    "state_saved": {"step": number},
    "kept": {"step": number},
    "saved": {"path": text, "name": text, "step": number, "epoch": number},
    "sample": {"path": text},
    "result": {"path": text},
    "error": {"text": text},
    "held": {"token": text},
    "renamed": {"path": text, "to": text, "name": text},
}
"""Required fields of an event, which readers rely on. All others may be missing or null."""
_NUMBERS = ("time", "step", "steps", "total_steps", "epoch", "total_epochs", "loss", "lr_unet", "lr_text_encoder",
            "gradient_norm", "seconds", "still_seconds", "seconds_left", "seconds_per_step", "from_step", "done",
            "total", "steps_per_epoch", "parameters", "peak_bytes", "device_bytes")


class EventWriter:
    """Appends events to a run's log. One process writes, any number read."""

    def __init__(self, path: Path) -> None:
        """Raises ``WriteError`` if the log cannot be opened."""
        self._path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open_to_append(path)
        if self._file.tell() and not _ends_with_newline(path):
            self._file.write(b"\n")  # the last writer was killed in the middle of a line

    def write(self, event: str, fields: Mapping[str, Any] | None = None) -> None:
        """Append one event. NaN and infinity become ``null``, since JSON cannot express them.

        Raises ``WriteError`` if the disk is full; the line is then retried with the next event.
        """
        line = {"time": round(time.time(), 3), "event": event, **_plain(fields or {})}
        with writing(self._path):
            self._file.write((json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace"))
            self._file.flush()

    def close(self) -> None:
        """Make the log durable and close it. Raises ``WriteError``."""
        with writing(self._path), self._file:
            self._file.flush()
            os.fsync(self._file.fileno())

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            with contextlib.suppress(WriteError):  # the exception already raised says more
                self.close()


def read_events(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The complete events after byte ``offset``, and the offset for the next call.

    An incomplete last line is left for the next call; a damaged line is skipped. Saved files have their current paths.
    """
    events, offset, _ = examine_events(path, offset)
    for index, event in enumerate(events):
        if event["event"] == "renamed":
            events[:index] = [with_new_name(one, event) if one["event"] == "saved" else one for one in events[:index]]
    return events, offset


def with_new_name(saved: dict[str, Any], renamed: Mapping[str, Any]) -> dict[str, Any]:
    """The event of a ``saved`` file after the event ``renamed``, which may be about another file."""
    if saved["path"] != renamed["path"]:
        return saved
    return {**saved, "path": renamed["to"], "name": renamed["name"]}


def current_paths(events: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Where each renamed file of a run is now, by each path it had before."""
    found: dict[str, str] = {}
    for event in events:
        if event["event"] == "renamed":
            found = {before: event["to"] if now == event["path"] else now for before, now in found.items()}
            found[event["path"]] = event["to"]
    return found


def examine_events(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int, str]:
    """As ``read_events``, with the problem of the first damaged line; empty if there is none.

    A line cut short by a crash is not damage: the writer started a new line after it.
    """
    try:
        with open_file(path) as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset, ""
    except OSError as problem:
        return [], offset, f"{path.name} cannot be read: {reason(problem)}"
    complete = data.rfind(b"\n") + 1
    events, damage = [], ""
    for line in data[:complete].split(b"\n"):
        if not line.rstrip().endswith(b"}"):
            continue
        try:
            events.append(_event(line))
        except DamagedFileError as problem:
            damage = damage or f"a line of {path.name} cannot be read: {problem} ({line[:80].decode(errors='replace')})"
    return events, offset + complete, damage


def _event(line: bytes) -> dict[str, Any]:
    """The event in ``line``. Raises ``DamagedFileError`` if it lacks a required field."""
    event = parse(line)
    if not isinstance(event, dict):
        raise DamagedFileError("it is not an object")
    kind = text(event, "event")
    number(event, "time")
    for name in _NUMBERS:
        number(event, name, None)
    for name, check in _FIELDS.get(kind, {}).items():
        check(event, name)
    return event


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
