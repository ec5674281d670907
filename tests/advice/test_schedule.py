"""Each schedule has the shape that its name says, by the closed formula."""

from __future__ import annotations

import math

import pytest

from lib_lora_train.advice.schedule import rate_factor, schedule_points
from lib_lora_train.config.groups.scheduler import LR_SCHEDULERS, SchedulerSettings

TOTAL = 100


def factors(name: str, **settings: float) -> list[float]:
    return [rate_factor(SchedulerSettings(lr_scheduler=name, **settings), step, TOTAL) for step in range(TOTAL)]


@pytest.mark.parametrize("name, settings, formula", [
    ("constant", {}, lambda s: 1.0),
    ("constant_with_warmup", {"lr_warmup_steps": 10}, lambda s: min(1.0, s / 10)),
    ("linear", {}, lambda s: 1 - s / 100),
    ("linear", {"lr_warmup_steps": 0.2}, lambda s: s / 20 if s < 20 else 1 - (s - 20) / 80),
    ("cosine", {}, lambda s: 0.5 + 0.5 * math.cos(math.pi * s / 100)),
    ("cosine_with_restarts", {"lr_scheduler_num_cycles": 4}, lambda s: 0.5 + 0.5 * math.cos(math.pi * (s % 25) / 25)),
    ("polynomial", {"lr_scheduler_power": 3.0}, lambda s: (1 - s / 100) ** 3),
    ("inverse_sqrt", {"lr_warmup_steps": 25}, lambda s: s / 25 if s < 25 else math.sqrt(25 / s)),
    ("cosine_with_min_lr", {"lr_scheduler_min_lr_ratio": 0.2},
     lambda s: 0.2 + 0.8 * (0.5 + 0.5 * math.cos(math.pi * s / 100))),
    ("warmup_stable_decay", {"lr_warmup_steps": 10, "lr_decay_steps": 0.3},
     lambda s: s / 10 if s < 10 else 1.0 if s < 70 else 0.5 + 0.5 * math.cos(math.pi * (s - 70) / 30)),
])
def test_the_curve_follows_its_formula(name, settings, formula):
    assert factors(name, **settings) == pytest.approx([formula(step) for step in range(TOTAL)])


def test_restarts_begin_again_at_the_full_rate():
    curve = factors("cosine_with_restarts", lr_scheduler_num_cycles=2)
    assert curve[0] == curve[50] == 1.0 and curve[49] < 0.01


@pytest.mark.parametrize("name", LR_SCHEDULERS)
def test_no_schedule_leaves_the_range_from_zero_to_one(name):
    assert all(0 <= factor <= 1 for factor in factors(name, lr_warmup_steps=7))


def test_a_long_run_is_drawn_with_few_points_first_and_last_among_them():
    points = list(schedule_points(SchedulerSettings(lr_scheduler="linear"), 100_000))
    assert len(points) == 200 and points[0] == (0, 1.0) and points[-1][0] == 99_999
