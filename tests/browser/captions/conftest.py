"""The caption editor in a real browser: a dataset, the editor open on it, and what its tests wait for."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote_plus

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from ..conftest import MINI, POLLING, WIDTH, Desk, Tabs, eventually
from ..webui_process import WebuiProcess

PANEL = "#tl-panel-captions"
LEFT_AS_IT_WAS = """() => {
    for (const open of document.querySelectorAll("dialog[open]")) open.close();
    for (const toast of document.querySelectorAll(".tl-toast")) toast.remove();
    document.activeElement?.blur();
    TrainLora.form.set("dataset.activation_tag", "");
    const panel = document.querySelector("#tl-panel-captions");
    panel.querySelector('[data-view="pictures"]').click();
    const [usual, ...verbs] = panel.querySelectorAll("[data-verb]");
    for (const verb of [...verbs, usual]) {
        verb.click();
        for (const field of panel.querySelectorAll(".tl-action-fields :is(input, select)")) {
            if (field.matches("select")) field.selectedIndex = 0;
            else if (field.type === "checkbox") field.checked = false;
            else field.value = "";
        }
    }
    usual.click();
    localStorage.clear();
}"""
"""What a test may have left in the page, beside the set that it had open, is set back."""


@pytest.fixture(scope="session")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebuiProcess]:
    """One webui for all of these tests, since each has a set of its own."""
    served = WebuiProcess(tmp_path_factory.mktemp("webui"), ["--checkpoint", str(MINI), "--worker", "scripted"],
                          {"STANDIN_STEP_SECONDS": "0.05"}).start()
    yield served
    served.close()


@pytest.fixture(scope="session")
def desk(tabs: Tabs, webui: WebuiProcess) -> Desk:
    """One page in which each test opens a set of its own."""
    return Desk(tabs, webui, lambda page: page.locator("#tl-tab-captions").click(), LEFT_AS_IT_WAS)


@pytest.fixture
def folder(drawn: Path, tmp_path: Path) -> Path:
    """Forty pictures in two concepts: tags, prose, none, and two with the wrong colour of hair."""
    # with times of its own: with those of ``drawn``, it would pass for a folder of an earlier test that was moved here
    return Path(shutil.copytree(drawn, tmp_path / "penny", copy_function=shutil.copyfile))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``folder`` is a copy of."""
    place = tmp_path_factory.mktemp("drawn")
    for number in range(40):
        concept = place / ("2_penny" if number < 30 else "5_house")
        concept.mkdir(parents=True, exist_ok=True)
        size = (512, 512) if number % 4 else (512, 704)
        cells = np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(cells).resize(size, Image.Resampling.NEAREST).save(concept / f"{number:02}.png")
        tags = ["penny", "brown hair" if number in (3, 7) else "blonde hair", f"number {number}"]
        tags += ["boots", "red boots"] if number % 2 else ["hat"]
        (concept / f"{number:02}.txt").write_text(", ".join(tags))
    (place / "2_penny/05.txt").write_text("A photo of penny in a field of flowers.")
    (place / "2_penny/06.txt").unlink()
    return place


@pytest.fixture
def editor(request: pytest.FixtureRequest, webui: WebuiProcess, open_tab: Callable[..., Page], desk: Desk,
           folder: Path) -> Iterator[Callable[..., Page]]:
    """Opens the editor on ``folder`` and waits for the first thumbnails.

    ``own``: in a page of its own, for tests that leave the editor or mind what was done in the page before.
    """
    failed = request.session.testsfailed

    def open_it(own: bool = False, place: Path = folder, count: str = "40 images") -> Page:
        page = open_tab(webui) if own else desk.page()
        if own:
            page.locator("#tl-tab-captions").click()
        open_set(page, place, count)
        return page

    yield open_it
    assert desk.end(spoiled=request.session.testsfailed > failed) == []


def open_set(page: Page, folder: Path, count: str = "40 images") -> None:
    """Open the set and wait for the first of its thumbnails."""
    page.fill("#tl_captions_folder", str(folder))
    page.click("#tl_captions_open")
    page.locator(f'{PANEL} .tl-cell img[src*="folder={quote_plus(str(folder))}&"]').first.wait_for()
    wait_for_count(page, count)


def in_all_looks(page: Page) -> Iterator[tuple[str, int]]:
    """The page at each width in each theme; it ends at the usual ones."""
    for width in (800, WIDTH):
        page.set_viewport_size({"width": width, "height": 1000})
        for theme in ("dark", "light"):
            page.evaluate("theme => document.body.classList.toggle('dark', theme === 'dark')", theme)
            yield theme, width


def wait_for_count(page, words: str) -> None:
    page.wait_for_function("words => document.querySelector('.tl-capcount').textContent.startsWith(words)", arg=words,
                           polling=POLLING)


def caption(folder: Path, name: str) -> str:
    return next(folder.rglob(f"{name}.txt")).read_text()


def wait_for_caption(page, folder: Path, name: str, text: str) -> None:
    eventually(page, lambda: caption(folder, name), text)


def cell(page, name: str):
    return page.locator(f'{PANEL} .tl-cell:visible[aria-label^="{name}.png"]')


def choose(page, name: str) -> None:
    """Click a picture and wait until it is shown large."""
    cell(page, name).click()
    page.locator(f"{PANEL} .tl-capname", has_text=f"{name}.png").wait_for()
    page.locator(f"{PANEL} .tl-capbody").locator(".tl-chip:visible, textarea:visible").first.wait_for()


def wait_for_chips(page, *tags: str) -> None:
    expect(page.locator(f"{PANEL} .tl-chip-tag")).to_have_text(list(tags))


def toast(page, words: str) -> None:
    page.locator(".tl-toast", has_text=words).first.wait_for()
