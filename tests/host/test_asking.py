"""What a run is held for is said as the webui does it: the tab or the API, or what the tab of ours draws."""

from __future__ import annotations

import ast
import os
import threading
from pathlib import Path

import pytest
from modules import call_queue

from lib_lora_train.host.asking import _JOBS, asking_for
from lib_lora_train.host.guard import guard_of
from lib_lora_train.runs.hold import PLOT, WEBUI, Reason
from tests.host.sources import tree
from tests.standin.modules.fifo_lock import FIFOLock

SOMETHING = Reason(WEBUI, "the webui")


@pytest.fixture
def lock(monkeypatch) -> FIFOLock:
    """The webui's lock, with its guard."""
    monkeypatch.setattr(call_queue, "queue_lock", FIFOLock())
    guard_of(call_queue.queue_lock)
    return call_queue.queue_lock


def seen(lock: FIFOLock) -> Reason | None:
    return guard_of(lock).wanted


def test_a_free_lock_is_wanted_for_nothing(lock):
    assert seen(lock) is None
    with lock:
        assert seen(lock) == SOMETHING
    assert seen(lock) is None


@pytest.mark.parametrize(("name", "why"), [("txt2img", "an image in txt2img"), ("img2img", "an image in img2img"),
                                           ("run_postprocessing_webui", "an image in Extras"),
                                           ("reload", "the webui")])
def test_a_button_of_the_webui_is_named_by_its_tab(lock, name, why):
    def button():
        return seen(lock)

    button.__name__ = name
    assert call_queue.wrap_queued_call(button)() == Reason(WEBUI, why)


@pytest.mark.parametrize("name", ["text2imgapi", "img2imgapi", "extras_single_image_api"])
def test_a_route_of_the_api_is_named(lock, name):
    scope = {"lock": lock, "seen": seen}
    exec(f"def {name}():\n    with lock:\n        return seen(lock)", scope)
    assert scope[name]() == Reason(WEBUI, "an image through the API")


def test_what_we_draw_says_itself_why_and_only_in_its_own_thread(lock):
    others = []

    def elsewhere():
        with lock:
            others.append(seen(lock))

    with asking_for(Reason(PLOT, "a plot")):
        with lock:
            assert seen(lock) == Reason(PLOT, "a plot")
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join(20)
    assert others == [SOMETHING]


def test_whoever_waits_is_named_only_after_who_has_the_lock(lock):
    def second():
        with asking_for(Reason(PLOT, "a plot")), lock:
            order.append(seen(lock))

    order: list[Reason | None] = []
    thread = threading.Thread(target=second)
    with lock:
        thread.start()
        while len(guard_of(lock)._users) < 2:
            pass
        assert seen(lock) == SOMETHING
    thread.join(20)
    assert order == [Reason(PLOT, "a plot")] and seen(lock) is None


def test_a_lock_that_was_taken_before_there_was_a_guard_takes_nobodys_place():
    lock = FIFOLock()
    lock.acquire()
    guard = guard_of(lock)
    guard.come(SOMETHING)  # waits
    lock.release()
    assert guard.wanted == SOMETHING


@pytest.mark.skipif(not os.environ.get("WEBUI_ROOT"), reason="WEBUI_ROOT names no webui")
def test_the_real_webui_has_these_functions():
    root = Path(os.environ["WEBUI_ROOT"])
    files = ("txt2img", "img2img", "postprocessing", "api/api")
    names = {getattr(node, "name", "") for file in files for node in ast.walk(tree(root, f"modules/{file}.py"))}
    assert set(_JOBS) <= names

