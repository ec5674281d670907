"""A real Chromium on a served stand-in webui with real gradio."""

from __future__ import annotations

import io
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.run import BROWSERS

from .webui_process import ROOT, WebuiProcess

MINI = ROOT / "demo" / "mini_sd15.safetensors"
WAIT_SECONDS = 120
WIDTH = 1400
POLLING = 100
"""Milliseconds between two looks of ``wait_for_function``, which by itself looks, and draws, sixty times a second."""
PROMPTS = "penny smiling\npenny, from behind"
MODULES = ["captions/tagging.js", "core/dom.js", "core/host.js", "core/shell.js", "core/txt2img_form.js",
           "runs/model.js", "runs/watch.js", "testing/block_sliders.js", "train/form.js", "train/plan.js",
           "train/train.js"]
"""Those that tests ask, as ``TrainLora``: reaching all of them takes a twentieth of the time of a page."""
PAGE_CHECKS = Path(__file__).with_name("page_checks.js").read_text(encoding="utf-8")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
# Only this machine is reached: no fonts, no telemetry. A rule of Chromium's own, since requests that Playwright
# intercepts are answered only while the test is inside one of its calls.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]

expect.set_options(timeout=1000 * WAIT_SECONDS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=1000 * WAIT_SECONDS)
        yield chromium
        chromium.close()


@pytest.fixture
def make_webui(tmp_path: Path) -> Iterator[Callable[..., WebuiProcess]]:
    """Starts webuis; ``step_seconds`` is how long a step of the scripted worker takes."""
    started: list[WebuiProcess] = []

    def make(*arguments: str, step_seconds: float = 0.02, **variables: str) -> WebuiProcess:
        webui = WebuiProcess(tmp_path / "data", ["--checkpoint", str(MINI), "--worker", "scripted", *arguments],
                             {"STANDIN_STEP_SECONDS": str(step_seconds), **variables})
        started.append(webui)
        return webui.start()

    yield make
    for webui in started:
        webui.close()


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebuiProcess]:
    """One webui for all tests of a file that do not mind what others trained in it."""
    served = WebuiProcess(tmp_path_factory.mktemp("webui"), ["--checkpoint", str(MINI), "--worker", "scripted"],
                          {"STANDIN_STEP_SECONDS": "0.01"}).start()
    yield served
    served.close()


NOTHING_STORED = """() => {
    try {
        localStorage.clear();
        Storage.prototype.setItem = () => {};  // nothing is stored until the page is left
        return true;
    } catch {
        return false;  // a page that was not answered has no store
    }
}"""


