"""A run that needs the webui's GPU gets it and the webui gets it back, with a real worker process."""

from __future__ import annotations

import os
import signal

import pytest
from modules import call_queue, sd_models

from lib_lora_train.runs import supervisor
from tests.standin.lora_file import write_lora

from ..conftest import wait_until


def model():
    return sd_models.model_data.sd_model


def generation_is_possible():
    if call_queue.queue_lock.acquire(False):
        call_queue.queue_lock.release()
        return True
    return False


@pytest.fixture
def gpu_tab(make_tab):
    return make_tab(device="cuda:0")


def test_while_a_run_continues_the_model_is_off_the_gpu_and_the_page_knows_why_pictures_wait(gpu_tab):
    assert gpu_tab.get("busy").json() == {"busy": None}
    run_id = gpu_tab.start(max_train_steps=50_000)
    gpu_tab.wait_for(run_id, "running")
    assert str(model().where) == "cpu"
    assert not generation_is_possible()
    busy = wait_until(lambda: (answer := gpu_tab.get("busy").json()["busy"]) and answer["id"] == run_id and answer)
    assert "lent to the training of penny" in busy["text"] and "pauses for your images" in busy["text"]
    assert gpu_tab.get("host").json()["busy"]["id"] == run_id
    gpu_tab.post(f"runs/{run_id}/control", {"action": "stop"})
    gpu_tab.wait_for(run_id, "stopped")
    wait_until(generation_is_possible)
    assert str(model().where) == "cuda:0"
    wait_until(lambda: gpu_tab.get("busy").json() == {"busy": None})


def test_a_run_starts_only_when_the_picture_that_is_being_made_is_done(gpu_tab):
    with call_queue.queue_lock:
        run_id = gpu_tab.start()
        waiting = wait_until(lambda: gpu_tab.get("busy").json()["busy"])
        assert "as soon as the current image is done" in waiting["text"]
        assert gpu_tab.get(f"runs/{run_id}").json()["state"] == "waiting"
        assert str(model().where) == "cuda:0"
    gpu_tab.wait_for(run_id, "finished")


def test_when_the_worker_is_killed_the_webui_has_its_gpu_back(gpu_tab):
    run_id = gpu_tab.start(max_train_steps=50_000)
    pid = gpu_tab.wait_for(run_id, "running")["pid"]
    os.kill(pid, signal.SIGKILL)
    gpu_tab.wait_for(run_id, "lost")
    wait_until(generation_is_possible)
    assert str(model().where) == "cuda:0"


def test_when_the_worker_cannot_start_the_webui_has_its_gpu_back(gpu_tab, monkeypatch):
    commands = iter([(["python"], {}), (["/nowhere/python"], {})])
    monkeypatch.setattr(type(gpu_tab.services.environment), "command", lambda self, arguments: next(commands))
    gpu_tab.wait_for(gpu_tab.start(), "failed")
    wait_until(generation_is_possible)
    assert str(model().where) == "cuda:0"


def test_when_the_models_cannot_be_moved_off_the_run_fails_with_the_reason(gpu_tab, monkeypatch):
    def broken(_):
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(sd_models, "send_model_to_cpu", broken)
    run = gpu_tab.wait_for(gpu_tab.start(), "failed")
    assert "device-side assert" in run["error"]
    wait_until(generation_is_possible)


def test_between_two_queued_runs_the_gpu_stays_with_the_runs(gpu_tab):
    first, second = gpu_tab.start("penny"), gpu_tab.start("alice")
    gpu_tab.wait_for(first, "finished")
    gpu_tab.wait_for(second, "finished")
    wait_until(generation_is_possible)
    assert model().moves == ["cpu", "cuda:0"]


def test_a_run_on_the_cpu_leaves_the_gpu_alone(gpu_tab):
    run_id = gpu_tab.start(max_train_steps=50_000, device="cpu")
    gpu_tab.wait_for(run_id, "running")
    assert str(model().where) == "cuda:0"
    assert generation_is_possible()
    assert gpu_tab.get("busy").json() == {"busy": None}


