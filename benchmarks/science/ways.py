"""The ways of training that ``benchmarks.science`` compares, and which settings each tries on a seed of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from benchmarks.science.techniques import as_ever, beta, logit_normal, timesteps_from

SEEDS, RATE_SEED = (1000, 2000, 3000, 4000, 5000), 9000
ADAMW, PRODIGY, AVERAGING, PLUS = "AdamW, cosine", "Prodigy", "AdamWScheduleFree", "ProdigyPlusScheduleFree"
FOREIGN = {"CAME": "came_pytorch", PLUS: "prodigyplus"}
ADAPTIVE = (PRODIGY, PLUS)
MOST_TRIES = 9
"""Settings that a way may try on a set."""


class Choice(NamedTuple):
    """A learning rate, or ``d_coef`` of an adaptive optimizer, and the optimizer's other arguments."""

    rate: float
    options: str = ""


@dataclass(frozen=True)
class Way:
    """A way of training. ``baseline``: what it is compared with, and ``also``: what else; ``rate_of``: the way whose
    rate it takes over.

    ``rates`` are those to begin with, each with each of ``options``; with adaptive optimizers they are ``d_coef``.
    """

    baseline: str = ADAMW
    optimizer: str = "AdamW"
    schedule: str = "cosine"
    rates: tuple[float, ...] = (1e-3, 2e-3)
    options: tuple[str, ...] = ("",)
    also: tuple[str, ...] = ()
    rate_of: str = ""
    steps_with: Callable[[], AbstractContextManager[object]] = as_ever
    averages: bool = False
    ranks_by_timestep: bool = False
    oft: bool = False

    def choices(self) -> list[Choice]:
        """What to try first."""
        return [Choice(rate, options) for options, rate in product(self.options, self.rates)]


WAYS: Mapping[str, Way] = {
    ADAMW: Way(averages=True),
    PRODIGY: Way(PRODIGY, PRODIGY, rates=(1.0, 2.0),
                 options=("d0=1e-4", "d0=1e-4 betas=0.9,0.99 use_bias_correction=False")),
    PLUS: Way(PRODIGY, PLUS, "constant", (1.0, 2.0), ("", "d0=1e-4"), also=(AVERAGING, ADAMW)),
    AVERAGING: Way(ADAMW, AVERAGING, "constant", (2e-3, 4e-3)),
    "AdamW, constant": Way(schedule="constant", averages=True, also=(AVERAGING,)),
    "CAME": Way(optimizer="CAME", rates=(1e-4, 2e-4)),
    "logit-normal 0, 1": Way(rate_of=ADAMW, steps_with=lambda: timesteps_from(logit_normal(0, 1))),
    "beta 1, 2 (less noise)": Way(rate_of=ADAMW, steps_with=lambda: timesteps_from(beta(1, 2))),
    "T-LoRA": Way(rate_of=ADAMW, ranks_by_timestep=True),
    "OFT": Way(rates=(2.5e-3, 5e-3), oft=True)}


@dataclass(frozen=True)
class Result:
    """A measurement of one run; ``step`` in seconds of the processor, ``kept`` in bytes.

    ``highest`` is the highest rate that the optimizer used; adaptive ones find theirs.
    """

    set: str
    way: str
    baseline: str
    seed: int
    rate: float
    loss: float
    drift: float
    step: float
    kept: int
    trained: int
    options: str = ""
    highest: float = 0.0


def next_run(results: Sequence[Result], of: str, name: str) -> tuple[Choice, int] | None:
    """The next run of the way ``name`` on the set ``of``, as settings and seed; None if all are among ``results``.

    First come settings on ``RATE_SEED``: those of the way, and then twice and half the best rate until both neighbors
    of the best are worse. ``SEEDS`` get the best. Raises ``ValueError`` if the way takes over a rate that is not
    chosen yet.
    """
    way = WAYS[name]
    done = [one for one in results if (one.set, one.way) == (of, name)]
    tried = {Choice(one.rate, one.options): one.loss for one in results
             if (one.set, one.way, one.seed) == (of, way.rate_of or name, RATE_SEED)}
    if way.rate_of and not tried:
        raise ValueError(f"{name} trains at the rate of {way.rate_of}, which is not measured yet.")
    if not way.rate_of:
        new = next((choice for choice in _candidates(way, tried) if choice not in tried), None)
        if new is not None and len(tried) < MOST_TRIES:
            return new, RATE_SEED
    seed = next((seed for seed in SEEDS if all(one.seed != seed for one in done)), None)
    return None if seed is None else (min(tried, key=lambda choice: tried[choice]), seed)


def _candidates(way: Way, tried: Mapping[Choice, float]) -> list[Choice]:
    if not tried:
        return way.choices()
    best = min(tried, key=lambda choice: tried[choice])
    return [*way.choices(), best._replace(rate=best.rate / 2), best._replace(rate=best.rate * 2)]
