"""Measures the saved files of a run: the held-out loss and the drift of each, and strengths of the best one."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..batches.batches import Batch
from ..config.groups.network import NetworkSettings
from ..config.job import Job
from ..errors import RunError
from ..models.agreement import Remembered
from ..models.tokenizer import Tokenizer, find_vocabulary
from ..networks.from_file import network_from_file
from ..networks.network import Network
from ..networks.save import load_network_file
from ..runs.diagnosis.epochs import EpochMeasures, FileMeasures, Losses, StrengthMeasure
from ..runs.diagnosis.proposal import propose
from ..runs.folder import RunFolder
from ..training.base_model import fitted_base
from ..training.base_weights import load_weights, proven
from ..training.encoding import StoppedEarly, progress_until_stop
from ..training.holding import Boundary
from ..training.memory import store_base
from ..training.model import TrainedModel
from ..training.precision import resolve_computing
from ..training.reporting.report import Reporter
from ..training.setup import schedule_of
from ..training.validation import TIMESTEPS, validation_losses
from .drift import DRIFT_PREDICTIONS, DriftMeter
from .material import Chosen, Material, encoded

STRENGTHS = (0.6, 0.7, 0.8, 0.9, 1.1, 1.2)
"""Measured beside 1, at which every file is measured."""
Found = TypeVar("Found")


@dataclass(frozen=True)
class SavedFile:
    """A saved LoRA file and the point of its run."""

    path: Path
    step: int
    epoch: int
    final: bool


class FileMeter:
    """Measures LoRA files on one base model; the files take turns on it."""

    def __init__(self, job: Job, chosen: Chosen, run: RunFolder, reporter: Reporter,
                 proofs: Path | None = None) -> None:
        self._job, self._chosen, self._reporter = job, chosen, reporter
        computing = resolve_computing(job.training, chosen.smallest_side(job))
        self._boundary = Boundary(run, reporter, computing.device)
        self._between = progress_until_stop(run.control, self._boundary, reporter)
        base = load_weights(job, run, computing, self._boundary, reporter)
        computing, base = proven(job, run, base, computing, self._boundary, reporter, Remembered(proofs))
        base.drop_decoder()
        self._base = fitted_base(job, base, reporter)
        store_base(self._base, job.training, computing.device)
        self._accelerator = computing.accelerator()
        self._tokenizer = Tokenizer(find_vocabulary())
        self._material: Material | None = None
        self._drift: DriftMeter | None = None
        self._missing: list[str] = []
        self._skipped: list[str] = []
        self._done = self._total = 0

    def measure(self, files: Sequence[SavedFile], *, strengths: bool = True) -> EpochMeasures:
        """Measure ``files``, those that cannot be read excepted, and the ``strengths`` of the proposed one.

        Raises ``RunError`` if no file can be measured, ``StoppedEarly`` if a stop is requested.
        """
        began, found, base = time.monotonic(), list[FileMeasures](), None
        for number, file in enumerate(files):
            network = self._network(file)
            if network is None:
                continue
            base = base or self._of_base(network, len(files) - number)
            measured = self._tried(file, partial(self._of_file, file, network))
            found += [measured] if measured is not None else []
            network.detach()
        if base is None or self._material is None or not found:
            raise RunError("None of the saved files can be measured: they are gone, or do not fit this checkpoint.")
        material = self._material
        measures = EpochMeasures(material.source, material.source_text, material.names, base, tuple(found),
                                 left_out=material.left_out, doubt=material.doubt)
        if strengths:
            measures = self._with_strengths(measures)
        return dataclasses.replace(measures, missing=(*self._chosen.missing, *self._missing),
                                   skipped=tuple(self._skipped), seconds=round(time.monotonic() - began, 1))

    def _network(self, file: SavedFile) -> Network | None:
        """The network of ``file`` on the base model; ``None``, with a warning, if there is none."""
        return self._tried(file, lambda: network_from_file(
            load_network_file(file.path), NetworkSettings(), self._base.unet, self._base.text_encoders,
            self._base.checkpoint))

    def _tried(self, file: SavedFile, act: Callable[[], Found]) -> Found | None:
        """What ``act`` gives; if it fails, ``file`` is named as one that is not measured, and the others still are."""
        try:
            return act()
        except (StoppedEarly, RunError):
            raise  # of the whole measurement
        except Exception as problem:  # noqa: BLE001 - whatever is wrong with one file, the others are measured
            self._skipped.append(str(file.path))
            self._lacks(f"{file.path.name} is not measured: {problem}")
            return None

    def _lacks(self, text: str) -> None:
        self._missing.append(text)
        self._reporter.warning(text)

    def _of_base(self, network: Network, files: int) -> FileMeasures:
        """The base's own measurements; encodes the images, for which the first network has to be there.

        ``files`` are still to be measured.
        """
        model = self._model(network)
        material = self._material = encoded(self._job, self._chosen, model, self._reporter, self._between)
        model.base.drop_encoder()
        model.bring()
        each = len(TIMESTEPS) * (len(material.held_out) + len(material.trained)) + DRIFT_PREDICTIONS
        self._begin("measure", "Measuring the saved files", each * (1 + files))
        self._drift = self._drift_meter(model)
        with model.base_alone():
            return FileMeasures("", "", 0, 0, held_out=self._losses(model, material.held_out),
                                trained=self._losses(model, material.trained),
                                drift=None if self._drift is None else 0.0)

    def _drift_meter(self, model: TrainedModel) -> DriftMeter | None:
        try:
            return DriftMeter(model, self._job.dataset.size, self._job.training.seed, between=self._wait)
        except (StoppedEarly, RunError):
            raise  # of the whole measurement
        except Exception as problem:  # noqa: BLE001 - whatever fails here, the losses are measured
            self._lacks(f"The drift is not measured: {problem}")
            return None

    def _of_file(self, file: SavedFile, network: Network) -> FileMeasures:
        assert self._material is not None
        model = self._model(network)
        return FileMeasures(file.path.stem, str(file.path), file.step, file.epoch, file.final,
                            held_out=self._losses(model, self._material.held_out),
                            trained=self._losses(model, self._material.trained),
                            drift=None if self._drift is None else self._drift.drift_of(model))

    def _with_strengths(self, measures: EpochMeasures) -> EpochMeasures:
        """``measures`` with the held-out loss at ``STRENGTHS`` of the proposed file, if one is proposed."""
        proposed = propose(measures).file
        files = [file for file in measures.files if proposed and file.path == proposed.path]
        if not files or self._material is None or not self._material.held_out:
            return measures
        best = files[0]
        network = self._network(SavedFile(Path(best.path), best.step, best.epoch, best.final))
        if network is None:
            return measures
        predictions = len(TIMESTEPS) * len(self._material.held_out)
        self._begin("strengths", f"Measuring strengths of {best.name}", predictions * len(STRENGTHS))
        model, found = self._model(network), [StrengthMeasure(1.0, best.held_out)]
        try:
            for strength in STRENGTHS:
                network.multiplier = strength
                found.append(StrengthMeasure(strength, self._losses(model, self._material.held_out)))
        except (StoppedEarly, RunError):
            raise  # of the whole measurement
        except Exception as problem:  # noqa: BLE001 - whatever fails here, the files themselves are measured
            self._lacks(f"Strengths of {best.name} are not measured: {problem} Try it at 0.8 and 1 in txt2img.")
            found = []
        network.detach()
        return dataclasses.replace(measures, strengths=tuple(sorted(found, key=lambda one: one.strength)),
                                   strengths_of=best.name if found else "")

    def _losses(self, model: TrainedModel, batches: Sequence[Batch]) -> Losses:
        if not batches:
            return ()
        losses = validation_losses(model, batches, self._job.training.seed, self._wait)
        return tuple(tuple(row) for row in losses.tolist())

    def _model(self, network: Network) -> TrainedModel:
        network.to(self._accelerator.device)
        return TrainedModel(self._base, network, self._tokenizer, self._accelerator, schedule_of(self._base, self._job),
                            self._job.base.clip_skip, self._job.base.max_token_length, trains_text_encoder=False)

    def _begin(self, phase: str, text: str, predictions: int) -> None:
        """A phase of so many ``predictions`` begins."""
        self._done, self._total = 0, predictions
        self._reporter.phase(phase, text, total=predictions)

    def _wait(self) -> None:
        """Before each prediction: report progress, pause while the run is held, and leave if a stop is requested."""
        self._between(min(self._done, self._total), self._total)
        self._done += 1