class Tabs:
    """Pages in contexts of their own, used again: a new one costs five times the processor time of a reload."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._idle: list[Page] = []
        self._errors: dict[Page, list[str]] = {}

    def take(self, errors: list[str], width: int) -> Page:
        """A page that has nothing stored."""
        page = self._idle.pop() if self._idle else self._new()
        page.set_default_timeout(1000 * WAIT_SECONDS)
        page.set_viewport_size({"width": width, "height": 1000})
        self._errors[page] = errors
        return page

    def give_back(self, page: Page, again: bool = True) -> None:
        """End what is shown; the page is used ``again`` or closed."""
        self._errors[page] = []  # what is interrupted now is no error of the page
        if not again or page.is_closed():
            page.context.close()
            return
        page.unroute_all()
        page.mouse.move(0, 0)
        if not page.evaluate(NOTHING_STORED):
            page.context.close()
            return
        page.goto("about:blank")
        page.context.clear_cookies()
        self._idle.append(page)

    def _new(self) -> Page:
        page = self._browser.new_context().new_page()
        page.add_init_script(PAGE_CHECKS)
        page.on("pageerror", lambda error: self._errors[page].append(str(error)))
        return page


@pytest.fixture(scope="session")
def tabs(browser: Browser) -> Tabs:
    return Tabs(browser)


@pytest.fixture
def open_tab(tabs: Tabs) -> Iterator[Callable[..., Page]]:
    """Opens the Train LoRA tab in a browser of its own; fails the test if the page has an error."""
    pages: list[Page] = []
    errors: list[str] = []

    def open_it(webui: WebuiProcess, theme: str = "light", width: int = WIDTH) -> Page:
        page = tabs.take(errors, width)
        pages.append(page)
        page.goto(f"{webui.url}?__theme={theme}", wait_until="domcontentloaded")
        go_to_tab(page)
        return page

    yield open_it
    for page in pages:
        tabs.give_back(page)
    assert errors == []


class Desk:
    """One page for test after test, set back in between: loading a page takes longer than most of these tests."""

    def __init__(self, tabs: Tabs, webui: WebuiProcess, opened: Callable[[Page], None], set_back: str) -> None:
        self._tabs, self._webui, self._opened, self._set_back = tabs, webui, opened, set_back
        self._page: Page | None = None
        self._errors: list[str] = []

    def page(self) -> Page:
        """The page, as ``opened`` leaves it or ``set_back``, a function in the page, after another test."""
        if self._page is not None:
            self._page.unroute_all()
            self._page.mouse.move(0, 0)
            look_as(self._page, "light", WIDTH)
            self._page.evaluate(self._set_back)
            return self._page
        self._page = self._tabs.take(self._errors, WIDTH)
        self._page.goto(f"{self._webui.url}?__theme=light", wait_until="domcontentloaded")
        go_to_tab(self._page)
        self._opened(self._page)
        return self._page

    def end(self, spoiled: bool) -> list[str]:
        """The errors of the page since the last test; it is closed after one, and if a test has ``spoiled`` it."""
        errors, self._errors[:] = self._errors.copy(), []
        if self._page is not None and (errors or spoiled):
            self._tabs.give_back(self._page, again=False)
            self._page = None
        return errors

    def leave(self) -> None:
        """Give the page back, for another webui."""
        if self._page is not None:
            self._tabs.give_back(self._page)
            self._page = None


@pytest.fixture(scope="module")
def train_desk(tabs: Tabs, webui: WebuiProcess) -> Iterator[Desk]:
    desk = Desk(tabs, webui, lambda page: page.evaluate("noteFolds()"), "emptyForm()")
    yield desk
    desk.leave()


@pytest.fixture
def page(request: pytest.FixtureRequest, train_desk: Desk) -> Iterator[Page]:
    """The sub-tab Train with an empty form, in the page of the tests before.

    Tests that leave that tab's form or folder, reload, or look at a run have ``open_tab``.
    """
    failed = request.session.testsfailed
    yield train_desk.page()
    assert train_desk.end(spoiled=request.session.testsfailed > failed) == []


def go_to_tab(page: Page) -> None:
    """Click the webui's own tab and wait until ours is built."""
    page.locator("#tabs > .tab-nav button", has_text="Train LoRA").click()
    page.locator("#tl_settings").wait_for()
    page.evaluate("modules => reachModules(modules)", MODULES)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Eight pictures in two shapes, seven of them with a caption, and two files that cannot be used."""
    return draw_pictures(tmp_path / "penny")


@pytest.fixture(scope="module")
def finished_webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebuiProcess]:
    """A webui with a finished run of three epochs, for tests that only look at it."""
    folder = draw_pictures(tmp_path_factory.mktemp("finished") / "penny")
    webui = WebuiProcess(folder.parent / "data", ["--checkpoint", str(MINI), "--worker", "scripted"],
                         {"STANDIN_STEP_SECONDS": "0"}).start()
    train(webui, {"dataset": {"train_data_dir": str(folder), "activation_tag": "penny"},
                  "network": {"network_dim": 48}, "save": {"output_name": "penny"},
                  "training": {"max_train_epochs": 3}, "sample": {"sample_prompts": PROMPTS.split("\n")}})
    yield webui
    webui.close()


@pytest.fixture
def finished(finished_webui: WebuiProcess, open_tab: Callable[..., Page]) -> Page:
    """A page that shows that run."""
    page = open_tab(finished_webui)
    page.evaluate("id => TrainLora.showRun(id)", finished_webui.get("runs")[0]["id"])
    wait_for_state(page, "Finished")
    return page


def train(webui: WebuiProcess, job: Mapping[str, Any]) -> None:
    """Train ``job`` in a webui that has no other run, and wait until it is finished."""
    webui.post("runs", {"job": job})
    deadline = time.monotonic() + WAIT_SECONDS
    while webui.get("runs")[0]["state"] != "finished" and time.monotonic() < deadline:
        time.sleep(0.1)


def draw_pictures(folder: Path) -> Path:
    """``folder``, made as ``pictures`` says."""
    folder.mkdir()
    for number in range(8):
        size = (96, 96) if number < 5 else (64, 128)
        Image.new("RGB", size, (30 * number, 90, 200 - 20 * number)).save(folder / f"{number}.png")
        if number:
            (folder / f"{number}.txt").write_text(f"penny, smiling, number {number}", encoding="utf-8")
    (folder / "moving.gif").write_bytes(animated_gif())
    (folder / "notes.psd").write_bytes(b"8BPS")
    return folder


def animated_gif() -> bytes:
    frames = [Image.new("P", (32, 32), shade) for shade in (0, 200)]
    data = io.BytesIO()
    frames[0].save(data, "GIF", save_all=True, append_images=frames[1:])
    return data.getvalue()


def look_as(page: Page, theme: str, width: int) -> None:
    """Show the open page in ``theme``, as gradio switches it, and ``width`` pixels wide, at once."""
    page.set_viewport_size({"width": width, "height": 1000})
    page.evaluate("""dark => {
        document.body.classList.toggle("dark", dark);
        document.getAnimations().filter((one) => one instanceof CSSTransition).forEach((one) => one.finish());
    }""", theme == "dark")


def fill_in(page: Page, folder: Path, **settings: str) -> None:
    """Point at ``folder`` and look; ``settings`` are typed into the fields of that name."""
    page.fill("#tl_dataset_folder", str(folder))
    page.click("#tl_dataset_load")
    page.locator(".tl-stat").first.wait_for()
    for name, value in settings.items():
        field(page, name).fill(value)


def field(page: Page, name: str) -> Any:
    """The control of the setting ``name``."""
    control = page.locator(f'#tl-panel-train .tl-field[data-key$=".{name}"]').locator("input, select, textarea").first
    control.wait_for(state="attached")
    if not control.is_visible():
        section = page.locator(f'#tl-panel-train .tl-section-body:has(.tl-field[data-key$=".{name}"])')
        section.locator("details").first.evaluate("fold => { fold.open = true }")
        without_effect = section.get_by_role("button", name="no effect here")
        # at once, since an answer of the server may show the field and take the button away meanwhile
        eventually(page, lambda: control.is_visible() or without_effect.evaluate_all(
            "buttons => buttons.filter((one) => one.checkVisibility()).forEach((one) => one.click())"), True)
    control.wait_for()
    return control


def unfold(page: Page) -> None:
    """Open every section of the settings."""
    page.evaluate("""document.querySelectorAll("#tl-panel-train .tl-section-body > details").forEach(
        (fold) => { fold.open = true })""")


def start(page: Page) -> None:
    """Press Train and wait for the first steps in the plot."""
    ready(page)
    page.click("#tl_train")
    page.locator("#tl-panel-train .tl-line-smooth").wait_for()


def ready(page: Page) -> None:
    """Wait until the server has judged the form."""
    page.wait_for_function("""() => document.querySelector(".tl-action-sentence").textContent.startsWith("Ready")""",
                           polling=POLLING)


def steps_drawn(page: Page, panel: str = "train") -> int:
    """The last step that the plot shows, as it is read out to people who cannot see it."""
    label = page.locator(f"#tl-panel-{panel} .tl-plot").first.get_attribute("aria-label") or ""
    match = re.search(r"at step (\d+)", label)
    return int(match[1]) if match else 0


def wait_for_more_steps(page: Page, than: int, panel: str = "train") -> int:
    page.wait_for_function("""([panel, than]) => {
        const label = document.querySelector(`#tl-panel-${panel} .tl-plot`).getAttribute("aria-label") || "";
        const match = label.match(/at step (\\d+)/);
        return match && Number(match[1]) > than;
    }""", arg=[panel, than], polling=POLLING)
    return steps_drawn(page, panel)


REFUSED = "The disk is not there."


def refuse(page: Page, *routes: str) -> None:
    """Let requests to ``routes``, each with its query, fail with the server's sentence."""
    for route in routes:
        page.route(f"**/train-lora/{route}", lambda request: request.fulfill(
            status=503, json={"error": REFUSED, "problems": []}))


