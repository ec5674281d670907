"""The caption editor in a real browser: a dataset, the editor open on it, and what its tests wait for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from ..conftest import eventually

PANEL = "#tl-panel-captions"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty pictures in two concepts: tags, prose, none, and two with the wrong colour of hair."""
    place = tmp_path / "penny"
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
def editor(webui, open_tab, folder) -> Callable:
    """Opens the editor on ``folder`` and waits for the first thumbnails."""
    def open_it(**options):
        page = open_tab(webui, **options)
        page.locator("#tl-tab-captions").click()
        page.fill("#tl_captions_folder", str(folder))
        page.click("#tl_captions_open")
        page.locator(f"{PANEL} .tl-cell img[src]").first.wait_for()
        wait_for_count(page, "40 images")
        return page

    return open_it


def wait_for_count(page, words: str) -> None:
    page.wait_for_function("words => document.querySelector('.tl-capcount').textContent.startsWith(words)", arg=words)


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
