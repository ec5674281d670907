"""The diagnosis of a run: it measures beside the training and changes nothing of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from accelerate.state import AcceleratorState
from PIL import Image, ImageOps
from safetensors.torch import load_file

from lib_lora_train.config.job import Job
from lib_lora_train.config.load import job_from, job_to_yaml
from lib_lora_train.diagnosis import observer, plan
from lib_lora_train.diagnosis.meter import Meter, OutOfTime
from lib_lora_train.diagnosis.observer import observers_of
from lib_lora_train.diagnosis.trained_on import trained_on
from lib_lora_train.runs.diagnosis.records import read_findings, read_measurements, read_plan
from lib_lora_train.runs.events import EventWriter, read_events
from lib_lora_train.runs.folder import RunFolder, create_run
from lib_lora_train.training.holding import Boundary
from lib_lora_train.training.model import TrainedModel
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.run import run_training
from tests.training.conftest import draw_pictures

AMPLE = {"diagnose": True, "diagnosis_share": 50.0}
NETWORKS: dict[str, dict[str, Any]] = {
    "lora": {"network_type": "LoRA-LierLa", "network_dropout": 0.2, "rank_dropout": 0.1, "module_dropout": 0.1},
    "loha": {"network_type": "LyCORIS-LoHa", "rank_dropout": 0.2, "module_dropout": 0.1}}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three of two sizes with two tags each, so that a point has few predictions and tests of captions."""
    folder = draw_pictures(tmp_path / "pictures", 3)
    with Image.open(folder / "01.png") as image:
        ImageOps.invert(image).save(folder / "02.png")
    for file in folder.glob("*.txt"):
        file.write_text(f"ball, colour {int(file.stem)}")
    return folder


@pytest.fixture(autouse=True)
def few_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SWAPS", 1)
    monkeypatch.setattr(observer, "MEASURED_TIMESTEPS", observer.MEASURED_TIMESTEPS[-2:])


