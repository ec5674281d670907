"""Which saved file is best, at which strength, and how sure that is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from .epochs import ENLARGED, HELD_OUT, MIRRORED, VERSIONS, EpochMeasures, FileMeasures, Losses, mean_loss
from .trade_off import balances

CLEAR, LIKELY, UNCLEAR, FLAT, SINGLE, NONE, GUESS = "clear", "likely", "unclear", "flat", "single", "none", "guess"
"""How sure a proposal is. ``FLAT``: all files are equal; ``SINGLE``: there is only one; ``NONE``: nothing to go by;
``GUESS``: nothing was held out, so it is the balance of what was learned and what it costs."""
FEW_IMAGES = 4
"""With fewer, the timesteps of an image count as measurements of their own, which is generous."""
_STEP = 0.05
_CLEARLY_NEARER = 0.01
"""Cosines nearer together than that are not told apart."""
_FLAT_SHARE = 0.9
_EASIER = ("They are easier than new images, so the best epoch may be another one. A folder of other images is far "
           "surer.")
_WEAK = {MIRRORED: f"Nothing was held out, so mirrored training images take its place. {_EASIER}",
         ENLARGED: f"Nothing was held out, so enlarged training images take its place. {_EASIER}",
         VERSIONS: "No image but other versions of training images was held out, which nearly equal what was learned. "
                   f"{_EASIER}"}
"""What is to be said of sources that only stand in for held-out images."""
_NOT_HELD_OUT = ("This is a guess, in tests no better than the last epoch: without held-out images, nothing shows "
                 "where the LoRA begins to learn single images by heart. Look at the samples, and measure with five "
                 "to ten other images to be surer. Next time, a validation split of 0.1 keeps some out.")


@dataclass(frozen=True)
class Difference:
    """The mean of ``count`` paired differences and its standard error."""

    mean: float
    error: float
    count: int

    def clear(self, among: int = 2) -> bool:
        """Whether the mean is above 0 by more than chance explains if it is the largest of ``among`` differences."""
        return self.mean > chance_errors(among, self.count) * self.error + 1e-9


@dataclass(frozen=True)
class Proposal:
    """``file`` is proposed, ``None`` if none can be. ``alike`` are files that are equal within the measuring error.

    ``strength`` is ``None`` if it was not measured. ``reason`` says why, ``doubts`` what speaks against trusting it.
    """

    file: FileMeasures | None
    sure: str
    reason: str
    alike: tuple[FileMeasures, ...] = ()
    strength: float | None = None
    strength_reason: str = ""
    doubts: tuple[str, ...] = ()


def difference(one: Losses, other: Losses) -> Difference:
    """How much higher the losses ``one`` are than ``other``, image by image, since all have the same noise."""
    if len(one) >= FEW_IMAGES:
        pairs = [fmean(row) - fmean(beside) for row, beside in zip(one, other, strict=True)]
    else:
        pairs = [cell - beside for row, line in zip(one, other, strict=True)
                 for cell, beside in zip(row, line, strict=True)]
    return Difference(fmean(pairs), stdev(pairs) / math.sqrt(len(pairs)) if len(pairs) > 1 else math.inf,
                      len(pairs))


def chance_errors(among: int, count: int) -> float:
    """How many standard errors the lowest of ``among`` equal values may be below another by chance.

    The range of n normal values is about 2 √(2 ln n) deviations, and the standard error of a difference is √2 of them;
    at least 2. The standard error is an estimate from ``count`` pairs, so Student's t takes the place of the normal
    distribution (its expansion to the first order, Abramowitz & Stegun 26.7.5).
    """
    normal = max(2.0, 2 * math.sqrt(math.log(max(2, among))))
    return normal * (1 + (normal ** 2 + 1) / (4 * (count - 1))) if count > 1 else math.inf


def named(file: FileMeasures, files: Sequence[FileMeasures] = ()) -> str:
    """``epoch 4``, or ``step 1,000`` if another of ``files`` has the same epoch."""
    twice = sum(one.epoch == file.epoch for one in files) > 1
    return f"step {file.step:,}" if twice or not file.epoch else f"epoch {file.epoch}"


def comparable(measures: EpochMeasures) -> list[FileMeasures]:
    """The files with a held-out loss of the same images, in which everything is a number."""
    shapes = [_shape(file.held_out) for file in measures.files if file.held_out]
    usual = _shape(measures.base.held_out) if measures.base.held_out else max(shapes, key=shapes.count, default=())
    return [file for file in measures.files
            if file.held_out and _shape(file.held_out) == usual and math.isfinite(mean_loss(file.held_out))]


def propose(measures: EpochMeasures) -> Proposal:
    """The file with the lowest held-out loss, unless the measurements cannot tell the files apart.

    If nothing was held out, and what takes its place cannot tell, it is the file with the best balance of what it has
    learned and what it costs; see ``trade_off``.
    """
    found = _by_loss(measures)
    if found.file is None and measures.source != HELD_OUT:
        found = _by_balance(measures, found)
    return dataclasses.replace(found, reason=f"{found.reason}{_by_features(measures, found.file)}")


def _by_loss(measures: EpochMeasures) -> Proposal:
    files, doubts = comparable(measures), _doubts(measures)
    if not files:
        return Proposal(None, NONE, _why_none(measures), doubts=doubts)
    best = min(files, key=lambda file: mean_loss(file.held_out))
    alike = tuple(file for file in files
                  if file is best or not difference(file.held_out, best.held_out).clear(len(files)))
    learned = _learned(measures.base, best)
    if learned is not None and not learned.clear(len(files)):
        return Proposal(None, FLAT, "No saved file is better on these images than the base model, within the "
                        "measuring error: the LoRA has learned nothing from the set that shows on them, or has "
                        "harmed as much as it learned.", alike, doubts=doubts)
    if len(files) == 1:
        return Proposal(best, SINGLE, "Only one file can be compared, so there is nothing to choose from.", alike,
                        *_strength(measures, best), doubts)
    if len(alike) > _FLAT_SHARE * len(files):
        text = (f"{_span(alike, files).capitalize()} are equal within the measuring error, so these images cannot say "
                "which is best. Choose by the samples; the earliest one changes other prompts least.")
        return Proposal(None, FLAT, text, alike, doubts=doubts)
    sure = CLEAR if len(alike) <= max(1, len(files) // 4) else LIKELY if len(alike) <= len(files) / 2 else UNCLEAR
    return Proposal(best, sure, _reason(measures, files, best, alike), alike, *_strength(measures, best), doubts)


def _by_balance(measures: EpochMeasures, instead: Proposal) -> Proposal:
    """The file with the best balance; ``instead`` if there is none to tell."""
    if len(measures.files) == 1 and instead.sure == NONE:
        return Proposal(measures.files[0], SINGLE, "Only one saved file was measured, so it is not compared.",
                        measures.files, *_strength(measures, measures.files[0]), instead.doubts)
    every = balances(measures)
    if not every:
        return instead
    best, last = max(every, key=lambda one: one.score), every[-1]
    text = (f"{named(best.file, measures.files).capitalize()} has the best balance: {best.learned:.0%} of the most "
            f"that any file has learned ({_listed('', best.gains)}){_listed(', with ', best.costs)}")
    if last.file != best.file:
        text += f"; at the end it is {last.learned:.0%}{_listed(', with ', last.costs)}"
    return Proposal(best.file, GUESS, f"{text}.", (best.file,), *_strength(measures, best.file),
                    (*(doubt for doubt in instead.doubts if doubt != _WEAK.get(measures.source)), _NOT_HELD_OUT))


def _listed(before: str, clauses: Sequence[str]) -> str:
    if len(clauses) < 2:
        return "".join(f"{before}{clause}" for clause in clauses)
    return f"{before}{', '.join(clauses[:-1])} and {clauses[-1]}"


def _reason(measures: EpochMeasures, files: Sequence[FileMeasures], best: FileMeasures,
            alike: Sequence[FileMeasures]) -> str:
    where = named(best, files)
    loss = mean_loss(best.held_out)
    text = f"The loss on {measures.source_text or 'the held-out images'} is lowest at {where}: {loss:.4f}"
    base = mean_loss(measures.base.held_out) if measures.base.held_out else math.nan
    text += f", {1 - loss / base:.0%} below the base model." if base > loss else "."
    if len(alike) > 1:
        text += f" Within the measuring error {_span(alike, files)} are as good."
    last = files[-1]
    if last not in alike:
        text += f" Until {named(last, files)} it rises by {mean_loss(last.held_out) / loss - 1:.0%}"
        falls = best.trained and last.trained and mean_loss(last.trained) < mean_loss(best.trained)
        text += ", while the loss on the training images still falls." if falls else "."
    return text


def _by_features(measures: EpochMeasures, proposed: FileMeasures | None) -> str:
    """How alike the samples are to the training images by image features, as a further sentence; empty if unknown."""
    known = [file for file in measures.files if file.to_nearest is not None]
    if not known:
        return ""
    most = max(known, key=_to_nearest)
    shown = proposed if proposed in known else most
    text = (f" By image features, the samples of {named(shown, measures.files)} have a cosine of "
            f"{_to_nearest(shown):.2f} to the nearest training image")
    if measures.base.to_nearest is not None:
        text += f", {_to_nearest(measures.base):.2f} without the LoRA"
    if _to_nearest(most) - _to_nearest(shown) >= _CLEARLY_NEARER:
        text += f"; those of {named(most, measures.files)} are nearest, with {_to_nearest(most):.2f}"
    return f"{text}."


def _to_nearest(file: FileMeasures) -> float:
    return -math.inf if file.to_nearest is None else file.to_nearest


def _strength(measures: EpochMeasures, best: FileMeasures) -> tuple[float | None, str]:
    """The strength with the lowest held-out loss of ``best``, to 0.05, and why; ``None`` if it was not measured."""
    tried = [one for one in measures.strengths if math.isfinite(mean_loss(one.held_out))]
    at_one = next((one for one in tried if one.strength == 1), None)
    if measures.strengths_of != best.name or at_one is None or len(tried) < 3:
        return None, ""
    lowest = min(tried, key=lambda one: mean_loss(one.held_out))
    least, most = min(one.strength for one in tried), max(one.strength for one in tried)
    if not difference(at_one.held_out, lowest.held_out).clear(len(tried)):
        return 1.0, f"At strengths from {least:g} to {most:g} none is measurably better than 1."
    points = [(one.strength, mean_loss(one.held_out)) for one in tried]
    strength = min(most, max(least, round(_vertex(points) / _STEP) * _STEP))
    gain = 1 - mean_loss(lowest.held_out) / mean_loss(at_one.held_out)
    beyond = " The best may lie beyond." if lowest.strength in (least, most) else ""
    return round(strength, 2), (f"Of the strengths from {least:g} to {most:g}, the loss is lowest near "
                                f"{strength:.2g}, {_percent(gain)} below that at 1.{beyond}")


def _vertex(points: list[tuple[float, float]]) -> float:
    """The lowest place of the parabola through the lowest of ``points`` and its neighbours."""
    points = sorted(points)
    place = min(range(len(points)), key=lambda index: points[index][1])
    if place in (0, len(points) - 1):
        return points[place][0]
    (x0, y0), (x1, y1), (x2, y2) = points[place - 1:place + 2]
    left, right = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)
    bend = (right - left) / (x2 - x0)
    return (x0 + x1) / 2 - left / (2 * bend) if bend > 0 else x1


def _doubts(measures: EpochMeasures) -> tuple[str, ...]:
    doubts = []
    count = len(measures.images)
    if measures.source == HELD_OUT and 0 < count < FEW_IMAGES:
        doubts.append(f"{count} held-out {'image is' if count == 1 else 'images are'} few: another choice of images "
                      "could give another epoch. Five to ten are better.")
    elif measures.source in _WEAK and count:
        doubts.append(_WEAK[measures.source])
    broken = [file for file in measures.files if file.held_out and not math.isfinite(mean_loss(file.held_out))]
    if broken:
        doubts.append(f"{', '.join(file.name for file in broken[:3])}{' …' if len(broken) > 3 else ''} predicted "
                      "values that are not numbers (NaN), so the training has diverged there.")
    if measures.doubt:
        doubts.append(measures.doubt)
    if measures.left_out:
        doubts.append(f"{', '.join(measures.left_out[:3])}{' …' if len(measures.left_out) > 3 else ''} of the held-out "
                      "images nearly equal training images, so they were not used.")
    return tuple(doubts)


def _why_none(measures: EpochMeasures) -> str:
    if any(file.held_out for file in measures.files):
        return "No saved file gave a loss that is a number on the held-out images, so none can be proposed."
    return (f"There is no held-out loss to go by{': ' + measures.source_text if measures.source_text else ''}. "
            "Measure with a folder of images that the LoRA was not trained on.")


def _learned(base: FileMeasures, best: FileMeasures) -> Difference | None:
    if not base.held_out or _shape(base.held_out) != _shape(best.held_out):
        return None
    return difference(base.held_out, best.held_out) if math.isfinite(mean_loss(base.held_out)) else None


def _span(alike: Sequence[FileMeasures], files: Sequence[FileMeasures]) -> str:
    """``epochs 4 to 6``, ``epochs 2, 5 and 6``."""
    places = [list(files).index(file) for file in alike]
    names = [named(file, files) for file in alike]
    if len(names) == 1:
        return names[0]
    kinds = {name.split()[0] for name in names}
    if len(kinds) == 1:
        kind, names = f"{kinds.pop()}s ", [name.split()[1] for name in names]
    else:
        kind = ""
    if places == list(range(places[0], places[0] + len(places))) and len(places) > 2:
        return f"{kind}{names[0]} to {names[-1]}"
    return f"{kind}{', '.join(names[:-1])} and {names[-1]}"


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 0.01 else f"{share:.0%}"


def _shape(losses: Losses) -> tuple[int, ...]:
    return tuple(len(row) for row in losses)
