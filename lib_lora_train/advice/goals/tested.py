"""Rules of a test bake: what a short run of the plan has shown."""

from __future__ import annotations

from typing import Any

from ...config.job import Job
from ...config.optimizer_facts import OPTIMIZERS
from ..optimizer_guards import with_d_coef
from .rule import IMAGES_SEEN, Case, Rule, TestBake

_SHOWN = "this project: docs/diagnosis.md"
_UNET = "advice: Unet learning rate"
_LOWER, _MORE = 0.5, 1.5
_LEAST_D_COEF, _LEAST_FACTOR, _MOST = 0.5, 0.1, 4
_D_COEF, _RATE = "optimizer.d_coef", "optimizer.learning_rate"
_NAMED = 3


def _test(case: Case) -> TestBake:
    return case.facts.tested or TestBake("", "")


def rates_of(job: Job) -> dict[str, float]:
    """The rates that ``job`` trains with, as the settings that a plan sets."""
    optimizer = job.optimizer
    if OPTIMIZERS[optimizer.optimizer_type].usual_d_coef is not None:
        return {_D_COEF: with_d_coef(job).optimizer.d_coef or 1.0, _RATE: optimizer.learning_rate}
    unet = optimizer.learning_rate if optimizer.unet_lr is None else optimizer.unet_lr
    text_encoder = optimizer.learning_rate if optimizer.text_encoder_lr is None else optimizer.text_encoder_lr
    return {_RATE: unet, "optimizer.text_encoder_lr": text_encoder}


def kind_of(job: Job) -> tuple[Any, ...]:
    """What two jobs must share for their rates to be comparable."""
    network = job.network
    return (job.optimizer.optimizer_type, network.network_type, network.network_dim,
            network.network_alpha or network.network_dim)


def _tried(case: Case) -> dict[str, float]:
    """The planned rates, replaced with those of the test bake where these are comparable."""
    planned = {key: value for key, value in rates_of(case.job()).items() if value and case.values.get(key)}
    tested = _test(case)
    return {**planned, **{key: tested.rates[key] for key in planned if key in tested.rates}} if (
        tested.of == kind_of(case.job())) else planned


def _rates(case: Case, factor: float) -> dict[str, float]:
    """The rates of the test bake times ``factor``; a lower one is never above the plan's, a higher one never below."""
    tried = _tried(case)
    if case.adaptive and tried[_D_COEF] > _LEAST_D_COEF:
        return {_D_COEF: max(_LEAST_D_COEF, min(case.values[_D_COEF], tried[_D_COEF] * factor))}
    if case.adaptive:
        return {_D_COEF: _LEAST_D_COEF, _RATE: max(_LEAST_FACTOR, _rounded(tried[_RATE] * factor))}
    return {key: _rounded(min(case.values[key], rate * factor) if factor < 1 else
                          min(_MOST * case.values[key], max(case.values[key], rate * factor)))
            for key, rate in tried.items()}


def _rounded(rate: float) -> float:
    return float(f"{rate:.3g}")


def _went_well(case: Case) -> bool:
    """Whether the test bake, to its end, gave no reason to change rates that the plan would change."""
    test = _test(case)
    whole = bool(test.complete) or not (test.ending or test.problem)
    return bool(test.rates) and whole and not (test.diverged or test.fast or test.slow) and any(
        case.values[key] != rate for key, rate in _tried(case).items())


def _is_slow(case: Case) -> bool:
    """Whether the test bake learned too little. That its loss fell little says nothing if it was short."""
    test = _test(case)
    return bool(test.slow) and not (test.barely and 2 * test.images_seen < case.values[IMAGES_SEEN])


def _named(names: tuple[str, ...]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


TESTED = (
    Rule("test-failed", "a test bake that failed", lambda case: bool(_test(case).problem),
         lambda case: f"The test bake {_test(case).name} failed: {_test(case).problem} Fix that, then bake again.",
         "this project: Runs", todo=True),
    Rule("test-diverged", "a test bake that diverged", lambda case: _test(case).diverged,
         lambda case: f"In the test bake {_test(case).name} the loss exploded: the rate was far too high, so it is "
                      + ("halved." if case.adaptive else "divided by 8."), _UNET,
         lambda case: _rates(case, _LOWER if case.adaptive else 1 / 8)),
    Rule("test-fast", "a test bake that is overfit already", lambda case: bool(_test(case).fast),
         lambda case: f"The test bake {_test(case).name} was overfit already, so the rate is halved: "
                      f"{_test(case).fast}", f"{_UNET}; {_SHOWN}", lambda case: _rates(case, _LOWER)),
    Rule("test-kept", "a test bake that went well at other rates, with the same network", _went_well,
         lambda case: f"The test bake {_test(case).complete or _test(case).name} went well with this rate.", _SHOWN,
         _tried),
    Rule("test-slow-rate", "a test bake with fixed rates that learned little",
         lambda case: _is_slow(case) and not case.adaptive,
         lambda case: f"The test bake {_test(case).name} learned little, so the rates are half as much again: "
                      f"{_test(case).slow}", f"{_UNET}; {_SHOWN}", lambda case: _rates(case, _MORE)),
    Rule("test-slow", "a test bake with Prodigy that learned little",
         lambda case: _is_slow(case) and case.adaptive,
         lambda case: f"The test bake {_test(case).name} learned little, so the run is half as long again: "
                      f"{_test(case).slow}", f"advice: Strength (at generation time); {_SHOWN}",
         lambda case: case.longer(_MORE), extends=True),
    Rule("test-suspicious", "a test bake with suspicious images", lambda case: bool(_test(case).suspicious),
         lambda case: f"Look at {_named(_test(case).suspicious)} before the long run: the test bake found "
                      f"{'it' if len(_test(case).suspicious) == 1 else 'them'} suspicious (Runs, "
                      f"{_test(case).name}, Diagnosis).", _SHOWN, todo=True),
    Rule("test-tags", "a test bake with doubtful tags", lambda case: bool(_test(case).tags),
         lambda case: f"Check the tags {_named(_test(case).tags)}: the test bake found them doubtful.", _SHOWN,
         todo=True),
)
