"""Signs of overfitting and underfitting in the measurements of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .epochs import EpochMeasures, FileMeasures, mean_loss
from .proposal import Proposal, comparable, difference, named

OVERFIT, UNDERFIT = "overfit", "underfit"
_DRIFT, _DRIFT_GROWS = 0.1, 1.5
_LESS_FLEXIBLE, _MORE_COPIES = 0.15, 0.1
_MOST_NAMES = 3
_LITTLE = 0.05


@dataclass(frozen=True)
class Sign:
    """``kind`` is ``OVERFIT`` or ``UNDERFIT``; ``name`` is one word for what was detected; ``text`` a sentence."""

    kind: str
    name: str
    text: str


def signs_of(measures: EpochMeasures, proposal: Proposal) -> list[Sign]:
    """The signs that the last file is overfit or underfit, compared with the proposed one or, without one, the first.

    Nothing is reported that does not exceed the measuring error.
    """
    files = comparable(measures)
    if len(measures.files) < 2:
        return _too_weak(proposal)
    last = measures.files[-1]
    before = proposal.file or measures.files[0]
    found = [] if last == before else [*_learned_by_heart(measures, files, before), *_drifted(before, last),
                                       *_less_flexible(before, last)]
    found += _like_single_images(measures.base if last == before else before, last)
    return [*found, *_still_falling(files, proposal), *_too_weak(proposal), *_hardly_learned(measures, proposal)]


def always_overfit(measures: EpochMeasures) -> bool:
    """Whether the held-out loss rises from the first saved file on, or that file is already worse than the base."""
    files = comparable(measures)
    if len(files) < 2:
        return False
    first, best = files[0], min(files, key=lambda file: mean_loss(file.held_out))
    worse = len(measures.base.held_out) == len(first.held_out) and difference(
        first.held_out, measures.base.held_out).clear(len(files))
    return worse or (best is first and difference(files[-1].held_out, first.held_out).clear(len(files)))


def _learned_by_heart(measures: EpochMeasures, files: list[FileMeasures], before: FileMeasures) -> list[Sign]:
    last = files[-1] if files else None
    if last is None or before not in files or last == before:
        return []
    if not difference(last.held_out, before.held_out).clear(len(files)):
        return []
    rise = mean_loss(last.held_out) / mean_loss(before.held_out) - 1
    text = (f"From {named(before, files)} to {named(last, files)} the loss on {_which(measures)} rises by {rise:.0%}")
    falls = before.trained and last.trained and mean_loss(last.trained) < mean_loss(before.trained)
    if falls:
        fall = 1 - mean_loss(last.trained) / mean_loss(before.trained)
        text += f", while the loss on the training images falls by {fall:.0%}: the LoRA learns single images by heart"
    return [Sign(OVERFIT, "memorizing" if falls else "rising", f"{text}.")]


def _which(measures: EpochMeasures) -> str:
    return measures.source_text or "the held-out images"


def _drifted(before: FileMeasures, last: FileMeasures) -> list[Sign]:
    if before.drift is None or last.drift is None or last.drift < max(_DRIFT, _DRIFT_GROWS * before.drift):
        return []
    return [Sign(OVERFIT, "drift", "Prompts without the trigger word change more and more: a drift of "
                                   f"{last.drift:.2f} at the end, {before.drift:.2f} at {named(before)}.")]


def _less_flexible(before: FileMeasures, last: FileMeasures) -> list[Sign]:
    if before.flexibility is None or last.flexibility is None:
        return []
    if before.flexibility - last.flexibility < _LESS_FLEXIBLE:
        return []
    return [Sign(OVERFIT, "flexibility", f"The other tags of the prompts come out less: {last.flexibility:.0%} of them "
                                         f"at the end, {before.flexibility:.0%} at {named(before)}.")]


def _like_single_images(before: FileMeasures, last: FileMeasures) -> list[Sign]:
    if last.copies is None or last.copies - (before.copies or 0.0) < _MORE_COPIES:
        return []
    names = ", ".join(last.copied[:_MOST_NAMES]) + (" and others" if len(last.copied) > _MOST_NAMES else "")
    where = f"at {named(before)}" if before.step else "without the LoRA"
    compared = "" if before.copies is None else f", {before.copies:.0%} {where}"
    by_heart = f" They are learned by heart: {names}." if names else ""
    return [Sign(OVERFIT, "copies", f"Samples look like single training images: {last.copies:.0%} of them at the end"
                                    f"{compared}.{by_heart}")]


def _still_falling(files: list[FileMeasures], proposal: Proposal) -> list[Sign]:
    if len(files) < 2 or proposal.file != files[-1]:
        return []
    if not difference(files[-2].held_out, files[-1].held_out).clear(len(files)):
        return []
    return [Sign(UNDERFIT, "falling", "The held-out loss was still falling when the run ended, so more epochs may be "
                                      "better.")]


def _too_weak(proposal: Proposal) -> list[Sign]:
    if proposal.strength is None or proposal.strength <= 1.05 or proposal.file is None:
        return []
    return [Sign(UNDERFIT, "weak", f"{proposal.file.name} is best at strength {proposal.strength:g}: there is room for "
                                   "more training or a higher learning rate.")]


def _hardly_learned(measures: EpochMeasures, proposal: Proposal) -> list[Sign]:
    if proposal.file is None or not measures.base.held_out:
        return []
    gain = 1 - mean_loss(proposal.file.held_out) / mean_loss(measures.base.held_out)
    if not math.isfinite(gain) or gain >= _LITTLE or proposal.file != comparable(measures)[-1]:
        return []
    return [Sign(UNDERFIT, "little", f"At the end, the held-out loss is only {gain:.1%} below that of the base model: "
                                     "the LoRA has learned little.")]
