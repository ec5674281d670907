"""Measuring the saved files of a run after the fact: against what the run itself reported, and what users bring."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from accelerate.state import AcceleratorState

from lib_lora_train.cli import diagnose
from lib_lora_train.cli.demo import DEMO_FOLDER
from lib_lora_train.cli.diagnose import diagnose_command
from lib_lora_train.config.groups.diagnose import DiagnoseJob
from lib_lora_train.config.load import read_job
from lib_lora_train.config.text_yaml import write_yaml
from lib_lora_train.diagnosis import saved_files
from lib_lora_train.diagnosis.material import Chosen
from lib_lora_train.errors import ConfigError, RunError, TaggerError
from lib_lora_train.runs.diagnosis.epochs import (
    ENLARGED,
    HELD_OUT,
    MIRRORED,
    VERSIONS,
    EpochMeasures,
    FileMeasures,
    mean_loss,
    read_measures,
    write_measures,
)
from lib_lora_train.runs.diagnosis.proposal import GUESS, propose
from lib_lora_train.runs.diagnosis.records import FOLDER, PLAN_FILE, DiagnosisPlan, PlannedImage, plan_json
from lib_lora_train.runs.events import EventWriter, read_events
from lib_lora_train.runs.folder import DIAGNOSE, RunFolder, create_run
from lib_lora_train.training import validation
from lib_lora_train.training.encoding import StoppedEarly
from lib_lora_train.training.reporting.report import Reporter
from tests.training.conftest import Trained, draw_pictures, small_job, trained_in


@pytest.fixture(scope="module")
def done(checkpoint, tmp_path_factory) -> Iterator[Trained]:
    """A run that held images out, for all tests."""
    folder = tmp_path_factory.mktemp("done")
    held_out = draw_pictures(folder / "held", 2, 9)
    job = small_job(checkpoint, draw_pictures(folder / "pictures", 3), folder / "loras")
    run = trained_in(folder / "runs", job, dataset={"validation_data_dir": str(held_out)},
                     save={"save_precision": "float"}, optimizer={"optimizer_type": "AdamW", "learning_rate": 2e-2})
    AcceleratorState._reset_state(reset_partial_state=True)
    assert run.completed
    yield run


@pytest.fixture
def few_predictions(monkeypatch):
    """One strength and one noise level, for what is not about the losses themselves."""
    monkeypatch.setattr(saved_files, "STRENGTHS", (0.8,))
    for module in (saved_files, validation):
        monkeypatch.setattr(module, "TIMESTEPS", (500,))


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setattr(diagnose.environment, "environment_root", lambda: tmp_path)
    return tmp_path / "measuring"


def like(done: Trained, runs: Path, dataset: dict, files: list[Path] | None = None, command: str = "train",
         **groups: dict) -> RunFolder:
    """A run with the files of ``done``, or only ``files``, and other settings."""
    job = yaml.safe_load(done.run.job_file.read_text())
    for name, changes in {"dataset": dataset, **groups}.items():
        job[name] = {**job[name], **changes}
    run = create_run(runs.parent / "others", "penny", write_yaml(job), command)
    with EventWriter(run.events_file) as events:
        for event in done.of("saved"):
            if files is None or Path(event["path"]).name in [file.name for file in files]:
                path = next((file for file in files or [] if file.name == Path(event["path"]).name), event["path"])
                events.write("saved", {**event, "path": str(path)})
    return run


def measured(run: RunFolder, runs: Path, *settings: str):
    AcceleratorState._reset_state(reset_partial_state=True)
    status = diagnose_command([str(run.path), "--runs", str(runs), *settings])
    newest = RunFolder(max(runs.iterdir(), key=lambda path: path.stat().st_mtime_ns))
    return status, read_measures(run.path), read_events(newest.events_file)[0]


def test_what_is_measured_of_a_file_is_the_loss_that_the_run_reported_when_it_saved_it(done, runs):
    before = {path: path.read_bytes() for path in done.loras.iterdir()}
    status, measures, events = measured(done.run, runs)
    assert status == 0 and events[-1]["event"] == "finished" and measures.source == HELD_OUT
    validation = done.of("validation")
    assert [mean_loss(one.held_out) for one in (measures.base, *measures.files)] == pytest.approx(
        [event["loss"] for event in validation], rel=1e-4)
    assert validation[-1]["each"] == pytest.approx([sum(row) / len(row) for row in measures.files[-1].held_out],
                                                   rel=1e-4)
    assert [(file.epoch, file.final) for file in measures.files] == [(1, False), (2, True)]
    assert measures.base.drift == 0 and 0 < measures.files[0].drift < measures.files[1].drift
    assert len(measures.files[0].trained) == 3
    strengths = {one.strength: mean_loss(one.held_out) for one in measures.strengths}
    proposed = propose(measures).file
    assert [*strengths] == ([0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2] if proposed else [])
    assert proposed is None or len({*strengths.values()}) == 7
    assert {path: path.read_bytes() for path in done.loras.iterdir()} == before


def test_mirrored_images_take_the_place_of_held_out_ones_unless_they_were_trained_on(done, runs, few_predictions):
    last = [done.loras / "penny.safetensors"]
    _, measures, _ = measured(like(done, runs, {"validation_data_dir": None}, last), runs, "images=1")
    assert measures.source == MIRRORED and "mirrored" in measures.source_text and len(measures.images) == 1
    assert mean_loss(measures.files[-1].held_out) != mean_loss(measures.files[-1].trained)
    _, measures, _ = measured(like(done, runs, {"validation_data_dir": None, "flip_aug": True}, last), runs, "images=1")
    assert measures.source == ENLARGED and "enlarged" in measures.source_text and len(measures.images) == 1
    assert mean_loss(measures.files[-1].held_out) != mean_loss(measures.files[-1].trained)
    assert measures.files[-1].drift is not None


def test_a_held_out_image_that_was_trained_on_does_not_count(done, runs, tmp_path, few_predictions):
    held_out = draw_pictures(tmp_path / "held", 2, 9)
    trained = Path(yaml.safe_load(done.run.job_file.read_text())["dataset"]["train_data_dir"])
    for ending in (".png", ".txt"):
        shutil.copy((trained / "01").with_suffix(ending), (held_out / "copy").with_suffix(ending))
    _, measures, _ = measured(done.run, runs, f"validation_data_dir={held_out}")
    assert measures.left_out == ("copy.png",) and len(measures.images) == 2
    assert "copy.png" in propose(measures).doubts[-1]


def test_whatever_fails_alone_is_named_and_everything_else_is_measured(done, runs, tmp_path, few_predictions):
    """A tagger, a list of strip images, a sample, a held-out image and an epoch's file that are damaged, at once."""
    first, last = (tmp_path / name for name in ("penny-000001.safetensors", "penny.safetensors"))
    shutil.copy(done.loras / last.name, last)
    first.write_bytes(last.read_bytes()[:-100])
    held_out, folder = draw_pictures(tmp_path / "held", 3, 9), tmp_path / "taggers" / "cut"
    (held_out / "00.png").write_bytes((held_out / "00.png").read_bytes()[:90])
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"cut short")
    shutil.copy(DEMO_FOLDER / "tagger" / "selected_tags.csv", folder)
    run = like(done, runs, {"validation_data_dir": str(held_out)}, [first, last])
    (run.path / "diagnosis").mkdir()
    (run.path / "diagnosis" / "strip.json").write_text("{")
    (run.path / "samples").mkdir()
    with EventWriter(run.events_file) as events:
        step = done.of("saved")[-1]["step"]
        for name, content in (("whole", (held_out / "01.png").read_bytes()), ("cut", b"\x89PNG")):
            (run.path / "samples" / f"{name}.png").write_bytes(content)
            events.write("sample", {"step": step, "epoch": 2, "path": f"samples/{name}.png", "prompt": f"penny {name}"})
    status, measures, events = measured(run, runs, "images=2", "tagger=cut", f"taggers_dir={folder.parent}")
    assert status == 0 and [file.name for file in measures.files] == ["penny"]
    assert len(measures.images) == 2 and measures.files[0].drift and measures.files[0].copies is not None
    for part in ("00.png is not measured", "penny-000001.safetensors is not measured", "strip.json cannot be read",
                 "damaged, and not compared: “samples/cut.png”", "model.onnx cannot be read as an ONNX model"):
        assert sum(part in text for text in measures.missing) == 1, (part, measures.missing)
    assert measures.files[0].likeness is None and len(measures.missing) == 5
    warned = [event["text"] for event in events if event["event"] == "warning"]
    assert sum("Likeness and flexibility" in text for text in warned) == 1
    progress = [event for event in events if event["event"] == "progress"]
    assert {event["done"] for event in progress} > {0, 1} and any(event["seconds_left"] for event in progress)


