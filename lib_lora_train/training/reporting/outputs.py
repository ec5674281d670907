"""The files of a run: LoRA files, their sidecars, sample images."""

from __future__ import annotations

import io
import shutil
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from ...batches.summary import DatasetSummary
from ...batches.timeline import Timeline
from ...config.job import Job
from ...errors import RunError, WriteError
from ...files.atomic import remove_leftovers, write_atomically
from ...files.writing import cannot_write, writing
from ...models.hashes import ModelHashes
from ...models.load import BaseModel
from ...networks.create import Network
from ...networks.save import save_network
from ...runs.folder import RunFolder
from ..metadata import TrainingFacts, build_metadata, sidecar_json
from .report import Reporter
from .sampling import Sample


@dataclass(frozen=True)
class SavePoint:
    """A point of a run at which files are saved or samples generated.

    ``step`` counts the completed steps, ``epoch`` (from 1) is the one they belong to, ``final`` marks the end of the
    run.
    """

    step: int
    epoch: int
    final: bool = False
    epoch_complete: bool = True


class Outputs:
    """Writes the files of a run, atomically and without overwriting others."""

    def __init__(self, job: Job, run: RunFolder, base: BaseModel, hashes: Future[ModelHashes], timeline: Timeline,
                 summary: DatasetSummary, reporter: Reporter) -> None:
        self._job = job
        self._run = run
        self._base = base
        self._hashes = hashes
        self._timeline = timeline
        self._summary = summary
        self._reporter = reporter
        self._folder = Path(job.save.output_dir)

    def file_for(self, point: SavePoint) -> Path:
        """``name``, ``name-000004`` for epoch 4 or ``name-step00001000``, with ``.safetensors``."""
        name = self._job.save.output_name
        if not point.final:
            name += f"-{point.epoch:06d}" if point.epoch_complete else f"-step{point.step:08d}"
        return self._folder / f"{name}.safetensors"

    def save(self, network: Network, point: SavePoint) -> Path:
        """Write the LoRA and its sidecar for the webui. Raises ``RunError`` if the disk is full or read-only.

        An existing file was written at the same point by this run, before it was interrupted, and is kept; a missing
        sidecar or event is added.
        """
        path = self.file_for(point)
        facts = self._facts(point)
        if not path.exists():
            metadata = build_metadata(self._job, self._summary, facts, path.stem)
            save_network(path, network, self._job.save.save_precision, metadata)
        sidecar = path.with_suffix(".json")
        if not sidecar.exists():
            remove_leftovers(sidecar)
            self._write_beside(sidecar, sidecar_json(self._job, self._summary, facts))
        self._reporter.saved(path, step=point.step, epoch=point.epoch, final=point.final)
        return path

    def _facts(self, point: SavePoint) -> TrainingFacts:
        return TrainingFacts(step=point.step, epoch=point.epoch, base_checkpoint=self._base.checkpoint,
                             base_hashes=self._hashes.result(), family=self._base.family,
                             prediction_type=self._base.prediction_type, base_vae=self._base.vae_file,
                             total_steps=self._timeline.total_steps, total_epochs=self._timeline.epochs,
                             batches_per_epoch=self._timeline.first.plan.batches_per_epoch)

    def keep_sample(self, sample: Sample, point: SavePoint) -> Path:
        """Write a sample to the run folder and report it."""
        name = f"{point.step:08d}_{sample.index:02d}.png"
        path = self._run.samples / name
        with writing(path):
            path.parent.mkdir(exist_ok=True)
        write_atomically(path, _png(sample))
        self._reporter.event("sample", {"path": f"samples/{name}", "step": point.step, "epoch": point.epoch,
                                        "prompt": sample.prompt, "index": sample.index})
        return path

    def keep_preview(self, sample: Sample, lora: Path) -> None:
        """Write the sample beside the LoRA, where the webui looks for its card's preview image."""
        preview = lora.with_suffix(".png")
        if not preview.exists():
            self._write_beside(preview, _png(sample))

    def _write_beside(self, path: Path, content: bytes | str) -> None:
        """Write an optional file: a failure is only a warning."""
        try:
            write_atomically(path, content)
        except WriteError as problem:
            self._reporter.warning(f"{problem} The LoRA itself is saved.")


def check_output_folder(folder: Path, bytes_needed: int) -> None:
    """Make sure that ``bytes_needed`` can be written to ``folder``, before any work starts.

    Raises ``RunError`` if it cannot be created or written, or has too little space.
    """
    probe = folder / ".train_lora_write_test.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(probe, b"")
        probe.unlink()
    except OSError as problem:
        raise RunError(f"LoRA files cannot be written to {folder}. {cannot_write(folder, problem)} Or choose another "
                       "folder with save.output_dir.") from problem
    free = shutil.disk_usage(folder).free
    if free < bytes_needed:
        raise RunError(f"{folder} has {free / 1e6:.0f} MB free, but one LoRA file of this size needs about "
                       f"{bytes_needed / 1e6:.0f} MB. Free some space, or choose a lower network_dim.")


def _png(sample: Sample) -> bytes:
    buffer = io.BytesIO()
    sample.picture.save(buffer, format="PNG")
    return buffer.getvalue()
