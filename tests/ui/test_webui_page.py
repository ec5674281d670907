"""The extension in a served page of real gradio: the tab is there, also after a reload, and also when it is broken."""

from __future__ import annotations

import json
import re
import runpy
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from modules import script_callbacks

from lib_lora_train.ui.page_modules import modules_version
from tests.host.mixtures import REFORGE, become, forget
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


def test_every_module_is_served_under_a_path_of_its_version(webui):
    page = json.dumps(json.loads(fetch(webui, "config"))).replace("\\", "")
    main = re.search(r'data-modules="./(train-lora/js/[0-9a-f]{12}/)main.js"', page)
    modules = EXTENSION / "javascript" / "modules"
    for module in modules.rglob("*.js"):
        address = webui.url + main[1] + module.relative_to(modules).as_posix()
        with urllib.request.urlopen(address, timeout=120) as answer:
            assert answer.headers["content-type"].startswith("text/javascript")
            assert "immutable" in answer.headers["cache-control"]
            assert answer.read().decode() == module.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", ["000000000000/main.js", "{version}/../train_lora.js", "{version}/core",
                                  "{version}/x.js", "{version}/..%2f..%2fstyle.css", "{version}//etc/passwd.js",
                                  "{version}/main.js%00"])
def test_nothing_but_modules_of_this_version_is_served(webui, path):
    with pytest.raises(urllib.error.HTTPError) as refused:
        fetch(webui, "train-lora/js/" + path.format(version=modules_version()))
    assert 400 <= refused.value.code < 500


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


def _register():
    """The script as the webui runs it; its names."""
    script_callbacks.clear_callbacks()
    return runpy.run_path(str(SCRIPT))


def _broken(*_, **__):
    raise RuntimeError("gradio <6> has no such part")


@pytest.mark.parametrize("name", ["host_of_this_process", "build_tab"])
def test_whatever_fails_while_the_tab_is_built_is_shown_in_the_tab(webui, monkeypatch, capsys, name):
    _register()
    [callback] = script_callbacks.callback_map["ui_tabs"]
    monkeypatch.setitem(callback.__globals__, name, _broken)
    [(tab, title, element)] = callback()
    assert (title, element) == ("Train LoRA", "train_lora")
    shown = json.dumps(tab.get_config_file())
    assert "could not be loaded" in shown and "gradio &lt;6&gt; has no such part" in shown
    assert "gradio <6> has no such part" in capsys.readouterr().err


def test_a_form_that_cannot_be_read_is_shown_in_the_tab(webui, monkeypatch):
    _register()
    [callback] = script_callbacks.callback_map["ui_tabs"]
    monkeypatch.setattr("lib_lora_train.host.webui.Webui.txt2img_form", _broken)
    [(tab, _, _)] = callback()
    assert "could not be loaded" in json.dumps(tab.get_config_file())


def test_a_reforge_has_the_tab_and_the_tab_says_what_is_off(webui, monkeypatch):
    become(monkeypatch, REFORGE)
    try:
        webui.reload_ui()
        config = json.dumps(json.loads(fetch(webui, "config")))
        assert "Train LoRA" in tab_titles(webui) and "train_lora_root" in config
        assert "What is off in this webui" in config and "reads the checkpoint from its file" in config
        reported = json.loads(fetch(webui, "train-lora/host"))
        assert reported["name"].endswith("reForge or Forge Classic") and len(reported["limits"]) == 3
    finally:
        forget()


def test_where_axes_and_block_weights_cannot_be_connected_the_tab_is_there_and_says_so(webui, monkeypatch):
    monkeypatch.delattr(script_callbacks, "on_cfg_denoiser")
    _register()
    [(tab, _, _)] = script_callbacks.callback_map["ui_tabs"][0]()
    shown = json.dumps(tab.get_config_file())
    assert "train_lora_root" in shown and "are off (AttributeError" in shown


def test_where_the_axes_cannot_be_added_the_tab_is_there_and_says_so(webui, monkeypatch):
    monkeypatch.setattr("lib_lora_train.host.generation_hooks.add_axes", _broken)
    _register()
    for callback in script_callbacks.callback_map["before_ui"]:
        callback()
    [(tab, _, _)] = script_callbacks.callback_map["ui_tabs"][0]()
    shown = json.dumps(tab.get_config_file())
    assert "train_lora_root" in shown and "could not be added to this webui (RuntimeError" in shown
    for undo in script_callbacks.callback_map["script_unloaded"]:
        undo()


@pytest.mark.parametrize("name", ["register_routes", "build_services"])
def test_routes_that_cannot_be_served_are_answered_with_the_reason(webui, monkeypatch, name):
    _register()
    [started] = script_callbacks.callback_map["app_started"]
    monkeypatch.setitem(started.__globals__, name, _broken)
    app = FastAPI()
    started(object(), app)
    answer = TestClient(app).get("/train-lora/host")
    assert answer.status_code == 400
    assert "gradio <6> has no such part" in answer.json()["error"]
    assert TestClient(app).post("/train-lora/runs/x/stop", json={}).status_code == 400


def test_without_a_page_no_routes_are_served(webui, monkeypatch):
    script_callbacks.clear_callbacks()
    runpy.run_path(str(SCRIPT))
    [started] = script_callbacks.callback_map["app_started"]
    before = len(webui.app.routes)
    started(None, webui.app)
    assert len(webui.app.routes) == before


def test_the_script_does_nothing_but_register():
    assert len(Path(SCRIPT).read_text(encoding="utf-8").splitlines()) < 60
