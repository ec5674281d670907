"""What share of a step each optimizer takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lib_lora_train.config.optimizer_facts import OPTIMIZERS
from lib_lora_train.errors import TrainLoraError

from .cases import Bench, Case, steps_of
from .device import seconds_of


def optimizer_seconds(bench: Bench, kind: str, names: Sequence[str] | None = None) -> dict[str, Any]:
    """For each optimizer of ``names`` (``None``: all there are), the median seconds of a step and of what is learned
    in it, and the share of the latter.

    The device is waited for before and after the optimizer, which makes the whole step a little slower.
    """
    found: dict[str, Any] = {}
    for name in names or OPTIMIZERS:
        case = Case(name, kind, 1, {"optimizer": {"optimizer_type": name, "learning_rate": 1e-4}})
        try:
            found[name] = _one(bench, case)
        except (ImportError, TrainLoraError) as problem:  # its package is not installed, or not for this device
            found[name] = {"not_measured": str(problem)}
    return found


def _one(bench: Bench, case: Case) -> dict[str, float]:
    with bench.prepared(case) as (prepared, _):
        descent, learned = prepared.learner.descent, []
        whole_step = descent.step

        def timed() -> None:
            learned.append(seconds_of(whole_step, bench.device))

        descent.step = timed  # type: ignore[method-assign]
        steps = steps_of(prepared)
        for _ in range(bench.warm_steps):
            next(steps)
        learned.clear()
        times = sorted(seconds_of(lambda: next(steps), bench.device) for _ in range(bench.least_steps))
        step, optimizer = times[len(times) // 2], sorted(learned)[len(learned) // 2]
        return {"seconds_per_step": step, "optimizer_seconds": optimizer, "share": optimizer / step}
