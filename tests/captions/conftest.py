"""The caption editor's routes on gradio's own application, as the webui serves them.

gradio is imported by the first test that asks for a tab: kills fork the process, which takes twice as long with it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .sets import make_set

if TYPE_CHECKING:
    from tests.ui.conftest import Maker, Tab

CAPTIONS = {
    "a.png": "penny, red boots, boots, hat",
    "b.png": "penny, hat",
    "c.png": "A girl walks over a field.",
    "d.png": None,
    "2_cat/e.png": "penny, cat",
}


@dataclass
class Dataset:
    """A dataset that is open in the editor; ``ask`` posts to one of its routes."""

    tab: Tab
    folder: Path
    session: str = ""

    def open(self, **settings: Any) -> dict[str, Any]:
        answer = self.tab.post("captions/open", {"folder": str(self.folder), "settings": settings})
        assert answer.status_code == 200, answer.text
        self.session = answer.json()["session"]
        return answer.json()

    def ask(self, route: str, **body: Any) -> Any:
        return self.tab.post(f"captions/{route}", {"folder": str(self.folder), "session": self.session, **body})

    def get(self, route: str, **body: Any) -> dict[str, Any]:
        answer = self.ask(route, **body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def numbers(self, *names: str) -> list[int]:
        found = self.get("cells", numbers=self.get("view")["numbers"])["cells"]
        by_path = {cell["path"]: cell["number"] for cell in found}
        return [by_path[name] for name in names]

    def shown(self, **view: Any) -> list[str]:
        numbers = self.get("view", **view)["numbers"]
        return [cell["path"] for cell in self.get("cells", numbers=numbers)["cells"]]

    def apply(self, kind: str, numbers: list[int] | None = None, text: str = "", **operation: Any) -> dict[str, Any]:
        return self.get("apply", operation={"kind": kind, **operation}, numbers=numbers, filter=text)


@pytest.fixture
def make_tab(tmp_path: Path) -> Iterator[Maker]:
    """As in ``tests/ui``."""
    from tests.ui.conftest import tabs_in

    with tabs_in(tmp_path) as make:
        yield make


@pytest.fixture
def tab(make_tab: Maker) -> Tab:
    """As in ``tests/ui``."""
    return make_tab()


@pytest.fixture
def dataset(tab: Tab, tmp_path: Path) -> Dataset:
    """Five pictures with captions of all kinds, open in the editor."""
    found = Dataset(tab, make_set(tmp_path / "set", CAPTIONS))
    found.open()
    return found


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in memory. A kill leaves what is there as it is, so nothing has to wait for a disk."""
    monkeypatch.setattr("lib_lora_train.files.swap._REUSED_AFTER_SECONDS", -1.0)
    monkeypatch.setattr(os, "sync", lambda: None)
    found = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)).resolve()
    yield found
    shutil.rmtree(found)
