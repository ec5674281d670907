"""The time left of a run whose phases have different sizes, on a clock that only the test moves."""

from __future__ import annotations

import pytest
from PIL import Image

from lib_lora_train.batches.timeline import timeline_of
from lib_lora_train.config.change import changed
from lib_lora_train.config.job import Job
from lib_lora_train.pictures.scan import scan_dataset
from lib_lora_train.training.reporting import step_clock
from lib_lora_train.training.reporting.pace import Pace, pixels_per_batch, seconds_per_batch
from lib_lora_train.training.reporting.step_clock import StepClock

SIZES = ((96, 160), (160, 96), (300, 300), (40, 40))


@pytest.fixture
def timeline(tmp_path):
    """Makes the phases of a run on images of several sizes, the last phase being twice as long as the others."""
    for number in range(8):
        Image.new("RGB", SIZES[number % len(SIZES)]).save(tmp_path / f"{number}.png")

    def make(*sizes, **more):
        phases = [{"epochs": 10, "dataset": {"resolution": str(size)}}
                  for size in sizes[1:]]
        job = changed(Job(), {
            "dataset.train_data_dir": str(tmp_path), "dataset.activation_tag": "penny",
            "dataset.resolution": str(sizes[0]), "dataset.train_batch_size": 2,
            "dataset.min_bucket_reso": 32, "dataset.max_bucket_reso": 512, "training.max_train_epochs": 10,
            "training.phases": phases, **{key.replace("__", "."): value for key, value in more.items()}})
        return timeline_of(job, scan_dataset)
    return make


def played(monkeypatch, timeline, cost):
    """Play a run whose batches of so many pixels take ``cost(pixels)``: for each step its phase and, as the share of
    the true time left, the time left that the run says."""
    now = [0.0]
    monkeypatch.setattr(step_clock.time, "monotonic", lambda: now[0])
    costs = {}
    for phase in timeline.phases:
        batches = phase.plan.batches_per_epoch / phase.plan.steps_per_epoch
        costs[phase.number] = cost(pixels_per_batch(phase.plan)) * batches
    pace, told = Pace(), []
    rest = sum(costs[phase.number] * phase.steps for phase in timeline.phases)
    for phase in timeline.phases:
        clock = StepClock()
        for done in range(phase.first_step + 1, phase.end_step + 1):
            now[0] += costs[phase.number]
            rest -= costs[phase.number]
            pace.take(phase, clock.tick())
            left = pace.seconds_left(timeline, phase, done)
            told.append((phase.number, 1.0 if abs(rest - left) < 1e-6 else left / rest))
    return told


@pytest.mark.parametrize("more", [{}, {"dataset__bucket_no_upscale": True},
                                  {"training__gradient_accumulation_steps": 3}], ids=str)
def test_steps_that_cost_as_much_as_their_pixels_are_known_from_the_first_one(monkeypatch, timeline, more):
    told = played(monkeypatch, timeline(64, 128, 256, **more), lambda pixels: 1e-4 * pixels)
    assert {number for number, _ in told} == {1, 2, 3}
    assert [share for _, share in told] == pytest.approx([1.0] * len(told))


@pytest.mark.parametrize("fixed", [1.0, -0.2])
def test_from_the_second_size_on_it_knows_what_a_batch_costs_besides_its_pixels(monkeypatch, timeline, fixed):
    told = played(monkeypatch, timeline(64, 128, 256, 192), lambda pixels: fixed + 1e-4 * pixels)
    assert all((share > 1.1) == (fixed > 0) and abs(share - 1) > 0.1 for number, share in told if number == 1)
    assert [share for number, share in told if number > 1] == pytest.approx([1.0] * sum(n > 1 for n, _ in told))


def test_the_pixels_are_those_of_the_images_as_trained_and_not_of_the_setting(timeline):
    small, large = timeline(256, 512, dataset__bucket_no_upscale=True).phases
    assert pixels_per_batch(large.plan) < 1.2 * pixels_per_batch(small.plan)  # few images are larger than 256
    half, whole = timeline(64).first.plan, timeline(64, dataset__train_batch_size=4).first.plan
    assert pixels_per_batch(whole) > 1.2 * pixels_per_batch(half)


def test_phases_of_another_size_without_a_measurement_follow_the_last_one():
    assert seconds_per_batch([(100.0, 2.0), (110.0, 3.0)], 220.0) == pytest.approx(6.0)


def test_a_larger_batch_never_costs_less_and_a_smaller_one_never_nothing():
    assert seconds_per_batch([(100.0, 4.0), (200.0, 2.0)], 400.0) == pytest.approx(3.0)
    assert seconds_per_batch([(100.0, 1.0), (200.0, 3.0)], 20.0) == pytest.approx(0.2)
