"""The extension in a served page of real gradio: the tab is there, also after a reload, and also when it is broken."""

from __future__ import annotations

import json
import runpy
import socket
import sys
import urllib.request
from pathlib import Path

import pytest
from modules import script_callbacks

from tests.standin.environments import ReadyEnvironment
from tests.standin.webui import EXTENSION, Options, StandinWebui

SCRIPT = EXTENSION / "scripts" / "lora_train.py"


@pytest.fixture
def webui(tmp_path):
    """A served stand-in webui."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = StandinWebui(Options(data_dir=tmp_path, port=port, environment=ReadyEnvironment()))
    served.start()
    yield served
    served.close()


def fetch(webui, path=""):
    with urllib.request.urlopen(webui.url + path, timeout=120) as answer:
        return answer.read().decode()


def tab_titles(webui):
    config = json.loads(fetch(webui, "config"))
    return [component["props"]["label"] for component in config["components"] if component["type"] == "tabitem"]


def test_the_page_has_the_tab_and_loads_its_scripts_and_style(webui):
    page = fetch(webui)
    for script in (EXTENSION / "javascript").glob("*.js"):
        assert script.name in page
        assert fetch(webui, f"file={script}") == script.read_text(encoding="utf-8")
    assert "Train LoRA" in tab_titles(webui)
    assert 'id="train_lora_root"' in json.dumps(json.loads(fetch(webui, "config"))).replace("\\", "")
    assert json.loads(fetch(webui, "train-lora/host"))["environment"]["state"] == "ready"


def test_after_a_reload_of_the_ui_it_is_all_there_again(webui):
    webui.reload_ui()
    assert "Train LoRA" in tab_titles(webui)
    assert json.loads(fetch(webui, "train-lora/runs")) == []


def test_nothing_of_the_tab_is_kept_in_the_webuis_saved_settings(webui):
    """The webui writes components with labels to ui-config.json; a path or caption must never end there."""
    config = json.loads(fetch(webui, "config"))
    ours = [component for component in config["components"]
            if component["props"].get("elem_id") == "train_lora_frame"]
    assert [component["type"] for component in ours] == ["html"]


def test_a_package_that_cannot_be_imported_leaves_a_tab_that_says_why(webui, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "lib_lora_train.ui.routes", None)
    script_callbacks.clear_callbacks()
    runpy.run_path(str(SCRIPT))
    [callback] = script_callbacks.callback_map["ui_tabs"]
    [(tab, title, element)] = callback()
    assert (title, element) == ("Train LoRA", "train_lora")
    shown = json.dumps(tab.get_config_file())
    assert "could not be loaded" in shown and "lib_lora_train.ui.routes" in shown
    assert "could not be loaded" in capsys.readouterr().err
    [started] = script_callbacks.callback_map["app_started"]
    assert started(tab, webui.app) is None


def test_without_a_page_no_routes_are_served(webui, monkeypatch):
    script_callbacks.clear_callbacks()
    runpy.run_path(str(SCRIPT))
    [started] = script_callbacks.callback_map["app_started"]
    before = len(webui.app.routes)
    started(None, webui.app)
    assert len(webui.app.routes) == before


def test_the_script_does_nothing_but_register():
    assert len(Path(SCRIPT).read_text(encoding="utf-8").splitlines()) < 60