@pytest.mark.parametrize("failure", [TaggerError("no tags"), ImportError("onnxruntime"), MemoryError(), StoppedEarly()],
                         ids=lambda failure: type(failure).__name__)
def test_a_part_that_fails_or_is_stopped_loses_no_other(failure, tmp_path, monkeypatch):
    run = create_run(tmp_path, "penny", "{}")
    sources = diagnose._Sources(DiagnoseJob(tagger="wd"), read_job({})[0], run, Chosen((), ()), ())

    def fail(*_: object) -> None:
        raise failure

    def filled(measures: EpochMeasures, *_: object) -> EpochMeasures:
        return replace(measures, files=tuple(replace(file, copies=0.5) for file in measures.files))

    monkeypatch.setattr("lib_lora_train.cli.sample_copies.with_copies", filled)
    monkeypatch.setattr("lib_lora_train.cli.sample_copies.with_features", fail)
    with EventWriter(run.events_file) as events:
        given = (EpochMeasures(HELD_OUT, files=(FileMeasures("penny", "", 10, 1),)), sources,
                 Reporter(events, terminal=False), lambda done, total: None)
        if isinstance(failure, StoppedEarly):
            with pytest.raises(StoppedEarly):
                diagnose._with_images(*given)
        else:
            diagnose._with_images(*given)
        found = read_measures(run.path)
        assert found.files[0].copies == 0.5 and len(found.missing) == 1
        assert "image features" in found.missing[0]
        if isinstance(failure, StoppedEarly):  # another stop does not replace what was measured
            write_measures(run.path, replace(found, source_text="earlier"))
            with pytest.raises(StoppedEarly):
                diagnose._with_images(*given)
            assert read_measures(run.path).source_text == "earlier"