def test_a_webui_that_starts_while_a_run_continues_gives_it_the_gpu_again(make_tab):
    before = make_tab(device="cuda:0")
    run_id = before.start(max_train_steps=50_000)
    before.wait_for(run_id, "running")
    before.services.supervisor.close()
    before.services.supervisor.join(60)
    wait_until(generation_is_possible)
    after = make_tab(device="cuda:0")
    assert str(model().where) in ("cuda:0", "cpu")
    wait_until(lambda: str(model().where) == "cpu" and not generation_is_possible())
    after.post(f"runs/{run_id}/control", {"action": "stop"})
    after.wait_for(run_id, "stopped")
    wait_until(generation_is_possible)
    assert str(model().where) == "cuda:0"


def test_a_paused_run_gives_the_gpu_back_and_has_it_again_before_it_resumes(gpu_tab):
    run_id = gpu_tab.start(max_train_steps=5000)
    gpu_tab.wait_for(run_id, "running")
    gpu_tab.post(f"runs/{run_id}/control", {"action": "pause"})
    gpu_tab.wait_for(run_id, "paused")
    wait_until(generation_is_possible)
    assert str(model().where) == "cuda:0"
    with call_queue.queue_lock:
        gpu_tab.post(f"runs/{run_id}/control", {"action": "resume"})
        wait_until(lambda: gpu_tab.get("busy").json()["busy"])
        assert gpu_tab.get(f"runs/{run_id}").json()["state"] == "paused"
    gpu_tab.wait_for(run_id, "running")
    assert str(model().where) == "cpu"
    assert not generation_is_possible()


def events(tab, run_id):
    return [event["event"] for event in tab.get(f"runs/{run_id}", since=0).json()["events"]]


def test_a_picture_that_is_asked_for_gets_the_gpu_and_the_run_resumes_after_it(gpu_tab):
    run_id = gpu_tab.start(max_train_steps=50_000)
    gpu_tab.wait_for(run_id, "running")
    with call_queue.queue_lock:  # as Generate does: it waits for its turn
        assert str(model().where) == "cuda:0"
        assert events(gpu_tab, run_id)[-1] == "held"
        assert gpu_tab.get("busy").json() == {"busy": None}
    wait_until(lambda: "resumed" in events(gpu_tab, run_id))
    reported = events(gpu_tab, run_id)
    assert reported[reported.index("held") + 1] == "resumed"  # no step in between
    step = gpu_tab.get(f"runs/{run_id}").json()["step"]
    assert str(model().where) == "cpu"
    assert not generation_is_possible()
    wait_until(lambda: gpu_tab.get(f"runs/{run_id}").json()["step"] > step)


def test_pictures_one_after_the_other_cost_one_turn(gpu_tab, monkeypatch):
    monkeypatch.setattr(supervisor, "_LINGER_SECONDS", 3600.0)
    checks, check = [], gpu_tab.services.supervisor.check
    monkeypatch.setattr(gpu_tab.services.supervisor, "check", lambda: (check(), checks.append(1)))
    run_id = gpu_tab.start(max_train_steps=50_000)
    gpu_tab.wait_for(run_id, "running")
    for _ in range(4):
        with call_queue.queue_lock:
            assert str(model().where) == "cuda:0"
        seen = len(checks)
        wait_until(lambda seen=seen: len(checks) > seen + 1)  # one that began before it, and a whole one after it
    assert "resumed" not in events(gpu_tab, run_id)
    monkeypatch.setattr(supervisor, "_LINGER_SECONDS", 0.0)
    wait_until(lambda: "resumed" in events(gpu_tab, run_id))
    assert events(gpu_tab, run_id).count("held") == 1


def test_a_run_that_is_stopped_while_it_has_made_room_ends_at_once(gpu_tab):
    run_id = gpu_tab.start(max_train_steps=50_000)
    gpu_tab.wait_for(run_id, "running")
    with call_queue.queue_lock:
        gpu_tab.post(f"runs/{run_id}/control", {"action": "stop"})
        gpu_tab.wait_for(run_id, "stopped")
    wait_until(generation_is_possible)
    assert str(model().where) == "cuda:0"
    wait_until(lambda: not gpu_tab.services.index.all()[0].alive and
               not list((gpu_tab.services.runs_dir / run_id / "control").glob("hold-*")))


def test_a_webui_that_ends_in_a_picture_does_not_keep_the_run_from_continuing(gpu_tab):
    run_id = gpu_tab.start(max_train_steps=50_000)
    gpu_tab.wait_for(run_id, "running")
    with call_queue.queue_lock:
        gpu_tab.services.supervisor.close()
        wait_until(lambda: "resumed" in events(gpu_tab, run_id))
    gpu_tab.post(f"runs/{run_id}/control", {"action": "stop"})
    gpu_tab.wait_for(run_id, "stopped")


