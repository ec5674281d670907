"""Which epoch of a run to use: measurements, proposal, signs and remedies as the page shows them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...config.job import Job
from ...config.phases.effective import phases_of
from ...files.json_file import DamagedFileError
from ...files.reading import reason
from ..events import current_paths
from .epochs import HELD_OUT, NOTHING, EpochMeasures, FileMeasures, Losses, mean_loss, read_measures
from .proposal import Proposal, named, propose
from .records import FOLDER, read_measurements
from .remedies import Remedy, remedies_for
from .signs import Sign, signs_of

FILES, RUN, NOWHERE = "files", "run", ""
"""Where the measurements are from: measured after the run, by the run itself, or there are none."""


@dataclass(frozen=True)
class EpochPoint:
    """One saved file, or the base model (step 0), in the chart; what was not measured is ``None``."""

    name: str
    path: str
    label: str
    step: int
    held_out: float | None
    trained: float | None
    drift: float | None
    likeness: float | None
    flexibility: float | None
    copies: float | None
    to_nearest: float | None
    to_set: float | None
    alike: bool


@dataclass(frozen=True)
class WhichEpoch:
    """``path`` and ``name`` are the proposed file's, empty for none; ``sure`` is one of those in ``proposal``.

    ``measured_on`` is what the held-out loss was measured on, as ``source`` in ``epochs``. ``missing`` counts saved
    files that were not measured yet. ``strengths`` are pairs of strength and held-out loss. ``problem`` says why the
    measurements cannot be read. ``features``: which model of image features was used, or why not. ``lacks`` are
    sentences: what could not be measured, why, and the way out.
    """

    source: str
    measured_on: str
    about: str
    points: tuple[EpochPoint, ...]
    path: str
    name: str
    label: str
    strength: float | None
    sure: str
    reason: str
    strength_reason: str
    doubts: tuple[str, ...]
    signs: tuple[Sign, ...]
    remedies: tuple[Remedy, ...]
    strengths: tuple[tuple[float, float], ...]
    missing: int
    problem: str
    features: str
    lacks: tuple[str, ...]


def which_epoch(folder: Path, events: Sequence[Mapping[str, Any]], job: Job) -> WhichEpoch:
    """What ``diagnosis/epochs.json`` in the run ``folder`` says or, without it, the run's own ``events``."""
    problem, source, measures = "", FILES, None
    try:
        measures = read_measures(folder)
    except (DamagedFileError, OSError) as error:
        problem = f"diagnosis/epochs.json cannot be read: {reason(error)}. Measure again."
    if measures is not None:
        now = current_paths(events)
        measures = replace(measures, files=tuple(
            replace(file, path=now[file.path], name=Path(now[file.path]).stem) if file.path in now else file
            for file in measures.files))
    else:
        source, measures = RUN, measures_from(events, _losses_in_training(folder))
    if measures is None:
        source, measures = NOWHERE, EpochMeasures("")
    proposal = propose(measures)
    signs = signs_of(measures, proposal)
    file = proposal.file
    known = {*(one.path for one in measures.files), *measures.skipped}
    saved = {event["path"] for event in events if event["event"] == "saved" and Path(event["path"]).is_file()}
    points = (measures.base, *measures.files) if measures.files else ()
    return WhichEpoch(
        source, measures.source, measures.source_text, tuple(_point(one, measures, proposal) for one in points),
        "" if file is None else file.path, "" if file is None else file.name,
        "" if file is None else named(file, measures.files), proposal.strength, proposal.sure,
        proposal.reason if source else _why_unmeasured(events), proposal.strength_reason,
        (*proposal.doubts, *(of_phases(job) if measures.files else ())),
        tuple(signs), tuple(remedies_for(measures, proposal, signs, job)),
        tuple((one.strength, mean_loss(one.held_out)) for one in measures.strengths
              if math.isfinite(mean_loss(one.held_out))),
        len(saved - known), problem, measures.features, measures.missing)


