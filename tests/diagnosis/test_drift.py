"""The drift of a run: what it is, that it is measured at saves, and that it takes no more than its part of the time."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from lib_lora_train.diagnosis.drift import NEUTRAL_PROMPTS, TIMESTEPS, DriftMeter
from lib_lora_train.diagnosis.drift_observer import DriftObserver
from lib_lora_train.runs.diagnosis.which_epoch import measures_from
from lib_lora_train.training.reporting.outputs import SavePoint
from lib_lora_train.training.reporting.report import Reporter


class Listening(Reporter):
    """Keeps its events."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict]] = []
        self.still_seconds = 0.0

    def event(self, event, fields=None):
        self.seen.append((event, dict(fields or {})))

    def say(self, text):
        pass


def disturb(network, by: float) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(by)


def test_the_drift_is_the_change_of_predictions_relative_to_the_error_of_the_base(prepared):
    with prepared() as ready:
        model = ready.learner.model
        state = torch.random.get_rng_state()
        meter = DriftMeter(model, (64, 64), 7)
        assert meter.drift_of(model) == 0
        disturb(model.network, 0.01)
        drift = meter.drift_of(model)
        moved, wrong = [], []
        for index, (prompt, timestep) in enumerate((one, at) for one in NEUTRAL_PROMPTS for at in TIMESTEPS):
            mixed, at = meter._mixed(model, index, timestep), torch.tensor([timestep])
            with model.base_alone():
                base = model.predict(mixed.noisy_latents, at, [prompt])
            with torch.no_grad():
                moved.append(((model.predict(mixed.noisy_latents, at, [prompt]) - base) ** 2).mean())
            wrong.append(((base - mixed.noisy_latents / (1 - model.noise_schedule.alphas_cumprod[timestep]) ** 0.5) ** 2
                          ).mean())
        assert drift == pytest.approx(float(sum(moved) / sum(wrong)), rel=1e-3) and drift > 0
        assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(("seconds", "measured"), [(0.0, True), (1.0, False)])
def test_the_drift_is_measured_at_a_save_only_if_there_is_time(prepared, seconds, measured):
    with prepared() as ready:
        reporter, now = Listening(), [0.0]
        observer = DriftObserver(ready.job, reporter, lambda: now[0])
        model = ready.learner.model
        predict, made = type(model).predict_from_states, []

        def slow(self, *arguments):
            now[0] += seconds
            made.append(1)
            return predict(self, *arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(model), "predict_from_states", slow)
            observer.begin(ready)
            now[0] += 100.0  # of training
            disturb(model.network, 0.01)
            observer.at_save(SavePoint(3, 1))
        found = [fields for event, fields in reporter.seen if event == "drift"]
        assert bool(found) == measured and len(made) == len(NEUTRAL_PROMPTS) * len(TIMESTEPS) * (2 if measured else 1)
        if measured:
            measures = measures_from([{"event": "drift", **found[0]},
                                      {"event": "saved", "path": "p", "name": "p", "step": 3, "epoch": 1}])
            assert measures.files[0].drift == found[0]["drift"] > 0


def test_a_failure_is_a_warning_and_the_training_goes_on(prepared):
    with prepared() as ready:
        reporter = Listening()
        observer = DriftObserver(ready.job, reporter)
        broken = dataclasses.replace(ready, job=dataclasses.replace(ready.job, dataset=None))
        observer.begin(broken)
        observer.at_save(SavePoint(3, 1))
        assert [event for event, _ in reporter.seen] == ["warning"]
