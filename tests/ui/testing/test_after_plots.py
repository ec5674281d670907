"""What plots leave for the next ones: how long a picture takes, and how many epochs the best of them had."""

from __future__ import annotations

import json

import pytest

from lib_lora_train.advice.strength import epoch_advice
from lib_lora_train.config.groups.scheduler import SchedulerSettings
from lib_lora_train.runs.folder import open_run
from lib_lora_train.ui.testing.pace import earlier_pace

from .test_plots import draw, tested  # noqa: F401


def test_the_pace_is_measured_and_found_again_after_a_restart(tested):  # noqa: F811
    assert tested.get(f"runs/{tested.run}/plots").json()["pace"] is None
    plot = draw(tested)
    pace = tested.get(f"runs/{tested.run}/plots").json()["pace"]
    assert (pace["steps"], pace["pixels"]) == (2, 64 * 64) and pace["seconds"] > 0
    assert pace["seconds"] == plot["seconds_each"]
    runs = tested.services.runs_dir
    assert earlier_pace(runs, plot["checkpoint"]) == pace
    assert earlier_pace(runs, "another checkpoint") is None


@pytest.mark.parametrize("change", [{"seconds_each": "3"}, {"seconds_each": -1}, {"seconds_each": True},
                                    {"steps": None},
                                    {"width": []}, {"rows": {"title": "Checkpoint", "values": [], "headings": []}},
                                    {"cells": 3}, {"checkpoint": 7}])
def test_a_plot_that_says_nothing_of_its_pace_is_passed_over(tested, change):  # noqa: F811
    plot = draw(tested)
    file = open_run(tested.services.runs_dir, tested.run).path / "plots" / plot["id"] / "plot.json"
    file.write_text(json.dumps({**plot, **change}))
    assert earlier_pace(tested.services.runs_dir, plot["checkpoint"]) is None
    assert tested.get(f"runs/{tested.run}/plots").status_code == 200


def test_the_seed_is_that_of_the_samples(tested):  # noqa: F811
    job = tested.get(f"runs/{tested.run}").json()["job"]
    assert tested.get(f"runs/{tested.run}/test").json()["seed"] == job["sample"]["sample_seed"] >= 0


@pytest.mark.parametrize(("column", "changes"), [
    (0, {}), (1, {"training.max_train_epochs": 1, "training.max_train_steps": None}),
    (2, {"training.max_train_epochs": 2, "training.max_train_steps": None}),
    (3, {"training.max_train_epochs": 3, "training.max_train_steps": None})])
def test_the_best_epoch_is_offered_for_the_next_run(tested, column, changes):  # noqa: F811
    plot = draw(tested)
    answer = tested.post(f"runs/{tested.run}/plots/mark", {"plot": plot["id"], "column": column, "row": 1}).json()
    assert answer["changes"] == changes
    assert bool(answer["sentences"]) is bool(changes)


def test_what_the_best_epoch_says():
    cosine, constant = SchedulerSettings(lr_scheduler="cosine"), SchedulerSettings(lr_scheduler="constant")
    assert "falls within these epochs" in epoch_advice(4, None, 10, cosine).sentences[1]
    assert epoch_advice(4, None, 10, constant).sentences == ("Best after 4 epochs: the next run can stop there.",)
    assert "more epochs may be better" in epoch_advice(10, None, 10, cosine).sentences[0]
    assert epoch_advice(4, 1500, None, constant).changes == {"training.max_train_steps": 1500}
    assert epoch_advice(None, None, 10, cosine).changes == {}
