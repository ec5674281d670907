"""The event log of a run: ``events.jsonl``, append-only, one JSON object a line, flushed.

Every event has ``time`` (seconds since the epoch, UTC) and ``event``, and by its kind:

    queued    steps, total_steps, name         a run that had ended is asked to go on after ``steps``
    phase     name, text                       what begins now; name is one word, text a sentence
    progress  done, total, seconds_left|null   within the phase
    started   name, pictures, total_steps, steps_per_epoch, total_epochs, parameters, device, precision,
              from_step (not 0 if the run goes on after it was broken off or stopped)
    step      step, total_steps, epoch, loss, lr_unet, lr_text_encoder, gradient_norm (before it is limited),
              seconds_per_step, seconds_left
    norms     step, epoch, unet, text_encoder, blocks {name: norm}   Frobenius norms of what the LoRA adds
    epoch     epoch, total_epochs, loss        mean loss of the epoch that ended
    validation  step, epoch, loss              loss on held-out pictures, fixed noise and timesteps
    kept      step                             the state that the run can go on from is on disk
    saved     path, name, step, epoch, final   a LoRA file is complete on disk
    sample    path, step, epoch, prompt, index a picture; path is relative to the run folder
    memory    peak_bytes, device_bytes          the most GPU memory in use so far, of how much there is
    warning   text
    weights   way, text, bytes                 how the base weights were got (lent, copy, file), as a sentence, and how
              many bytes are shared with the webui
    held      token, gpu_free                  at a step boundary until the webui has made a picture; gpu_free is there
                                               if the run has left the GPU for it
    went_on   seconds                          the time that the hold took
    paused / resumed
    error     text, detail, kind               the run has failed; text is for the user; kind is "diverged" if
                                               the loss was no number or had exploded
    finished / stopped   steps, seconds; of a tagging run also pictures, had_captions, failed, written, unchanged,
                         changed_meanwhile, mode, model, provider
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

EVENTS_FILE = "events.jsonl"
ENDINGS = ("finished", "stopped", "error")


class EventWriter:
    """Appends events to a run's log. One process writes, any number read."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        if self._file.tell() and not _ends_with_newline(path):
            self._file.write(b"\n")  # the last writer was killed in the middle of a line

    def write(self, event: str, fields: Mapping[str, Any] | None = None) -> None:
        """Append one event. NaN and infinity become ``null``, since JSON has no word for them."""
        line = {"time": round(time.time(), 3), "event": event, **_plain(fields or {})}
        self._file.write((json.dumps(line, ensure_ascii=False) + "\n").encode())
        self._file.flush()

    def close(self) -> None:
        """Make the log durable and close it."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def read_events(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The complete events after byte ``offset`` and the offset to go on from.

    A line that is still being written is left for the next call; a damaged line is skipped.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    complete = data.rfind(b"\n") + 1
    events = []
    for line in data[:complete].splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # cut short by a crash; the writer began a new line after it
        if isinstance(event, dict) and "event" in event:
            events.append(event)
    return events, offset + complete


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
