"""The tab's routes on gradio's own application, with the stand-in webui behind them and a scripted worker."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.standin.environments import ReadyEnvironment
from tests.standin.forked_workers import forked_workers
from tests.standin.routes import application, routes_read_once
from tests.standin.webui import Options, configure, use_standin_modules

use_standin_modules()

from lib_lora_train.host.webui import Webui  # noqa: E402  # it imports the stand-in's modules
from lib_lora_train.ui.captions.background import BACKGROUND  # noqa: E402
from lib_lora_train.ui.routes import register_routes  # noqa: E402
from lib_lora_train.ui.services import Services, build_services  # noqa: E402

HEADERS = {"X-Train-Lora": "1"}


def painted(prompt: str, seed: int, checkpoint: str = "") -> tuple[int, int, int]:
    """The colour in which the stand-in paints a picture."""
    digest = zlib.crc32(f"{prompt}|{seed}|{checkpoint}".encode())
    return digest & 255, digest >> 8 & 255, digest >> 16 & 255


@dataclass
class Tab:
    """A started tab: its client, its services and its folders."""

    client: TestClient
    services: Services
    data: Path
    dataset: Path

    def get(self, route: str, **query: Any) -> Any:
        return self.client.get(f"/train-lora/{route}", params=query)

    def post(self, path: str, body: Any = None) -> Any:
        return self.client.post(f"/train-lora/{path}", json=body if body is not None else {}, headers=HEADERS)

    def job(self, name: str = "penny", **training: Any) -> dict[str, Any]:
        """What the form would send for a short run."""
        return {"dataset": {"train_data_dir": str(self.dataset), "activation_tag": "penny"},
                "save": {"output_name": name}, "training": {"max_train_epochs": 3, **training},
                "sample": {"sample_prompts": ["penny smiling"]}}

    def start(self, name: str = "penny", **training: Any) -> str:
        answer = self.post("runs", {"job": self.job(name, **training)})
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    def wait_for(self, run_id: str, *states: str, seconds: float = 240) -> dict[str, Any]:
        """The run once it is in one of ``states``, asked for as the page does: only for what is new."""
        known = 0

        def reached() -> Any:
            nonlocal known
            since, run = known, self.get(f"runs/{run_id}", since=known).json()
            known = run["offset"]
            if run["state"] in states and since:
                run = self.get(f"runs/{run_id}").json()
            return run["state"] in states and run

        return wait_until(reached, seconds)


def wait_until(condition: Callable[[], Any], seconds: float = 240) -> Any:
    """The first true answer of ``condition``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"{condition} stayed false for {seconds} s")


Maker = Callable[..., Tab]


@contextlib.contextmanager
def tabs_in(folder: Path) -> Iterator[Maker]:
    """Starts tabs with their data in ``folder``, and ends what runs in them; see ``make_tab``."""
    tabs: list[Tab] = []

    def make(variables: dict[str, str] | None = None, **options: Any) -> Tab:
        checkpoint = folder / "data" / "models" / "Stable-diffusion" / "mini.safetensors"
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.touch()
        given = {"data_dir": folder / "data", "port": 0, "checkpoints": (checkpoint,), **options}
        configure(Options(**given))
        app = application(options.get("auth"))
        services = build_services(Webui(), ReadyEnvironment(variables=variables))
        with routes_read_once():
            register_routes(app, services)
        client = TestClient(app, base_url="http://127.0.0.1:7860")
        client.portal = portal
        tab = Tab(client, services, folder / "data", make_dataset(folder / "pictures"))
        tabs.append(tab)
        return tab

    # One event loop for all requests, as in a webui: otherwise the client makes one, and its threads, for each
    with forked_workers(), anyio.from_thread.start_blocking_portal() as portal:
        yield make
        close_all(tabs)


def close_all(tabs: list[Tab]) -> None:
    """End what runs in them."""
    for tab in tabs:
        for run in tab.services.index.all():
            if run.alive or (run.state == "waiting" and run.device is not None):
                tab.post(f"runs/{run.id}/control", {"action": "stop"})
                tab.wait_for(run.id, "stopped", "finished", "failed", "lost")
        tab.services.finished.close()
        tab.services.supervisor.close()
        tab.services.drawings.close()
        tab.services.supervisor.join(60)
        tab.services.drawings.join(60)
    end_editors()


def end_editors() -> None:
    """End what caption editors do in the background: their folders are about to be removed."""
    for thread in threading.enumerate():
        if thread.name == BACKGROUND:
            if isinstance(thread, threading.Timer):
                thread.cancel()
            thread.join(60)


@pytest.fixture
def make_tab(tmp_path: Path) -> Iterator[Maker]:
    """Starts tabs; keywords are the stand-in's ``Options``, ``variables`` are the worker's."""
    with tabs_in(tmp_path) as make:
        yield make


@pytest.fixture
def tab(make_tab: Maker) -> Tab:
    """A tab with nothing special about it."""
    return make_tab()


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Tab], str]:
    """Puts a run of three epochs that has finished into a tab, without training it again each time."""
    first = tmp_path_factory.mktemp("finished")
    with tabs_in(first) as make:
        tab = make()
        run_id = tab.start("penny")
        tab.wait_for(run_id, "finished")

    def put(other: Tab) -> str:
        runs = other.services.runs_dir
        shutil.copytree(tab.data / "models" / "Lora", other.data / "models" / "Lora", dirs_exist_ok=True)
        run = Path(shutil.copytree(tab.services.runs_dir / run_id, runs.with_name("being copied") / run_id))
        for file in (path for path in run.rglob("*") if path.suffix in (".jsonl", ".json", ".yaml")):
            text = file.read_text(encoding="utf-8").replace(str(first), str(other.data.parent))
            file.write_text(text, encoding="utf-8")
        runs.mkdir(parents=True, exist_ok=True)
        run.rename(runs / run_id)  # as a whole: the tab's supervisor reads every run that is there, at any moment
        return run_id

    return put


def make_dataset(folder: Path, count: int = 4) -> Path:
    """Pictures with captions."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        Image.new("RGB", (96, 64 + 16 * number), (number * 40, 90, 120)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"penny, smiling, number {number}", encoding="utf-8")
    return folder


@pytest.fixture
def webui_scripts():
    """The webui's scripts with our axes, as after the UI was built."""
    import networks
    from modules import scripts

    from lib_lora_train.blocks.presets import DEFAULT_TEXT, parse_presets
    from lib_lora_train.host.xyz_axes import add_axes

    scripts.load_scripts()
    add_axes(scripts.scripts_data, networks, lambda: parse_presets(DEFAULT_TEXT)[0])
    scripts.scripts_txt2img.initialize_scripts(is_img2img=False)


class HeldUp:
    """The webui's drawing, which waits at a picture whose prompt has ``words`` until it is let ``go``."""

    def __init__(self, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from modules import processing

        original, self._reached, self._go = processing.process_images, threading.Event(), threading.Event()

        def slow(asked: Any) -> Any:
            if words in asked.prompt:
                self._reached.set()
                assert self._go.wait(240)
            return original(asked)

        monkeypatch.setattr(processing, "process_images", slow)

    def wait(self) -> None:
        """Until that picture is being drawn."""
        assert self._reached.wait(240)

    def go(self) -> None:
        """Let it be drawn."""
        self._go.set()