def test_images_that_came_later_and_other_versions_of_training_images_take_the_place_of_a_share(
        done, runs, tmp_path, few_predictions):
    folder = Path(yaml.safe_load(done.run.job_file.read_text())["dataset"]["train_data_dir"])
    seen = shutil.copytree(folder, tmp_path / "pictures")
    last = [done.loras / "penny.safetensors"]

    def add(name: str, source: Path) -> None:
        for ending in (".png", ".txt"):
            shutil.copy(source.with_suffix(ending), (seen / name).with_suffix(ending))

    def of_run() -> EpochMeasures:
        run = like(done, runs, {"validation_data_dir": None, "train_data_dir": str(seen)}, last)
        images = [PlannedImage(place, str(seen / path.name), "", (), "", (64, 64), 1)
                  for place, path in enumerate(sorted(folder.glob("*.png")))]
        (run.path / FOLDER).mkdir()
        (run.path / FOLDER / PLAN_FILE).write_text(plan_json(DiagnosisPlan("", tuple(images), (300,))))
        return measured(run, runs, "images=2")[1]

    for number in range(2):
        add(f"copy{number}", folder / f"0{number}.png")
    measures = of_run()
    assert measures.source == VERSIONS and measures.images == ("copy0.png", "copy1.png") and not measures.left_out
    assert "far surer" in propose(measures).doubts[-1] or propose(measures).sure == GUESS
    draw_pictures(tmp_path / "new", 2, 9)
    for number in range(2):
        add(f"new{number}", tmp_path / "new" / f"0{number}.png")
    measures = of_run()
    assert measures.source == HELD_OUT and measures.images == ("new0.png", "new1.png")
    assert "came into the folder after the run" in measures.source_text
    assert measures.left_out == ("copy0.png", "copy1.png")


def test_files_that_are_gone_or_damaged_are_skipped_and_the_others_measured(done, runs, tmp_path, few_predictions):
    first, last = (tmp_path / name for name in ("penny-000001.safetensors", "penny.safetensors"))
    first.write_bytes(b"damaged")
    shutil.copy(done.loras / last.name, last)
    run = like(done, runs, {}, [first, last])
    status, measures, events = measured(run, runs, "images=1")
    assert status == 0 and [file.name for file in measures.files] == ["penny"]
    assert any("penny-000001" in event["text"] for event in events if event["event"] == "warning")
    assert measures.skipped == (str(first),) and "penny-000001.safetensors is not measured" in measures.missing[0]
    last.unlink()
    status, _, events = measured(run, runs)
    assert status == 1 and "do not fit this checkpoint" in events[-1]["text"]
    first.unlink()
    status, _, events = measured(run, runs)
    assert status == 1 and "none of them is still there" in events[-1]["text"]


def test_a_lora_that_was_not_trained_here_needs_a_checkpoint_and_other_images(done, checkpoint, runs, few_predictions):
    settings = yaml.safe_load(done.run.job_file.read_text())["dataset"]
    opened = like(done, runs, {"train_data_dir": "", "validation_data_dir": None}, [done.loras / "penny.safetensors"],
                  "test", base={"checkpoint": ""})
    status, measures, events = measured(opened, runs)
    assert status == 1 and measures is None
    assert "checkpoint=FILE" in events[-1]["text"] and "validation_data_dir=FOLDER" in events[-1]["text"]
    status, measures, _ = measured(opened, runs, f"checkpoint={checkpoint}",
                                   f"validation_data_dir={settings['validation_data_dir']}", "images=1")
    assert status == 0 and measures.source == HELD_OUT and len(measures.files) == 1 and not measures.files[0].trained


def test_a_folder_without_a_run_and_an_unknown_setting_are_refused(tmp_path, done, runs):
    with pytest.raises(RunError, match="not the folder of a run"):
        diagnose_command([str(tmp_path), "--runs", str(runs)])
    with pytest.raises(ConfigError, match="imagess"):
        diagnose_command([str(done.run.path), "imagess=3", "--runs", str(runs)])


def test_a_stop_ends_the_work_and_writes_nothing(done, runs):
    other = like(done, runs, {})
    work = create_run(runs, "diagnose-penny", write_yaml({"run": str(other.path)}), DIAGNOSE)
    work.control.request("stop")
    assert diagnose_command([str(work.job_file)]) == 0
    assert read_events(work.events_file)[0][-1]["event"] == "stopped" and read_measures(other.path) is None