def test_the_page_learns_what_the_run_is_held_for(gpu_tab):
    run_id = gpu_tab.start(max_train_steps=50_000)
    gpu_tab.wait_for(run_id, "running")

    def txt2img():
        return gpu_tab.wait_for(run_id, "held")

    held = call_queue.wrap_queued_call(txt2img)()
    assert (held["held_for"], held["gave_gpu"], held["alive"]) == ("an image in txt2img", True, True)
    assert held["events"][-1]["who"] == "webui"
    running = gpu_tab.wait_for(run_id, "running")
    assert (running["held_for"], running["gave_gpu"]) == ("", False)
    gpu_tab.post(f"runs/{run_id}/control", {"action": "stop"})
    stopped = gpu_tab.wait_for(run_id, "stopped")
    assert stopped["still_seconds"] > 0


def test_a_pause_in_the_middle_of_a_picture_lasts_when_that_is_done_and_gives_the_gpu_to_the_webui(gpu_tab):
    run_id = gpu_tab.start(max_train_steps=50_000)
    gpu_tab.wait_for(run_id, "running")
    with call_queue.queue_lock:
        gpu_tab.wait_for(run_id, "held")
        assert gpu_tab.post(f"runs/{run_id}/control", {"action": "pause"}).status_code == 200
        gpu_tab.wait_for(run_id, "paused")
    wait_until(lambda: events(gpu_tab, run_id)[-1] == "resumed")  # that of the picture
    assert gpu_tab.get(f"runs/{run_id}").json()["state"] == "paused"
    wait_until(generation_is_possible)
    assert str(model().where) == "cuda:0"
    gpu_tab.post(f"runs/{run_id}/control", {"action": "resume"})
    gpu_tab.wait_for(run_id, "running")
    assert str(model().where) == "cpu"


def test_a_paused_run_stays_paused_when_the_webui_is_started_again(make_tab):
    before = make_tab(device="cuda:0")
    run_id = before.start(max_train_steps=50_000)
    before.wait_for(run_id, "running")
    before.post(f"runs/{run_id}/control", {"action": "pause"})
    before.wait_for(run_id, "paused")
    before.services.supervisor.close()
    before.services.supervisor.join(60)
    after = make_tab(device="cuda:0")
    with call_queue.queue_lock:  # a picture, which the paused run does not mind
        assert after.get(f"runs/{run_id}").json()["state"] == "paused"
    after.post(f"runs/{run_id}/control", {"action": "resume"})
    after.wait_for(run_id, "running")


@pytest.mark.parametrize("how", ["paused", "held"])
def test_when_a_run_that_stands_still_is_killed_the_webui_has_its_gpu_back(gpu_tab, how):
    run_id = gpu_tab.start(max_train_steps=50_000)
    pid = gpu_tab.wait_for(run_id, "running")["pid"]
    if how == "paused":
        gpu_tab.post(f"runs/{run_id}/control", {"action": "pause"})
        gpu_tab.wait_for(run_id, "paused")
        os.kill(pid, signal.SIGKILL)
    else:
        with call_queue.queue_lock:
            gpu_tab.wait_for(run_id, "held")
            os.kill(pid, signal.SIGKILL)
            gpu_tab.wait_for(run_id, "lost")
    gpu_tab.wait_for(run_id, "lost")
    wait_until(generation_is_possible)
    assert str(model().where) == "cuda:0"
    folder = gpu_tab.services.runs_dir / run_id / "control"
    wait_until(lambda: len(list(folder.glob("hold-*"))) == (how == "paused"))


def test_a_tool_on_the_gpu_is_no_training(make_tab):
    tab = make_tab(device="cuda:0", variables={"STANDIN_STEP_SECONDS": "1"})
    write_lora(tab.services.host.lora_dir / "a.safetensors", {})
    run_id = tab.post("tools", {"command": "resize", "job": {"lora": "a", "only_curve": True}}).json()["id"]
    busy = wait_until(lambda: (answer := tab.get("busy").json()["busy"]) and answer["id"] == run_id and answer)
    assert "lent to the run resize-a (resize)" in busy["text"] and "training" not in busy["text"]
    tab.post(f"runs/{run_id}/control", {"action": "stop"})
    tab.wait_for(run_id, "stopped")
    wait_until(generation_is_possible)
