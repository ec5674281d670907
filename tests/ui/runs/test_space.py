"""The disk space of runs is shown, and training states are deleted when asked, never of runs that need them."""

from __future__ import annotations

import pytest

from lib_lora_train.runs import space
from lib_lora_train.runs.folder import open_run


@pytest.fixture
def old(tab, finished_run):
    run = open_run(tab.services.runs_dir, finished_run(tab))
    run.process_file.unlink()  # its worker may be just ending
    run.state.mkdir(exist_ok=True)
    run.state_file.write_bytes(b"x" * 3000)
    return tab, run


def test_a_state_is_measured_and_deleted_and_the_rest_stays(old):
    tab, run = old
    before = tab.get("space").json()["runs"]
    assert [(one["state_bytes"], one["ends_resume"], one["kept"]) for one in before] == [(3000, True, "")]
    assert before[0]["bytes"] > 3000
    others = sorted(path for path in run.path.rglob("*") if run.state not in (path, *path.parents))
    answer = tab.post("space/delete-states", {"runs": [run.id]}).json()
    assert (answer["freed"], answer["runs"][0]["state_bytes"]) == (3000, 0)
    assert sorted(run.path.rglob("*")) == others
    assert not tab.get(f"runs/{run.id}").json()["has_training_state"]


def test_nothing_is_deleted_if_one_of_the_runs_waits(old):
    tab, run = old
    tab.post("queue/hold", {"on_hold": True})
    waiting = tab.start("alice")
    answer = tab.post("space/delete-states", {"runs": [run.id, waiting]})
    assert answer.status_code == 400
    assert "alice stays: the run is in the queue" in answer.json()["error"]
    assert run.state_file.is_file()


def test_a_run_that_is_resumed_meanwhile_keeps_its_state(old, monkeypatch):
    tab, run = old
    answers = iter(["", "the run is in the queue"])
    monkeypatch.setattr(space, "_why_kept", lambda index, run: next(answers))
    assert "stays: the run is in the queue" in tab.post("space/delete-states", {"runs": [run.id]}).json()["error"]
    assert run.state_file.stat().st_size == 3000


def test_a_state_that_is_a_link_is_refused_and_one_left_half_deleted_is_removed(old, tmp_path):
    tab, run = old
    run.state.rename(run.path / "state-deleted-12345678")  # a deletion that was interrupted
    assert tab.post("space/delete-states", {"runs": [run.id]}).json()["freed"] == 3000
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "last.pt").write_text("mine")
    run.state.symlink_to(tmp_path / "mine")
    assert "is a link" in tab.post("space/delete-states", {"runs": [run.id]}).json()["error"]
    assert (tmp_path / "mine" / "last.pt").is_file()


def test_the_encoded_images_in_the_image_folders_are_measured(old):
    tab, _ = old
    assert tab.get("space").json()["caches"] == []
    cache = tab.dataset / ".lora_train_cache"
    cache.mkdir()
    for name, size in (("a", 1000), ("b", 500)):
        (cache / f"{name}.safetensors").write_bytes(b"x" * size)
    tab.post("queue/hold", {"on_hold": True})
    waiting = tab.start("alice")  # of the same images
    expected = [{"folder": str(cache), "bytes": 1500}]
    assert tab.get("space").json()["caches"] == expected
    open_run(tab.services.runs_dir, waiting).job_file.write_text("[")
    answer = tab.post("space/delete-states", {"runs": []}).json()
    assert answer["caches"] == expected
