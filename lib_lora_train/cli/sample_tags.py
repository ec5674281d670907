"""Looks at the samples of a run with a tagger: likeness to the set, and flexibility, of each saved file."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from ..config.groups.diagnose import DiagnoseJob
from ..config.groups.tagging import TaggerSettings
from ..config.job import Job
from ..config.taggers import find_tagger
from ..pictures.images import PictureError, decoded
from ..runs.diagnosis.epochs import EpochMeasures, FileMeasures
from ..runs.diagnosis.generated import GeneratedImage
from ..runs.folder import RunFolder
from ..tagging.likeness import Confidences, asked_tags, flexibility_of, likeness_of, traits_of
from ..tagging.session import Tagger
from ..training.reporting.report import Reporter
from .sample_copies import ticking


def with_samples(measures: EpochMeasures, job: DiagnoseJob, trained: Job, images: Sequence[Path], run: RunFolder,
                 generated: Sequence[GeneratedImage], reporter: Reporter,
                 progress: Callable[[int, int], None]) -> EpochMeasures:
    """``measures`` with likeness and flexibility of ``generated``, if ``job`` names a tagger that is there.

    ``images`` are training images. Raises ``TaggerError`` if the tagger does not work.
    """
    files = find_tagger(Path(job.taggers_dir), job.tagger) if job.tagger else None
    samples: dict[int, list[tuple[Path, str]]] = defaultdict(list)
    for one in generated:
        samples[one.step].append((run.path / one.path, one.prompt))
    if files is None or not samples or not images:
        return measures
    tagger = Tagger(files, TaggerSettings(model=job.tagger, provider="cpu", batch_size=1), reporter.warning)
    total = len(images) + sum(map(len, samples.values()))
    reporter.phase("tag", f"Looking at the samples with {tagger.name}", total=total)
    looking = _Looking(tagger, trained.dataset.activation_tag, images, ticking(progress, total))

    def seen(file: FileMeasures) -> FileMeasures:
        likeness, flexibility = looking.at(samples.get(file.step, []))
        return dataclasses.replace(file, likeness=likeness, flexibility=flexibility)

    return dataclasses.replace(measures, base=seen(measures.base), files=tuple(map(seen, measures.files)))


class _Looking:
    def __init__(self, tagger: Tagger, trigger: str, images: Sequence[Path], between: Callable[[], object]) -> None:
        self._tagger, self._trigger, self._between = tagger, trigger, between
        rows = [row for path in images if (row := self._confidences(path)) is not None]
        self._trained = np.stack(rows) if rows else np.zeros((1, len(tagger.tag_list.tags)), np.float32)
        general = set(tagger.tag_list.general.tolist())
        self._traits = [place for place in traits_of(self._trained) if place in general]

    def at(self, samples: Sequence[tuple[Path, str]]) -> tuple[float | None, float | None]:
        """Mean likeness of the samples whose prompt has the trigger word, and mean flexibility of all."""
        likeness: list[float | None] = []
        flexibility: list[float | None] = []
        for path, prompt in samples:
            row = self._confidences(path)
            if row is None:
                continue
            if not self._trigger or self._trigger.lower() in prompt.lower():
                likeness.append(likeness_of(row, self._trained, self._traits))
            flexibility.append(flexibility_of(row, asked_tags(prompt, self._tagger.tag_list.tags, self._traits,
                                                              self._trigger)))
        return _mean(likeness), _mean(flexibility)

    def _confidences(self, path: Path) -> Confidences | None:
        self._between()
        try:
            with decoded(path) as picture:
                pixels = self._tagger.prepare(picture)
        except PictureError:
            return None  # damaged or deleted meanwhile
        row: Confidences = self._tagger.confidences([pixels])[0]
        return row


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
