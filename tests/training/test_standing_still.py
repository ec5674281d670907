"""A run that stands still anywhere: waits, and what disturbs a few steps, count in no duration and no pace."""

from __future__ import annotations

import threading

import pytest

from lib_lora_train.runs.hold import WEBUI, Reason
from lib_lora_train.training.reporting import step_clock
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.reporting.step_clock import StepClock
from tests.figures import share

STILL_SECONDS = 3.0


class Disturbed(Reporter):
    """Asks for a pause or a picture in a phase or at a step, and takes it back after ``STILL_SECONDS``."""

    run, at, how = None, None, "pause"
    seen = ()

    def progress(self, done, total):
        self._perhaps("latents", done)
        super().progress(done, total)

    def step(self, fields):
        super().step(fields)
        self._perhaps("step", fields["step"])

    def event(self, event, fields=None):
        super().event(event, fields)
        if event == "phase":
            self._perhaps(fields["name"], 1)
        if event == "held":
            threading.Timer(STILL_SECONDS, self._resume).start()

    def _perhaps(self, where, number):
        if (where, number) != self.at:
            return
        type(self).at = None
        if self.how == "pause":
            self.run.control.request("pause")
        else:
            type(self).hold = self.run.control.holds.ask(Reason(WEBUI, "an image in txt2img"), gives_gpu=False)

    def _resume(self):
        if self.how == "pause":
            self.run.control.withdraw("pause")
        else:
            self.run.control.holds.withdraw(self.hold)


@pytest.fixture
def disturb(train):
    """Trains with a wait; the keywords are the job's groups."""
    def act(at, how, **groups):
        reporter = type("Reporter", (Disturbed,), {"at": at, "how": how})
        run = train(before=lambda run: setattr(reporter, "run", run), reporter_type=reporter, **groups)
        assert run.completed and [event["event"] for event in run.events].count("held") == 1
        return run

    return act


PLACES = [("latents", 2), ("step", 2), ("sample", 1), ("validation", 1)]
WAYS = ["pause", "picture"]
"""A run waits for both in the same place, so that they take turns."""


@pytest.mark.parametrize(("at", "how"), [(at, how) for number, at in enumerate(PLACES)
                                         for how in share(WAYS, number, len(WAYS))], ids=str)
def test_time_stood_still_is_in_no_duration_no_pace_and_no_estimate(disturb, at, how, pictures):
    groups = {"sample": {"sample_prompts": ["a"], "sample_steps": 2}, "training": {"max_train_steps": 6}}
    if at[0] == "validation":
        groups["dataset"] = {"validation_split": 0.34}
    run = disturb(at, how, **groups)
    finished = run.of("finished")[0]
    assert finished["still_seconds"] == pytest.approx(STILL_SECONDS, abs=1.5)
    whole = run.events[-1]["time"] - run.events[0]["time"]
    assert finished["seconds"] + finished["still_seconds"] == pytest.approx(whole, abs=1.5)
    assert all(event["seconds_per_step"] < STILL_SECONDS / 2 for event in run.of("step"))
    left = [event["seconds_left"] for event in run.of("progress") if event["seconds_left"] is not None]
    assert max(left) < STILL_SECONDS


@pytest.fixture
def clock(monkeypatch):
    """A clock whose time only passes when ``clock.passes`` says so."""
    now = [0.0]
    monkeypatch.setattr(step_clock.time, "monotonic", lambda: now[0])
    clock = StepClock()

    def passes(seconds):
        now[0] += seconds

    clock.passes = passes
    return clock


def steps(clock, *taken):
    for seconds in taken:
        clock.passes(seconds)
        pace = clock.tick()
    return pace


def test_the_pace_is_the_mean_of_the_last_steps(clock):
    assert steps(clock, 1.0) == pytest.approx(1.0)
    assert steps(clock, 2.0) == pytest.approx(1.5)
    assert steps(clock, *[0.5] * 50) == pytest.approx(0.5)


def test_what_comes_between_steps_is_in_no_step(clock):
    steps(clock, 0.5, 0.5)
    clock.passes(40.0)
    clock.start()
    assert steps(clock, 0.5) == pytest.approx(0.5)


def test_the_step_after_standing_still_is_not_counted(clock):
    steps(clock, 0.5, 0.5)
    for _ in range(20):  # a strip is drawn picture by picture, with one step between them
        clock.passes(30.0)
        clock.resume()
        assert steps(clock, 4.0) == pytest.approx(0.5)
    assert steps(clock, 0.6) == pytest.approx(1.6 / 3)


def test_a_run_that_stood_still_before_its_first_step_has_a_pace_all_the_same(clock):
    clock.resume()
    assert steps(clock, 2.0) == pytest.approx(2.0)


def test_a_few_steps_that_something_disturbed_do_not_change_the_pace(clock):
    assert steps(clock, *[0.14] * 10, 6.0, 0.14, 4.0) == pytest.approx(0.14)


def test_steps_of_unlike_sizes_all_count(clock):
    assert steps(clock, *[1.0, 2.0] * 10) == pytest.approx(1.5)