def refused(page: Page, *subjects: str, within: str = "#train_lora_root") -> None:
    """Wait until it says of each of the ``subjects`` that it cannot be read, and why."""
    for subject in subjects:
        text = f"{subject} cannot be read: {REFUSED}"
        page.locator(f"{within} .tl-again", has_text=text).first.wait_for(state="attached")


def try_again(page: Page, within: str = "#train_lora_root") -> None:
    """Let requests through again, and press every button that says so; what they bring takes their place."""
    page.unroute_all()
    page.locator(f"{within} .tl-again button").evaluate_all("buttons => buttons.forEach((one) => one.click())")
    expect(page.locator(f"{within} .tl-again")).to_have_count(0)


def eventually(page: Page, ask: Callable[[], Any], expected: Any) -> None:
    """Ask until the answer is ``expected``; the page goes on meanwhile, which it may not with ``time.sleep``."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (found := ask()) != expected and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert found == expected


def evaluates(page: Page, expression: str, expected: Any) -> None:
    """Wait until ``expression`` is ``expected`` in the page."""
    eventually(page, lambda: page.evaluate(expression), expected)


def wait_for_state(page: Page, words: str, panel: str = "train") -> None:
    """Wait until the badge of the shown run says ``words``."""
    page.locator(f"#tl-panel-{panel} .tl-run-title .tl-badge", has_text=re.compile(f"^{words}$")).wait_for()
