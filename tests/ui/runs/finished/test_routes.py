"""What is chosen for the end of the queue: who may choose, what then runs, and that no request starts anything else."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest
from modules import shared

from lib_lora_train.host.addresses import reached_from_elsewhere
from lib_lora_train.host.parts import FINISHED_COMMAND, add_settings
from lib_lora_train.host.webui import Webui
from lib_lora_train.runs.folder import RunFolder
from lib_lora_train.runs.queue import change_queued
from lib_lora_train.runs.queue_hold import hold_queue, release_queue
from lib_lora_train.ui.runs.finished import choices, desk, rule
from lib_lora_train.ui.runs.finished.interrupted import FILE

from ...conftest import HEADERS, wait_until

WRITE = "import pathlib, sys; pathlib.Path(sys.argv[1]).open('a').write(sys.argv[2] + '!')"


@pytest.fixture
def power(monkeypatch, tmp_path):
    """The file that a stand-in of the system's commands writes to, half a second after the queue is finished."""
    log = tmp_path / "power.txt"
    monkeypatch.setitem(choices.POWER_COMMANDS, sys.platform, {
        choice: (sys.executable, "-c", WRITE, str(log), choice) for choice in (choices.SLEEP, choices.SHUT_DOWN)})
    monkeypatch.setattr(rule, "COUNTDOWN_SECONDS", 0.5)
    monkeypatch.setattr(desk, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(desk, "trainings_elsewhere", lambda known: [])
    return log


@pytest.fixture
def here(tab, monkeypatch):
    """``tab``, whose requests come from this machine, as those of a browser on it do."""
    monkeypatch.setattr("lib_lora_train.ui.runs.finished.routes.is_local", lambda request: True)
    yield tab
    tab.services.finished.close()


def choose(tab, choice, **more):
    answer = tab.post("finished", {"choice": choice, **more})
    return answer.status_code, answer.json()


@pytest.mark.parametrize("choice", ["sleep", "shut_down"])
def test_the_computer_acts_once_after_the_queue_even_if_a_run_failed(here, power, choice):
    assert choose(here, choice)[0] == 200
    here.services.finished._look()
    assert here.get("finished").json()["countdown"] is None and not power.exists()  # nothing has run yet
    first, second = here.start("penny", device="nowhere"), here.start("fox")
    here.wait_for(second, "finished")
    wait_until(power.exists)
    assert here.get(f"runs/{first}").json()["state"] in ("finished", "failed")
    assert wait_until(lambda: power.read_text()) == f"{choice}!"
    assert wait_until(lambda: here.get("finished").json()["choice"] == "nothing")
    here.wait_for(here.start("later"), "finished")
    here.services.finished._look()
    state = here.get("finished").json()
    assert (state["choice"], state["countdown"], power.read_text()) == ("nothing", None, f"{choice}!")


@pytest.mark.parametrize("hold", ["run", "queue"])
def test_what_is_on_hold_is_not_waited_for(here, power, hold):
    first = here.start("penny", max_train_epochs=20)
    later = here.start("later")
    here.wait_for(first, "running", "finished")
    choose(here, "sleep")
    if hold == "queue":
        hold_queue(here.services.runs_dir)
    else:
        change_queued(RunFolder(here.services.runs_dir / later), lambda request: replace(request, on_hold=True))
    here.wait_for(first, "finished")
    wait_until(power.exists)
    assert here.get(f"runs/{later}").json()["state"] == "waiting"
    release_queue(here.services.runs_dir)


@pytest.mark.parametrize("way", ["page", "file", "other choice"])
def test_a_countdown_is_cancelled_by_page_file_or_another_choice(here, power, monkeypatch, way):
    monkeypatch.setattr(rule, "COUNTDOWN_SECONDS", 30)
    choose(here, "shut_down")
    here.wait_for(here.start(), "finished")
    countdown = wait_until(lambda: here.get("finished").json()["countdown"])
    assert countdown["text"].startswith("penny is finished. The computer shuts down")
    assert 0 < countdown["seconds_left"] <= 30
    if way == "page":
        assert here.post("finished/cancel").json()["countdown"] is None
    elif way == "file":
        (here.data / "lora_train" / desk.CANCEL_FILE).unlink()
    else:
        choose(here, "notify")
    state = wait_until(lambda: (now := here.get("finished").json())["countdown"] is None and now)
    assert state["choice"] in (("notify",) if way == "other choice" else ("nothing",))
    assert not (here.data / "lora_train" / desk.CANCEL_FILE).exists() and not power.exists()


def test_a_command_of_the_settings_runs_as_shown_and_no_other(here, power, tmp_path, monkeypatch):
    add_settings()
    assert "No command is set" in choose(here, "command")[1]["error"]
    monkeypatch.setattr(shared.opts, FINISHED_COMMAND, f"echo done > {tmp_path / 'mine.txt'}", raising=False)
    status, answer = choose(here, "command", seen="echo what another page has shown")
    assert status == 400 and "not the one that this page has shown" in answer["error"]
    assert choose(here, "command")[0] == 400 and here.get("finished").json()["choice"] == "nothing"
    state = choose(here, "command", seen=here.get("finished").json()["command"])[1]
    assert state["command"] == f"echo done > {tmp_path / 'mine.txt'}"
    monkeypatch.setattr(shared.opts, FINISHED_COMMAND, f"echo evil > {tmp_path / 'theirs.txt'}", raising=False)
    here.wait_for(here.start(), "finished")
    wait_until((tmp_path / "mine.txt").exists)
    wait_until(lambda: here.get("finished").json()["notice"]["text"] == "penny is finished. Your command has ended.")
    assert not (tmp_path / "theirs.txt").exists()


def test_a_command_that_fails_is_reported(here, power, monkeypatch):
    add_settings()
    monkeypatch.setattr(shared.opts, FINISHED_COMMAND, "echo no such disk && exit 3", raising=False)
    choose(here, "command", seen="echo no such disk && exit 3")
    here.wait_for(here.start(), "finished")
    notice = wait_until(lambda: (now := here.get("finished").json()["notice"]) and now["level"] == "error" and now)
    assert "code 3" in notice["text"] and "no such disk" in notice["text"]


def test_the_webuis_api_cannot_set_the_command():
    add_settings()
    assert shared.opts.data_labels[FINISHED_COMMAND].restrict_api
    assert shared.opts.set(FINISHED_COMMAND, "echo evil", is_api=True) is False
    assert Webui().finished_command() != "echo evil"


@pytest.mark.parametrize("body", [
    {"choice": "rm -rf /"}, {"choice": "command", "command": "echo evil"}, {"choice": ["shut_down"]}, {"choice": None},
    {"choice": "shut_down; echo"}, {"command": "echo"}, [], {"choice": {"a": 1}}, {"choice": "x" * 5000}])
def test_a_request_names_a_fixed_choice_or_nothing_is_chosen(here, power, body):
    answer = here.post("finished", body)
    assert answer.status_code == 400 and answer.json()["error"]
    assert here.get("finished").json()["choice"] == "nothing"


@pytest.mark.parametrize("headers", [
    {}, {**HEADERS, "sec-fetch-site": "cross-site"}, {**HEADERS, "sec-fetch-site": "same-site"},
    {**HEADERS, "host": "evil.example"}, {**HEADERS, "host": "127.0.0.1.nip.io:7860"},
    {"content-type": "text/plain"}, {"X-Train-Lora": "0"}])
@pytest.mark.parametrize("route", ["finished", "finished/cancel"])
def test_a_foreign_page_can_neither_choose_nor_cancel(here, power, headers, route):
    choose(here, "sleep")
    answer = here.client.post(f"/train-lora/{route}", json={"choice": "shut_down"}, headers=headers)
    assert answer.status_code == 403
    assert here.client.get(f"/train-lora/{route}?choice=shut_down", headers=HEADERS).status_code in (200, 404, 405)
    assert here.get("finished").json()["choice"] == "sleep"


@pytest.mark.parametrize("option", [{"listen": True}, {"share": True}, {"ngrok": "token"}, {"server_name": "0.0.0.0"},
                                    {"server_name": "studio.example"}, {"gradio_auth": "me:secret"},
                                    {"gradio_auth_path": "users.txt"}, {"cloudflared": True}, {"jprq": "token"}])
def test_a_webui_that_others_reach_only_notifies(here, power, monkeypatch, option):
    for name, value in option.items():
        monkeypatch.setattr(shared.cmd_opts, name, value, raising=False)
    state = here.get("finished").json()
    assert [one["name"] for one in state["choices"] if not one["refused"]] == ["nothing", "notify", "sound"]
    assert state["command"] == ""
    for choice in ("command", "sleep", "shut_down"):
        status, answer = choose(here, choice)
        assert status == 400 and "other machines" in answer["error"]
    assert choose(here, "notify")[0] == 200


@pytest.mark.parametrize("headers", [{"x-forwarded-for": "1.2.3.4"}, {"host": "192.168.1.20:7860"},
                                     {"host": "127.0.0.1", "cf-connecting-ip": "1.2.3.4"},
                                     {"host": "127.0.0.1", "x-forwarded-proto": "https"}, {}])
def test_a_browser_on_another_machine_only_chooses_notifications(tab, power, headers):
    answer = tab.client.post("/train-lora/finished", json={"choice": "shut_down"}, headers={**HEADERS, **headers})
    assert answer.status_code == 400 and "other machines" in answer.json()["error"]
    assert tab.post("finished", {"choice": "notify"}).status_code == 200
    tab.services.finished.close()


@pytest.mark.parametrize(("options", "page", "reached"), [
    ({}, None, False), ({"server_name": "127.0.0.1"}, None, False), ({"server_name": "localhost"}, None, False),
    ({"server_name": "::1"}, None, False), ({"listen": True}, None, True),
    ({}, {"share_url": "https://x.gradio.live"}, True),
    ({"api_auth": "me:secret"}, None, True), ({}, {"auth": [("me", "secret")]}, True),
    ({"api_auth": None}, None, False),
    ({}, {"server_name": "0.0.0.0"}, True), ({}, {"server_name": "127.0.0.1", "share_url": None}, False)])
def test_whether_others_reach_the_webui(options, page, reached):
    as_object = lambda values: type("Given", (), values)()  # noqa: E731
    assert reached_from_elsewhere(as_object(options), None if page is None else as_object(page)) == reached


def test_gradios_own_variable_opens_it(monkeypatch):
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    assert reached_from_elsewhere(object(), None)


def test_it_survives_a_reload_of_the_ui_but_not_a_restart(here, power, make_tab):
    choose(here, "shut_down")
    assert make_tab().services.finished is here.services.finished
    here.services.supervisor.close()
    here.services.supervisor.join(60)
    restarted = make_tab()
    assert restarted.services.finished is not here.services.finished
    for tab in (here, restarted):
        assert tab.services.finished.state(local=True).choice == "nothing"


@pytest.mark.parametrize("ended", [True, False])
def test_a_restart_says_what_was_not_done_and_does_not_do_it(here, power, ended, tmp_path, monkeypatch):
    folder = here.data / "lora_train"
    choose(here, "shut_down")
    (folder / desk.CANCEL_FILE).write_text("Delete this file to cancel that.")
    if ended:  # as after a power cut: the file stays, and nobody has that process number any more
        note = json.loads((folder / FILE).read_text())
        (folder / FILE).write_text(json.dumps({**note, "created": note["created"] - 100}))
    parts = here.services
    another = desk.FinishedDesk(parts.host, parts.index, parts.drawings, parts.describing, folder)
    state = another.state(local=True)
    assert state.choice == "nothing" and state.countdown is None
    assert (folder / desk.CANCEL_FILE).exists() != ended and (folder / FILE).exists() != ended
    if ended:
        assert state.notice.text.startswith("“Shut down the computer” was chosen for the end of the queue, but")
        assert desk.FinishedDesk(parts.host, parts.index, parts.drawings, parts.describing, folder).state(
            local=True).notice is None  # once
    else:  # another webui on the same data folder, which is still running
        assert state.notice is None
    choose(here, "nothing")
    assert not (folder / FILE).exists() and not power.exists()


def test_an_unreadable_run_does_not_end_the_watch(here, power, monkeypatch):
    real, broken = here.services.index.all, [True]
    monkeypatch.setattr(here.services.index, "all", lambda: 1 / 0 if broken else real())
    assert choose(here, "sleep")[0] == 200
    broken.clear()
    here.wait_for(here.start(), "finished")
    assert wait_until(power.exists)