@pytest.fixture
def no_tests_of_captions(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what is not about them; they are most of the predictions."""
    monkeypatch.setattr(observer, "tests_of", lambda *_: [])


def started(folder: Path, values: dict[str, dict[str, Any]], **changes: dict[str, Any]) -> tuple[Job, RunFolder]:
    job = job_from({group: {**values.get(group, {}), **changes.get(group, {})} for group in {*values, *changes}})
    return job, create_run(folder, job.save.output_name, job_to_yaml(job))


class StoppingAt(Reporter):
    """One whose run is stopped at a step."""

    at, run = 0, None

    def step(self, fields):
        super().step(fields)
        if fields["step"] == self.at:
            self.run.control.request("stop")


def stopping(run: RunFolder, step: int) -> type[Reporter]:
    return type("Stopping", (StoppingAt,), {"at": step, "run": run})


def execute(job: Job, run: RunFolder, reporter_type: type[Reporter] = Reporter) -> list[dict[str, Any]]:
    with EventWriter(run.events_file) as events:
        reporter = reporter_type(events, terminal=False)
        run_training(job, run, reporter, observers=observers_of(job, run, reporter))
    AcceleratorState._reset_state(reset_partial_state=True)
    return read_events(run.events_file)[0]


def trained(folder: Path, values: dict[str, dict[str, Any]], **changes: dict[str, Any]) -> RunFolder:
    job, run = started(folder, values, **changes)
    events = execute(job, run)
    assert events[-1]["event"] == "finished", events[-1]
    return run


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_lora_is_the_same_bit_for_bit_with_the_diagnosis_on_and_off(kind, values, tmp_path, monkeypatch):
    monkeypatch.setattr(observer.Budget, "allowance", lambda budget, seconds: 1e9)
    files = {}
    for name, diagnose in (("on", True), ("off", False)):
        run = trained(tmp_path / name, values, network={**values["network"], **NETWORKS[kind]},
                      optimizer={"optimizer_type": "AdamW", "learning_rate": 1e-2},
                      save={"output_name": name, "output_dir": str(tmp_path / "loras"), "save_precision": "float",
                            "save_every_n_steps": 1},
                      training={"max_train_steps": 2}, diagnosis={"diagnose": diagnose})
        assert (run.path / "diagnosis").exists() == diagnose
        files[name] = load_file(tmp_path / "loras" / f"{name}.safetensors")
        if diagnose:
            measured = read_measurements(run.path / "diagnosis")
            assert [one.step for one in measured] == [0, 1, 2]
            assert all(one.swapped and one.tags for one in measured)
            assert any(value is not None for value in measured[0].distance)
            assert any(value is not None for value in measured[1].agreement)
    assert files["on"].keys() == files["off"].keys()
    assert all(value.equal(files["off"][name]) for name, value in files["on"].items())
    assert any(value.abs().max() > 0 for value in files["on"].values())


def test_a_run_that_is_stopped_and_resumed_measures_nothing_twice_and_loses_nothing(values, tmp_path, monkeypatch):
    monkeypatch.setattr(observer.Budget, "allowance", lambda budget, seconds: 1e9)
    job, run = started(tmp_path / "runs", values)

    assert execute(job, run, stopping(run, 3))[-1]["event"] == "stopped"
    folder = run.path / "diagnosis"
    plan, before = (folder / "plan.json").read_text(), (folder / "measurements.jsonl").read_text()
    (folder / "measurements.jsonl").write_text(before + '{"step": 4, "epo')  # killed while it wrote
    run.control.withdraw("stop")
    assert execute(job, run)[-1]["event"] == "finished"
    assert (folder / "plan.json").read_text() == plan
    assert (folder / "measurements.jsonl").read_text().startswith(before)
    assert [one.step for one in read_measurements(folder)] == [0, 2, 4]
    found = read_findings(folder)
    assert found is not None
    assert found.step == 4

    caption = next(Path(values["dataset"]["train_data_dir"]).glob("*.txt"))
    caption.write_text("something else")
    (run.path / "state" / "last.pt").unlink()
    again = {**values, "save": {**values["save"], "output_name": "other"}}
    job, _ = started(tmp_path / "unused", again)
    assert execute(job, run, stopping(run, 1))[-1]["event"] == "stopped"
    assert (folder / "step00000000-plan.json").read_text() == plan
    assert "something else" in (folder / "plan.json").read_text()


@pytest.mark.parametrize("broken", ["measure_point", "findings_of", "plan_for"])
def test_a_failure_of_the_diagnosis_is_a_warning_and_the_training_finishes(broken, values, tmp_path, monkeypatch,
                                                                           no_tests_of_captions):
    def fail(*_: Any, **__: Any) -> None:
        raise KeyError("a mistake of its own")

    monkeypatch.setattr(observer, broken, fail)
    job, run = started(tmp_path / "runs", values, diagnosis=AMPLE, training={"max_train_epochs": 1})
    monkeypatch.setattr(observer.Budget, "allowance", lambda budget, seconds: 1e9)
    events = execute(job, run)
    assert events[-1]["event"] == "finished"
    warnings = [event["text"] for event in events if event["event"] == "warning" and "diagnosis" in event["text"]]
    assert len(warnings) == 1
    assert "a mistake of its own" in warnings[0]


def test_it_holds_between_predictions_and_gives_way_to_a_stop(values, tmp_path, monkeypatch):
    monkeypatch.setattr(observer.Budget, "allowance", lambda budget, seconds: 1e9)
    held, predictions = [], []
    job, run = started(tmp_path / "runs", values)

    class Waiting(Reporter):
        def phase(self, name, text, total=None):
            super().phase(name, text, total)
            if name == "diagnosis":
                monkeypatch.setattr(Boundary, "wait", lambda boundary, leave=None: held.append(leave) or False)
                monkeypatch.setattr(TrainedModel, "predict_from_states", counted)

    predict = TrainedModel.predict_from_states

    def counted(model: TrainedModel, *arguments: Any) -> Any:
        predictions.append(1)
        if len(predictions) == 5:
            run.control.request("stop")
        return predict(model, *arguments)

    events = execute(job, run, Waiting)
    assert len(predictions) <= 6
    assert len(held) >= len(predictions)
    assert all(leave is not None for leave in held)
    assert events[-1]["event"] == "stopped"
    assert read_measurements(run.path / "diagnosis") == []


@pytest.mark.parametrize(("name", "changes"), [
    ("captions encoded before", {"training": {"cache_text_encoder_outputs": True, "max_train_epochs": 1},
                                 "network": {"network_train_unet_only": True},
                                 "dataset": {"shuffle_caption": False, "flip_aug": True}}),
    ("new crops at each use", {"dataset": {"random_crop": True, "train_batch_size": 3},
                               "training": {"max_train_epochs": 1, "gradient_accumulation_steps": 2}})])
def test_it_works_with_every_source_of_latents_and_captions(name, changes, values, tmp_path, monkeypatch):
    monkeypatch.setattr(observer.Budget, "allowance", lambda budget, seconds: 1e9)
    merged = {group: {**values.get(group, {}), **changes.get(group, {})} for group in {*values, *changes}}
    run = trained(tmp_path, merged)
    warnings = [event["text"] for event in read_events(run.events_file)[0] if event["event"] == "warning"]
    assert not [text for text in warnings if "diagnosis" in text]
    measured = read_measurements(run.path / "diagnosis")
    assert measured[0].step == 0
    assert measured[0].tags
    assert measured[0].swapped
    assert all(row is not None for row in measured[0].loss)


def test_without_time_it_measures_nothing_and_a_short_run_says_so(values, tmp_path, monkeypatch):
    monkeypatch.setattr(observer.Budget, "allowance", lambda budget, seconds: 0.0)
    run = trained(tmp_path, values)
    assert read_measurements(run.path / "diagnosis") == []
    found = read_findings(run.path / "diagnosis")
    assert found is not None
    assert "diagnosis.diagnosis_share" in found.left_out[0]


def test_with_little_time_the_features_of_the_images_come_first(values, tmp_path, monkeypatch):
    """They cost one prediction for each image, and say most."""
    def no_time(*_: Any) -> None:
        raise OutOfTime

    monkeypatch.setattr(observer.Budget, "allowance", lambda budget, seconds: 1e9)
    monkeypatch.setattr(Meter, "losses", no_time)
    run = trained(tmp_path, values)
    first = read_measurements(run.path / "diagnosis")[0]
    assert all(row is not None for row in first.features)
    assert all(value is not None for value in first.distance)
    assert not any(first.loss)
    found = read_findings(run.path / "diagnosis")
    assert found is not None
    assert found.balance == ()


PHASES = {"size": {"resolution": "96"}, "folder": {"only_folders": ["1_later"]}, "rate": {}}


@pytest.mark.parametrize("other", PHASES)
def test_a_run_with_phases_says_what_is_measured_and_judges_only_what_is_trained_alike(
        other, values, tmp_path, monkeypatch, no_tests_of_captions):
    monkeypatch.setattr(observer.Budget, "allowance", lambda budget, seconds: 1e9)
    shares = []
    expected = observer.Budget.expected_run_seconds

    def noted(self, done, left, *others):
        shares.append(done + left)
        return expected(self, done, left, *others)

    monkeypatch.setattr(observer.Budget, "expected_run_seconds", noted)
    judged = []
    judge = observer.findings_of
    monkeypatch.setattr(observer, "findings_of", lambda plan, done: judged.append([one.step for one in done]) or judge(
        plan, done))
    root = tmp_path / "pictures"
    draw_pictures(root / "1_first", 2)
    draw_pictures(root / "1_later", 3, 9)
    first = {"train_data_dir": str(root), "only_folders": ["1_first"] if other == "folder" else []}
    run = trained(tmp_path, values, dataset={**values["dataset"], **first, "max_bucket_reso": 96},
                  training={**values["training"], "max_train_epochs": 1, "phases": [
                      {"name": "polish", "epochs": 1, "optimizer": {"learning_rate": 1e-4}, "dataset": PHASES[other]}]})
    plan, findings = read_plan(run.path / "diagnosis"), read_findings(run.path / "diagnosis")
    later = {Path(path).parent.name for path in plan.later}
    assert later == ({"1_later"} if other == "folder" else set())
    text = " ".join(findings.left_out)
    assert ("the phase “polish” trains on other images or at other sizes" in text) == (other != "rate")
    assert ("3 images of later phases are not measured" in text) == (other == "folder")
    steps = [one.step for one in read_measurements(run.path / "diagnosis")]
    assert len(steps) == 3 and len(judged[-1]) == (3 if other == "rate" else 2)
    assert set(shares) == {steps[-1]}  # the time is a share of the whole run, not of its first phase
    known = trained_on(run.path, str(root), [], print)
    assert known.all_phases and len(known.names) == 5
