"""The curves of a run in TensorBoard format, in the run folder's ``tensorboard``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from ...files.writing import cannot_write, writing

_OF_STEPS = {"loss": "loss/step", "lr_unet": "learning_rate/unet", "lr_text_encoder": "learning_rate/text_encoder",
             "gradient_norm": "gradient_norm"}
_FLUSH_SECONDS = 10


class _Records:
    """A record writer that stores a disk error instead of ending the library's thread.

    Without that thread the queue is never emptied, and training would block forever on the next value.
    """

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self.problem: OSError | None = None

    def write_event(self, event: Any) -> None:
        self._unless_failed(lambda: self._writer.write_event(event))

    def flush(self) -> None:
        self._unless_failed(self._writer.flush)

    def close(self) -> None:
        self._unless_failed(self._writer.close)

    def _unless_failed(self, act: Callable[[], object]) -> None:
        if self.problem is None:
            try:
                act()
            except OSError as problem:
                self.problem = problem


class TensorboardLog:
    """Writes a run's step events. A resumed run hides the steps that it repeats."""

    def __init__(self, folder: Path, from_step: int, warn: Callable[[str], None]) -> None:
        """``warn`` is called once if the curves cannot be written. Raises ``WriteError`` if writing cannot begin."""
        with writing(folder):
            self._writer = SummaryWriter(str(folder), purge_step=from_step + 1 if from_step else None,
                                         flush_secs=_FLUSH_SECONDS, write_to_disk=True)
        self._folder, self._step, self._warn = folder, from_step, warn
        events = self._writer.file_writer.event_writer
        self._records = _Records(events._ev_writer)
        events._ev_writer = events._worker._record_writer = self._records
        self._warned = False

    def take(self, event: str, fields: Mapping[str, Any]) -> None:
        """Write the numbers of an event, if it has any to plot."""
        if event == "step":
            self._step = fields["step"]
            self._write({tag: fields.get(name) for name, tag in _OF_STEPS.items()}, self._step)
        elif event == "epoch":
            self._write({"loss/epoch": fields["loss"]}, self._step)
        elif event == "validation":
            self._write({"loss/held_out": fields["loss"]}, fields["step"])
        elif event == "norms":
            parts = {f"weight_norm/{part}": fields[part] for part in ("unet", "text_encoder")}
            blocks = {f"weight_norm_of_block/{name}": norm for name, norm in fields["blocks"].items()}
            self._write({**parts, **blocks}, fields["step"])

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()

    def _write(self, values: Mapping[str, float | None], step: int) -> None:
        if self._records.problem is not None:
            if not self._warned:
                self._warned = True
                self._warn(f"{cannot_write(self._folder, self._records.problem)} Training continues without "
                           "TensorBoard's curves.")
            return
        for tag, value in values.items():
            if value is not None:
                self._writer.add_scalar(tag, value, step)
