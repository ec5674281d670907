"""Which saved file to try if no image was held out: how much it has learned against what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from .epochs import EpochMeasures, FileMeasures, mean_loss

_LEAST_SHARE, _LEAST_COSINE, _LEAST_FALL = 0.05, 0.01, 0.01
"""Below these, what was learned cannot be told from chance: likeness by tags, by features, and of the loss."""
_MUCH_DRIFT = 0.5
"""The drift that counts as much as everything that can be learned."""


@dataclass(frozen=True)
class Balance:
    """How much of the most that any file has learned ``file`` has, and what it costs, both 0 to 1.

    ``gains`` and ``costs`` are clauses: what they rest on.
    """

    file: FileMeasures
    learned: float
    cost: float
    gains: tuple[str, ...]
    costs: tuple[str, ...]

    @property
    def score(self) -> float:
        """What it has learned beyond what it costs."""
        return self.learned - self.cost


def balances(measures: EpochMeasures) -> list[Balance]:
    """The balance of each file that was measured as most are; empty if less than two can be compared.

    What says how much was learned, as far as it is known: likeness by tags and by image features, and the loss on
    training images. A file without one of them that most files have is left out.
    """
    readings = [reading for reading in (_reading(measures, _likeness, _LEAST_SHARE),
                                        _reading(measures, _to_nearest, _LEAST_COSINE),
                                        _reading(measures, _learned_of_loss, _LEAST_FALL)) if reading]
    files = [file for file in measures.files if readings and all(file.path in reading for reading in readings)]
    if len(files) < 2:
        return []
    drifts = drift_at(measures)
    return [Balance(file, fmean(reading[file.path] for reading in readings), _cost(file, measures, drifts),
                    _gains(file, measures), _costs(file, drifts)) for file in files]


def drift_at(measures: EpochMeasures) -> dict[int, float]:
    """The drift at each file's step: where it was not measured, as if it grew evenly between measurements.

    Empty if it was measured nowhere.
    """
    known = [(0, 0.0), *((file.step, file.drift) for file in measures.files
                         if file.drift is not None and math.isfinite(file.drift))]
    if len(known) < 2:
        return {}
    found, (last_step, last) = {}, known[-1]
    for file in measures.files:
        before = max(point for point in known if point[0] <= file.step)
        after = min((point for point in known if point[0] >= file.step), default=(0, 0.0))
        if file.step > last_step:
            found[file.step] = last * file.step / last_step
        else:
            share = (file.step - before[0]) / (after[0] - before[0]) if after[0] > before[0] else 0.0
            found[file.step] = before[1] + share * (after[1] - before[1])
    return found


def _likeness(file: FileMeasures) -> float | None:
    return file.likeness


def _to_nearest(file: FileMeasures) -> float | None:
    return file.to_nearest


def _learned_of_loss(file: FileMeasures) -> float | None:
    """Higher for a lower loss on training images, in units in which 1 % of the loss is 0.01."""
    loss = mean_loss(file.trained)
    return -math.log(loss) if loss > 0 and math.isfinite(loss) else None


def _reading(measures: EpochMeasures, read: Callable[[FileMeasures], float | None], least: float) -> dict[str, float]:
    """How much of the most that ``read`` rises in any file it rises in each, by path.

    It rises from the base or, if that is unknown, from the lowest. Empty if too few files have it, or it hardly rises.
    """
    known = {file.path: value for file in measures.files if (value := read(file)) is not None}
    if len(known) < max(2, len(measures.files) / 2):
        return {}
    base = read(measures.base)
    shares = _of_most([value - (min(known.values()) if base is None else base) for value in known.values()], least)
    return dict(zip(known, shares, strict=True)) if shares else {}


def _of_most(gains: Sequence[float], least: float) -> list[float]:
    most = max(gains)
    return [max(0.0, gain) / most for gain in gains] if most >= least else []


def _cost(file: FileMeasures, measures: EpochMeasures, drifts: Mapping[int, float]) -> float:
    """The drift, the lost flexibility and the copies of ``file``, added up; at most 1."""
    flexible = [one.flexibility for one in (measures.base, *measures.files) if one.flexibility is not None]
    lost = max(flexible) - file.flexibility if file.flexibility is not None else 0.0
    copies = (file.copies or 0.0) - (measures.base.copies or 0.0)
    return min(1.0, drifts.get(file.step, 0.0) / _MUCH_DRIFT + lost + max(0.0, copies))


def _gains(file: FileMeasures, measures: EpochMeasures) -> tuple[str, ...]:
    found = []
    loss, start = mean_loss(file.trained), mean_loss(measures.base.trained)
    if math.isfinite(loss):
        found.append(f"a loss on training images of {loss:.3f}" + (f", {1 - loss / start:.0%} below the base model"
                                                                   if start > loss else ""))
    if file.likeness is not None:
        found.append(f"a likeness to the set of {file.likeness:.0%}")
    if file.to_nearest is not None:
        found.append(f"a cosine of {file.to_nearest:.2f} to the nearest training image")
    return tuple(found)


def _costs(file: FileMeasures, drifts: Mapping[int, float]) -> tuple[str, ...]:
    found = []
    if file.step in drifts:
        found.append(f"a drift of {'about ' if file.drift is None else ''}{drifts[file.step]:.2f}")
    if file.flexibility is not None:
        found.append(f"{file.flexibility:.0%} of the prompts' other tags")
    if file.copies:
        found.append(f"{file.copies:.0%} of the samples like a single training image")
    return tuple(found)
