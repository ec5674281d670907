"""TensorBoard on a click: with a stand-in of its module, which is not installed in the webui's Python."""

from __future__ import annotations

import socket
import sys
import urllib.request

import psutil
import pytest

from lib_lora_train.errors import RunError
from lib_lora_train.ui.runs.finished import tensorboard
from lib_lora_train.ui.runs.finished.tensorboard import TensorBoard

SERVES = """
import http.server, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(given["--logdir"].encode())
http.server.HTTPServer((given["--host"], int(given["--port"])), Page).serve_forever()
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a module ``tensorboard`` with the given ``main``."""
    def install(main):
        package = tmp_path / "site" / "tensorboard"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "main.py").write_text(main)
        monkeypatch.syspath_prepend(str(package.parent))
        monkeypatch.setenv("PYTHONPATH", str(package.parent))
        monkeypatch.setattr(tensorboard, "_installed", lambda: True)
    yield install
    sys.modules.pop("tensorboard", None)


def test_it_serves_the_runs_on_this_machine_only_and_ends(installed, tmp_path):
    installed(SERVES)
    board = TensorBoard(tmp_path / "runs")
    address = board.start().address
    try:
        assert address.startswith("http://127.0.0.1:")
        assert urllib.request.urlopen(address).read().decode() == str(tmp_path / "runs")
        assert board.start().address == address  # once
        child = psutil.Process(board._process.pid)
        assert {connection.laddr.ip for connection in child.connections()} <= {"127.0.0.1"}
    finally:
        board.close()
    assert board.state().address == "" and not child.is_running()
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", int(address.split(":")[2][:-1])), timeout=1):
        pass


def test_what_it_says_when_it_fails_is_shown(installed, tmp_path):
    installed("raise SystemExit('no room for curves')")
    with pytest.raises(RunError, match="no room for curves"):
        TensorBoard(tmp_path).start()


def test_without_it_the_answer_says_how_and_nothing_is_installed(tab, monkeypatch):
    monkeypatch.setattr(tensorboard, "_installed", lambda: False)
    monkeypatch.setattr("lib_lora_train.ui.runs.finished.routes.is_local", lambda request: True)
    monkeypatch.setattr(tensorboard, "start_with_parent", lambda *given: pytest.fail("something was started"))
    answer = tab.post("tensorboard")
    assert answer.status_code == 400 and "pip install tensorboard" in answer.json()["error"]
    assert str(tab.services.runs_dir) in answer.json()["error"]


def test_another_machine_cannot_start_it(tab, monkeypatch):
    monkeypatch.setattr(tensorboard, "_installed", lambda: True)
    monkeypatch.setattr(tensorboard, "start_with_parent", lambda *given: pytest.fail("something was started"))
    headers = {"X-Train-Lora": "1", "x-forwarded-for": "1.2.3.4"}
    answer = tab.client.post("/train-lora/tensorboard", json={}, headers=headers)
    assert answer.status_code == 400 and "this machine" in answer.json()["error"]
