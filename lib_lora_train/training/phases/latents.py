"""The latents of each training phase, made before the first step, so that a damaged image is found then.

Phases that see the same images in the same sizes share them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

from ...batches.first_use_latents import FirstUseLatents
from ...batches.latents import EncodedImages, LatentSource, LatentStore, Wanted
from ...batches.timeline import Timeline, TrainingPhase
from ...pictures.augment import changes_pixels
from ..encoding import latents_of
from ..model import TrainedModel
from ..reporting.report import Reporter
from ..state import epoch_reached


class SomeLatents:
    """The latents of a part of another phase's images. ``places`` are the indices there."""

    def __init__(self, source: LatentSource, places: Sequence[int]) -> None:
        self._source, self._places = source, places

    def latents_of(self, indices: Sequence[int], rng: random.Random | None) -> EncodedImages:
        """See ``LatentSource``."""
        return self._source.latents_of([self._places[index] for index in indices], rng)


class PhaseLatents:
    """The latents of each phase from the current one on; those of a phase that is over are freed.

    ``all_encoded``: whether the VAE's encoder is no longer needed.
    """

    def __init__(self, sources: dict[int, LatentSource], *, all_encoded: bool, keep_first: bool) -> None:
        self._sources, self._keep_first = sources, keep_first
        self.all_encoded = all_encoded

    @property
    def first(self) -> LatentSource:
        """The latents of the first phase. Raises ``KeyError`` if they were not to be kept."""
        return self._sources[1]

    def of(self, phase: TrainingPhase) -> LatentSource:
        """The latents of ``phase``; frees those of earlier phases."""
        for number in [number for number in self._sources if self._keep_first < number < phase.number]:
            del self._sources[number]
        return self._sources[phase.number]


def latents_of_phases(timeline: Timeline, state: Path, model: TrainedModel, reporter: Reporter,
                      progress: Callable[[int, int], None], *, keep_first: bool = False) -> PhaseLatents:
    """The latents of the phases that the training state in ``state`` has not completed, and of the first with
    ``keep_first``. Raises as ``encoding.latents_of``."""
    from_epoch = epoch_reached(state) if len(timeline.phases) > 1 else 1
    left = [phase for phase in timeline.phases if phase.last_epoch >= from_epoch or phase is timeline.phases[-1]
            or (keep_first and phase.number == 1)]
    made: list[tuple[TrainingPhase, LatentSource]] = []
    sources: dict[int, LatentSource] = {}
    for phase in sorted(left, key=lambda one: -len(one.plan.pictures)):  # of two that share, the larger one encodes
        shared = next((found for other, source in made if (found := _inside(phase, other, source))), None)
        if shared is None:
            shared = latents_of(phase.plan, model, phase.job.dataset, reporter, progress)
            made.append((phase, shared))
        sources[phase.number] = shared
    for _, source in made if len(made) > 1 else ():
        if isinstance(source, FirstUseLatents):
            source.keep_encoder()  # the others need it, too
    return PhaseLatents(sources, all_encoded=all(isinstance(source, LatentStore) for _, source in made),
                        keep_first=keep_first)


def _inside(phase: TrainingPhase, other: TrainingPhase, source: LatentSource) -> LatentSource | None:
    """The latents of ``phase`` as a part of ``source``, those of ``other``; ``None`` if it needs others."""
    if changes_pixels(phase.job.dataset) or changes_pixels(other.job.dataset):
        return None
    places = {kind: index for index, kind in enumerate(_kinds(other))}
    wanted = _kinds(phase)
    if not all(kind in places for kind in wanted):
        return None
    indices = [places[kind] for kind in wanted]
    return source if indices == list(range(len(places))) else SomeLatents(source, indices)


def _kinds(phase: TrainingPhase) -> list[Hashable]:
    """What the latents of each image depend on."""
    wanted = Wanted.by(phase.job.dataset)
    return [(picture.path, fit, wanted.parts_of(picture), wanted.mask_file(picture), wanted.alpha)
            for picture, fit in zip(phase.plan.pictures, phase.plan.fits, strict=True)]
