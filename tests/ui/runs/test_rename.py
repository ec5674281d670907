"""A saved LoRA file is renamed with everything beside it: nothing is lost or overwritten, and the run finds it."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from pathlib import Path

import pytest

from lib_lora_train.config.change import changed
from lib_lora_train.config.load import job_to_yaml, load_job
from lib_lora_train.files.safetensors_header import read_safetensors_header
from lib_lora_train.files.safetensors_metadata import change_metadata
from lib_lora_train.runs.diagnosis.epochs import HELD_OUT, EpochMeasures, FileMeasures, write_measures
from lib_lora_train.runs.folder import open_run
from lib_lora_train.runs.names import rename_saved
from lib_lora_train.runs.queue import ask_again, withdraw
from lib_lora_train.runs.summary import RunIndex
from tests.crashes import killed_at


@pytest.fixture
def run_id(tab, finished_run):
    return finished_run(tab)


def loras(tab) -> Path:
    return tab.data / "models" / "Lora"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def rename(tab, run_id, old, new):
    return tab.post(f"runs/{run_id}/rename-file", {"path": str(loras(tab) / f"{old}.safetensors"), "name": new})


def tensors(file: Path) -> str:
    data = file.read_bytes()
    return hashlib.sha256(data[8 + int.from_bytes(data[:8], "little"):]).hexdigest()


def paths(answer) -> list[str]:
    return [Path(event["path"]).stem for event in answer if event["event"] == "saved"]


def test_a_file_is_renamed_with_everything_beside_it_and_back(tab, run_id, make_tab):
    folder, run = loras(tab), open_run(tab.services.runs_dir, run_id)
    file = folder / "penny-000001.safetensors"
    change_metadata(file, {"ss_output_name": "penny-000001", "modelspec.title": "A title of the user's"})
    for end in (".json", ".preview.png", ".txt", ".civitai.info"):
        (folder / f"penny-000001{end}").write_text(end)
    strip = run.path / "strip" / "key"
    strip.mkdir(parents=True, exist_ok=True)
    for name in ("penny-000001_00.png", "penny-000002_00.png"):
        (strip / name).write_bytes(b"image")
    before, content, state = names(folder), tensors(file), tab.get(f"runs/{run_id}").json()["state"]

    answer = rename(tab, run_id, "penny-000001", "first [test]")
    assert answer.json() == {"path": str(folder / "first [test].safetensors"), "name": "first [test]", "note": ""}
    assert names(folder) == {name.replace("penny-000001", "first [test]") for name in before}
    assert names(strip) == {"first [test]_00.png", "penny-000002_00.png"}
    metadata = read_safetensors_header(folder / "first [test].safetensors").metadata
    assert (metadata["ss_output_name"], metadata["modelspec.title"]) == ("first [test]", "A title of the user's")
    assert tensors(folder / "first [test].safetensors") == content
    for one in (tab, make_tab()):  # this webui, and one that reads the run anew
        found = one.get(f"runs/{run_id}").json()
        assert (found["state"], found["missing"]) == (state, [])
        assert paths(found["events"]) == ["first [test]", "penny-000002", "penny"]
        [summary] = one.get("runs").json()
        assert [event["name"] for event in summary["saved"]] == ["first [test]", "penny-000002", "penny"]
        assert (folder / "first [test].safetensors").name in [
            item["name"] for item in one.get(f"runs/{run_id}/deletion").json()["files"]]
    tried = tab.post(f"runs/{run_id}/try", {"path": str(folder / "first [test].safetensors")})
    assert "first [test]" in json.dumps(tried.json())

    assert rename(tab, run_id, "first [test]", "penny-000001.safetensors").status_code == 200
    assert names(folder) == before
    assert read_safetensors_header(file).metadata["ss_output_name"] == "penny-000001"
    assert paths(tab.get(f"runs/{run_id}").json()["events"]) == ["penny-000001", "penny-000002", "penny"]


@pytest.mark.parametrize(("name", "said"), [
    ("penny", "There is a LoRA named penny already"), ("PENNY-000002", "There is a LoRA named PENNY-000002 already"),
    ("other", "There is a LoRA named other already"), ("wanted-000003", "a queued run will save one"),
    ("", "The new name is empty"), ("../up", "The new name is '../up'"), ("a:b", "The new name is 'a:b'"),
    ("nul", "reserved by Windows"), ("best", "penny-000001.json"), ("é" * 100, "The new name is")])
def test_a_taken_or_unusable_name_is_refused_and_nothing_is_changed(tab, run_id, name, said):
    folder = loras(tab)
    (folder / "sub").mkdir()
    (folder / "sub" / "Other.safetensors").touch()
    (folder / "penny-000001.json").write_text("of the file")
    (folder / "best.json").write_text("of somebody else")
    tab.post("queue/hold", {"on_hold": True})
    tab.start("wanted")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    answer = rename(tab, run_id, "penny-000001", name)
    assert answer.status_code == 400
    assert said.replace("penny-000001.json", "There is another") in answer.json()["error"]
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert "renamed" not in (tab.services.runs_dir / run_id / "events.jsonl").read_text()


def test_a_file_of_nobody_or_in_use_is_not_renamed(tab, run_id):
    (loras(tab) / "mine.safetensors").touch()
    assert "has no LoRA file" in rename(tab, run_id, "mine", "yours").json()["error"]
    tab.post("queue/hold", {"on_hold": True})
    following = open_run(tab.services.runs_dir, tab.start("next")).job_file
    used = str(loras(tab) / "penny.safetensors")
    following.write_text(job_to_yaml(changed(load_job(following), {"network.network_weights": used})))
    assert "continues from penny.safetensors" in rename(tab, run_id, "penny", "nice").json()["error"]
    run = open_run(tab.services.runs_dir, run_id)
    ask_again(run, "cpu", steps=1, total_steps=3, name="penny")
    assert "Remove it from the queue first, then rename." in rename(tab, run_id, "penny-000001", "nice").json()["error"]
    withdraw(run)
    assert rename(tab, run_id, "penny-000001", "nice").status_code == 200


def test_the_measured_epoch_is_known_by_its_new_name(tab, run_id):
    run = open_run(tab.services.runs_dir, run_id)
    steps = {event["name"]: event["step"] for event in tab.get("runs").json()[0]["saved"]}
    measured = [FileMeasures(name, str(loras(tab) / f"{name}.safetensors"), step, epoch, held_out=((loss,),))
                for (name, step), epoch, loss in zip(steps.items(), (1, 2, 3), (0.3, 0.1, 0.2), strict=True)]
    write_measures(run.path, EpochMeasures(HELD_OUT, "1 image", ("",), FileMeasures("", "", 0, 0, held_out=((0.4,),)),
                                           tuple(measured)))
    for old, new in (("penny-000002", "second"), ("second", "the best")):
        assert rename(tab, run_id, old, new).status_code == 200
        points = tab.get(f"runs/{run_id}/epochs").json()["points"]
        assert [point["name"] for point in points[1:]] == ["penny-000001", new, "penny"]
        assert all(Path(point["path"]).is_file() for point in points[1:])


def test_killed_at_any_file_operation_the_run_knows_a_complete_file(tmp_path, monkeypatch):
    for links in (True, False):
        for number in itertools.count(1):
            run, folder = _run_with_a_file(tmp_path / f"{links}{number}")
            with monkeypatch.context() as patch:
                if not links:
                    patch.setattr(os, "link", _no_links)
                ended = killed_at(number, lambda run=run, folder=folder: rename_saved(
                    run, folder / "a.safetensors", "b", [], lambda file: None))
            [saved] = RunIndex(run.path.parent).of(run).saved
            assert Path(saved["path"]).read_bytes() == b"weights", number
            assert Path(saved["path"]).with_suffix(".json").read_text() == "card", number
            if not ended:
                assert names(folder) == {"b.safetensors", "b.json"}
                break


def _no_links(*_):
    raise OSError(1, "Operation not permitted")


def _run_with_a_file(base: Path):
    folder, run = base / "Lora", base / "runs" / "20260101-000000-a"
    folder.mkdir(parents=True)
    run.mkdir(parents=True)
    (run / "job.yaml").write_text("{}")
    (folder / "a.safetensors").write_bytes(b"weights")
    (folder / "a.json").write_text("card")
    event = {"time": 1, "event": "saved", "path": str(folder / "a.safetensors"), "name": "a", "step": 1, "epoch": 1}
    (run / "events.jsonl").write_text(json.dumps(event) + "\n")
    return open_run(run.parent, run.name), folder
