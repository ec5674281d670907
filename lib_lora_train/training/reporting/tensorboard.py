"""The curves of a run as TensorBoard reads them, in the run folder's ``tensorboard``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

_OF_STEPS = {"loss": "loss/step", "lr_unet": "learning_rate/unet", "lr_text_encoder": "learning_rate/text_encoder",
             "gradient_norm": "gradient_norm"}
_FLUSH_SECONDS = 10


class TensorboardLog:
    """Writes what events say of a run's steps. A run that goes on hides the steps that it makes once more."""

    def __init__(self, folder: Path, from_step: int) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=from_step + 1 if from_step else None,
                                     flush_secs=_FLUSH_SECONDS, write_to_disk=True)
        self._step = from_step

    def take(self, event: str, fields: Mapping[str, Any]) -> None:
        """Write the numbers of an event, if it has any to draw."""
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
        """Write what is left."""
        self._writer.close()

    def _write(self, values: Mapping[str, float | None], step: int) -> None:
        for tag, value in values.items():
            if value is not None:
                self._writer.add_scalar(tag, value, step)
