"""Runs and their LoRA files go to the trash and come back whole; nothing else is touched, and nothing overwritten."""

from __future__ import annotations

import json
import shutil

import pytest
from fastapi import Request

from lib_lora_train.ui.runs import open_folder

from ..conftest import wait_until


@pytest.fixture
def run_id(tab, finished_run):
    return finished_run(tab)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and ".trash" not in path.parts}


def loras(tab):
    return tab.data / "models" / "Lora"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_name_star_and_note_are_kept_each_for_itself(tab, run_id):
    assert tab.post(f"runs/{run_id}/note", {"starred": True}).json() == {"name": "", "starred": True, "note": ""}
    assert tab.post(f"runs/{run_id}/note", {"name": "best", "note": "keep"}).json() == {
        "name": "best", "starred": True, "note": "keep"}
    [run] = tab.get("runs").json()
    assert (run["name"], run["starred"], run["note"]) == ("best", True, "keep")
    for wrong in ({"name": "x" * 101}, {"note": ["no"]}, {"starred": "perhaps"}):
        assert tab.post(f"runs/{run_id}/note", wrong).status_code == 400
    (tab.services.runs_dir / run_id / "note.json").write_text("{")
    assert "note.json" in tab.get("runs").json()[0]["note_problem"]
    assert tab.post(f"runs/{run_id}/note", {"name": "new"}).json()["name"] == "new"


@pytest.mark.parametrize("with_files", [True, False])
def test_a_deleted_run_comes_back_byte_for_byte(tab, run_id, with_files):
    (loras(tab) / "penny.preview.png").write_bytes(b"preview")
    (loras(tab) / "penny.json").write_text("{}")
    (loras(tab) / "penny-other.safetensors").write_bytes(b"of somebody else")
    before = contents(tab.data)
    reported = tab.get(f"runs/{run_id}/deletion").json()
    assert [file["name"] for file in reported["files"]] == [
        "penny-000001.safetensors", "penny-000002.safetensors", "penny.safetensors"]
    assert (reported["refused"], reported["bytes"] > 0, reported["elsewhere"]) == ("", True, [])
    entry = tab.post(f"runs/{run_id}/delete", {"files": with_files}).json()
    assert tab.get("runs").json() == []
    assert not (tab.services.runs_dir / run_id).exists()
    assert ("penny.safetensors" in names(loras(tab))) is not with_files
    assert ("penny.preview.png" in names(loras(tab))) is not with_files
    assert "penny-other.safetensors" in names(loras(tab))
    [listed] = tab.get("trash").json()["entries"]
    assert (listed["id"], listed["name"], listed["whole_run"]) == (entry["id"], "penny", True)
    assert tab.post("trash/restore", {"id": entry["id"]}).status_code == 200
    assert contents(tab.data) == before
    assert tab.get("trash").json()["entries"] == []
    assert tab.get(f"runs/{run_id}").json()["state"] == "finished"


def test_one_epoch_is_kept_and_the_rest_goes_to_the_trash(tab, run_id):
    kept = str(loras(tab) / "penny-000002.safetensors")
    for wrong in ("/etc/passwd", str(loras(tab) / "no.safetensors"), "", "../x"):
        assert tab.post(f"runs/{run_id}/keep-only", {"path": wrong}).status_code == 400
    entry = tab.post(f"runs/{run_id}/keep-only", {"path": kept}).json()
    assert [name for name in names(loras(tab)) if name.endswith(".safetensors")] == ["penny-000002.safetensors"]
    missing = tab.get(f"runs/{run_id}").json()["missing"]
    assert sorted(path.rsplit("/", 1)[1] for path in missing) == ["penny-000001.safetensors", "penny.safetensors"]
    again = tab.post(f"runs/{run_id}/keep-only", {"path": kept})
    assert (again.status_code, "only LoRA file" in again.text) == (400, True)
    (loras(tab) / "penny.safetensors").write_bytes(b"trained meanwhile")
    taken = tab.post("trash/restore", {"id": entry["id"]})
    assert (taken.status_code, "nothing is overwritten" in taken.text) == (400, True)
    assert (loras(tab) / "penny.safetensors").read_bytes() == b"trained meanwhile"
    (loras(tab) / "penny.safetensors").unlink()
    assert tab.post("trash/restore", {"id": entry["id"]}).status_code == 200
    assert tab.get(f"runs/{run_id}").json()["missing"] == []


def test_what_trains_or_waits_is_not_deleted(make_tab):
    tab = make_tab(variables={"STANDIN_STEP_SECONDS": "0.2"})
    first = tab.start("penny", max_train_epochs=90)
    tab.wait_for(first, "running")
    second = tab.start("other")
    for run_id, way_out in ((first, "Stop it first"), (second, "Remove it from the queue")):
        assert way_out in tab.get(f"runs/{run_id}/deletion").json()["refused"]
        answer = tab.post(f"runs/{run_id}/delete", {"files": True})
        assert (answer.status_code, way_out in answer.text) == (400, True)
        assert (tab.services.runs_dir / run_id).is_dir()