def of_phases(job: Job) -> list[str]:
    """What the measurements of a ``job`` with training phases do not say, as sentences."""
    first, *later = phases_of(job)
    if not later:
        return []
    resolution = first.job.dataset.resolution
    others = [phase for phase in later if phase.job.dataset.resolution != resolution]
    found = []
    if others:
        found.append(f"Everything is measured at the resolution of the first phase ({resolution}). The phase "
                     f"“{others[0].title}” trains at {others[0].job.dataset.resolution}, so what it adds there hardly "
                     "shows: compare its files by samples of that size, too.")
    chosen = {(tuple(phase.job.dataset.only_folders), phase.job.dataset.min_image_weight) for phase in (first, *later)}
    if len(chosen) > 1:
        found.append("The phases train on different images, and the loss is that of images of all of them. If only "
                     "those of the last phase count for you, measure with a folder of images like those.")
    return found


def _losses_in_training(folder: Path) -> dict[int, Losses]:
    """The loss of training images at each save by step, as the diagnosis measured it: of images that all points have.

    A damaged file counts as none; the section *Diagnosis* reports it.
    """
    try:
        points = {one.step: one.loss for one in read_measurements(folder / FOLDER) if any(one.loss)}
    except (DamagedFileError, OSError):
        return {}
    places = [place for place in range(max(map(len, points.values()), default=0))
              if all(place < len(row) and row[place] is not None for row in points.values())]
    return {step: tuple(loss for place in places if (loss := row[place]) is not None) for step, row in points.items()
            } if places else {}


def measures_from(events: Iterable[Mapping[str, Any]], trained: Mapping[int, Losses] | None = None
                  ) -> EpochMeasures | None:
    """What a run reported of its saved files as it trained: held-out losses and drift; ``None`` if there is neither.

    ``trained`` are the losses of training images by step, which count if there are no held-out ones.
    """
    losses: dict[int, tuple[tuple[float, ...], ...]] = {}
    saved: dict[str, Mapping[str, Any]] = {}
    drifts: dict[int, float] = {}
    for event in events:
        if event["event"] == "validation" and _is_each(event.get("each")):
            losses[int(event["step"])] = tuple((math.nan if loss is None else float(loss),) for loss in event["each"])
        elif event["event"] == "drift" and _is_number(event.get("drift")):
            drifts[int(event["step"])] = float(event["drift"])
        elif event["event"] == "saved":
            saved[event["path"]] = event
    trained = {} if losses else trained or {}  # they are measured at other timesteps
    files = tuple(FileMeasures(str(event["name"]), path, int(event["step"]), int(event["epoch"]),
                               event.get("final") is True, held_out=losses.get(int(event["step"]), ()),
                               trained=trained.get(int(event["step"]), ()), drift=drifts.get(int(event["step"])))
                  for path, event in saved.items()
                  if any(int(event["step"]) in known for known in (losses, drifts, trained)))
    if not files:
        return None
    if not losses:
        return EpochMeasures(NOTHING, "no image was held out", base=FileMeasures(
                             "", "", 0, 0, trained=trained.get(0, ()), drift=0.0 if drifts else None),
                             files=tuple(sorted(files, key=lambda file: file.step)))
    count = max(len(file.held_out) for file in files)
    text = f"{count} {'image' if count == 1 else 'images'} that the LoRA was not trained on"
    return EpochMeasures(HELD_OUT, text, tuple("" for _ in range(count)),
                         FileMeasures("", "", 0, 0, held_out=losses.get(0, ()), drift=0.0 if drifts else None),
                         tuple(sorted(files, key=lambda file: file.step)))


def _is_each(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(one is None or _is_number(one) for one in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _why_unmeasured(events: Sequence[Mapping[str, Any]]) -> str:
    if not any(event["event"] == "saved" for event in events):
        return "No file is saved yet."
    if any(event["event"] == "validation" for event in events):
        return ("This run was made by an earlier version, which kept only the mean of the held-out loss: how exact it "
                "is cannot be said. The saved files can be measured now.")
    return "This run held out no images, so nothing was measured as it trained. The saved files can be measured now."


def _point(file: FileMeasures, measures: EpochMeasures, proposal: Proposal) -> EpochPoint:
    label = named(file, measures.files) if file.step else "no LoRA"
    return EpochPoint(file.name, file.path, label, file.step, _loss(file.held_out), _loss(file.trained), file.drift,
                      file.likeness, file.flexibility, file.copies, file.to_nearest, file.to_set,
                      file in proposal.alike)


def _loss(losses: tuple[tuple[float, ...], ...]) -> float | None:
    mean = mean_loss(losses)
    return mean if math.isfinite(mean) else None