def test_a_file_outside_the_lora_folder_stays_whatever_the_events_say(tab, run_id, tmp_path):
    secret = tmp_path / "secret.safetensors"
    secret.write_bytes(b"secret")
    with (tab.services.runs_dir / run_id / "events.jsonl").open("a") as events:
        for path in (secret, loras(tab) / ".." / ".." / ".." / "secret.safetensors", loras(tab) / "penny.json"):
            events.write(json.dumps({"event": "saved", "time": 1.0, "path": str(path), "name": "x", "step": 30,
                                     "epoch": 3}) + "\n")
    (loras(tab) / "penny.json").write_text("{}")
    assert tab.get(f"runs/{run_id}/deletion").json()["elsewhere"][0] == str(secret)
    assert tab.post(f"runs/{run_id}/delete", {"files": True}).status_code == 200
    assert secret.read_bytes() == b"secret"


@pytest.mark.parametrize("change", [
    {"files": [{"origin": "/tmp/evil.safetensors", "stored": "000-penny-000001.safetensors"}]},
    {"files": [{"origin": "x", "stored": "../../../job.yaml"}]}, {"files": 3}, {"files": [3]}, {"run": "../../evil"},
    {"run": ".."}, {"run": 4}, {"time": "now"}, {"whole_run": "yes"}])
def test_a_forged_record_in_the_trash_is_refused(tab, run_id, change):
    entry = tab.post(f"runs/{run_id}/delete", {"files": True}).json()
    record = tab.services.runs_dir / ".trash" / entry["id"] / "trashed.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), **change}))
    before = contents(tab.data.parent)
    assert tab.get("trash").status_code == 200
    answer = tab.post("trash/restore", {"id": entry["id"]})
    assert answer.status_code == 400, answer.text
    assert contents(tab.data.parent) == before


def test_names_that_leave_the_trash_are_refused_and_an_entry_is_deleted_for_good(tab, run_id):
    entry = tab.post(f"runs/{run_id}/delete", {"files": False}).json()
    for wrong in ("", ".", "..", "../x", "/etc", entry["id"] + "/run", "x" * 5000, "\0"):
        for route in ("trash/restore", "trash/delete"):
            assert tab.post(route, {"id": wrong}).status_code == 400
    assert tab.post("trash/delete", {"id": entry["id"]}).json() == {"entries": []}
    assert names(tab.services.runs_dir / ".trash") == []
    assert "penny.safetensors" in names(loras(tab))


def test_a_move_that_fails_half_way_leaves_everything_as_it_was(tab, run_id, monkeypatch):
    before, moved, move = contents(tab.data), [], shutil.move

    def refuse_the_third(source, target):
        moved.append(source)
        if len(moved) == 3:
            raise PermissionError(13, "Permission denied", source)
        return move(source, target)

    monkeypatch.setattr(shutil, "move", refuse_the_third)
    answer = tab.post(f"runs/{run_id}/delete", {"files": True})
    assert (answer.status_code, "Permission denied" in answer.text) == (400, True)
    assert contents(tab.data) == before
    assert tab.get("trash").json()["entries"] == []


def request_from(client, host, **headers):
    raw = [(b"host", host.encode()), *((name.replace("_", "-").encode(), value.encode())
                                       for name, value in headers.items())]
    return Request({"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": raw,
                    "client": (client, 50000), "server": ("127.0.0.1", 7860), "scheme": "http"})


@pytest.mark.parametrize(("request_", "local"), [
    (request_from("127.0.0.1", "localhost:7860"), True), (request_from("::1", "[::1]:7860"), True),
    (request_from("127.0.0.1", "127.0.0.1:7860"), True), (request_from("192.168.1.7", "192.168.1.2:7860"), False),
    (request_from("127.0.0.1", "abc.gradio.live"), False), (request_from("127.0.0.1", "192.168.1.2:7860"), False),
    (request_from("127.0.0.1", "localhost", x_forwarded_for="8.8.8.8"), False)])
def test_only_a_browser_on_this_machine_is_local(request_, local):
    assert open_folder.is_local(request_) is local


def test_a_folder_is_opened_for_a_local_browser_only(tab, run_id, tmp_path, monkeypatch):
    assert tab.post(f"runs/{run_id}/open", {"what": "run"}).status_code == 400
    monkeypatch.setattr("lib_lora_train.ui.runs.manage_routes.is_local", lambda request: True)
    opened = tmp_path / "opened"
    program = tmp_path / "bin" / "xdg-open"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.new; mv {opened}.new {opened}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    for what, folder in (("run", tab.services.runs_dir / run_id), ("files", loras(tab))):
        opened.unlink(missing_ok=True)
        assert tab.post(f"runs/{run_id}/open", {"what": what}).status_code == 200
        assert wait_until(lambda: opened.exists() and opened.read_text()) == str(folder)
    assert tab.post(f"runs/{run_id}/open", {"what": "/etc"}).status_code == 400
    monkeypatch.setenv("PATH", str(tmp_path))
    answer = tab.post(f"runs/{run_id}/open", {"what": "run"})
    assert (answer.status_code, str(tab.services.runs_dir / run_id) in answer.text) == (400, True)
