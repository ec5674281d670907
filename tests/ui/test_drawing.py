"""One queue for all that the webui draws for the tab: turns, cancelling, errors, progress, and a reload of the UI."""

from __future__ import annotations

import threading

import pytest
from modules import call_queue

from lib_lora_train.errors import RunError
from lib_lora_train.ui.drawing import DrawingService

from .conftest import wait_until


class Drawer:
    """A webui's drawer that notes that it was stopped."""

    def __init__(self):
        self.stopped, self.share = threading.Event(), 0.5

    def stop(self):
        self.stopped.set()

    def share_of_picture(self):
        return self.share


class Pictures:
    """Draws ``total`` pictures, one a turn; waits at each until it is let go, and fails where it should."""

    kind, run = "plot", "penny"

    def __init__(self, log, name, total, *, gated=False, fails=None):
        self.log, self.title, self.total, self.done = log, name, total, 0
        self.gate, self.gated, self.fails = threading.Semaphore(0), gated, fails
        self.ended = None

    def draw(self, drawer, drawn):
        self.log.append(f"{self.title}{self.done + 1}")
        self.drawer = drawer
        while self.gated and not self.gate.acquire(timeout=0.01) and not drawer.stopped.is_set():
            pass
        if drawer.stopped.is_set():
            return False
        if self.fails is not None:
            raise self.fails
        self.done += 1
        drawn()
        return self.done < self.total

    def end(self, problem, *, cancelled):
        self.ended = problem, cancelled


@pytest.fixture
def service():
    service = DrawingService(Drawer)
    yield service
    service.close()
    service.join(20)
    assert not service.is_alive()


@pytest.fixture
def log():
    return []


def finished(*drawings):
    wait_until(lambda: all(drawing.ended is not None for drawing in drawings), 20)


def test_drawings_take_turns_picture_by_picture(service, log):
    a, b = Pictures(log, "a", 3), Pictures(log, "b", 2)
    service.submit(a)
    service.submit(b)
    service.start()
    finished(a, b)
    assert log == ["a1", "b1", "a2", "b2", "a3"] and (a.ended, b.ended) == (("", False), ("", False))
    wait_until(lambda: service.queue() == [], 20)


def test_the_background_has_a_turn_between_two_others(service, log):
    strips = [Pictures(log, "s", 1) for _ in range(2)]
    left = list(strips)
    service.draw_between(type("Background", (), {
        "next_drawing": lambda self: (left.pop(0), 0.0) if left else (None, None)})())
    a = Pictures(log, "a", 3)
    service.submit(a)
    service.start()
    finished(a, *strips)
    assert log == ["s1", "a1", "s1", "a2", "a3"]


def test_a_background_that_fails_keeps_nothing_else_from_being_drawn(service, log, monkeypatch):
    monkeypatch.setattr("lib_lora_train.ui.drawing._TRY_AGAIN_SECONDS", 0.01)

    def fails(self):
        raise OSError("No space left on device")

    service.draw_between(type("Background", (), {"next_drawing": fails})())
    a = Pictures(log, "a", 2)
    service.submit(a)
    service.start()
    finished(a)
    assert a.done == 2


def test_the_queue_says_what_is_drawn_what_waits_and_how_long_it_takes(service, log):
    a, b = Pictures(log, "a", 2, gated=True), Pictures(log, "b", 1, gated=True)
    ids = [service.submit(a), service.submit(b)]
    service.start()
    wait_until(lambda: log == ["a1"], 20)
    first, second = service.queue()
    assert [first["id"], second["id"]] == ids
    assert (first["state"], first["done"], first["total"], first["share"]) == ("drawing", 0, 2, 0.25)
    assert first["seconds_left"] is None and (second["state"], second["title"]) == ("queued", "b")
    a.drawer.share = None
    assert service.queue()[0]["state"] == "waiting"
    a.gate.release()
    wait_until(lambda: log == ["a1", "b1"], 20)
    assert service.facts_of(a)["seconds_left"] > 0 and service.facts_of(a)["state"] == "queued"
    b.gate.release()
    a.gate.release()
    finished(a, b)
    assert service.facts_of(a) is None


def test_what_waits_and_what_is_drawn_are_cancelled_in_the_same_way(service, log):
    now, waits, stays = (Pictures(log, name, 2, gated=True) for name in ("a", "b", "c"))
    ids = [service.submit(drawing) for drawing in (now, waits, stays)]
    service.start()
    wait_until(lambda: log == ["a1"], 20)
    assert service.cancel(lambda drawing, entry_id: entry_id in ids[:2]) == 2
    finished(now, waits)
    assert now.ended == waits.ended == ("", True) and "b1" not in log
    assert service.cancel(lambda drawing, entry_id: entry_id in ids[:2]) == 0
    stays.gate.release(2)
    finished(stays)
    assert stays.ended == ("", False)


@pytest.mark.parametrize(("fails", "says"), [
    (RunError("The webui has no script X/Y/Z plot."), "The webui has no script X/Y/Z plot."),
    (ValueError("bad size"), "The webui could not generate it: ValueError: bad size. Its console says more."),
    (MemoryError("4 GB"), "The webui could not generate it: MemoryError: 4 GB. Its console says more.")])
def test_an_error_ends_one_drawing_with_a_sentence_and_the_next_is_drawn(service, log, fails, says):
    bad, good = Pictures(log, "a", 2, fails=fails), Pictures(log, "b", 1)
    service.submit(bad)
    service.submit(good)
    service.start()
    finished(bad, good)
    assert bad.ended == (says, False) and good.ended == ("", False)


def test_a_drawing_that_cannot_even_end_does_not_end_the_thread(service, log):
    bad, good = Pictures(log, "a", 1), Pictures(log, "b", 1)

    def end(problem, *, cancelled):
        raise OSError("No space left on device")

    bad.end = end
    service.submit(bad)
    service.submit(good)
    service.start()
    finished(good)


def test_where_nothing_can_be_drawn_it_is_refused():
    with pytest.raises(RunError, match="Only AUTOMATIC1111's webui"):
        DrawingService(lambda: None).submit(Pictures([], "a", 1))


@pytest.fixture
def tested(tab, webui_scripts, finished_run):
    """A tab with a run that has files to test."""
    tab.run = finished_run(tab)
    return tab


def plot(tab):
    answer = tab.post(f"runs/{tab.run}/plots", {"kind": "epochs", "files": ["penny"], "prompts": ["penny"],
                                                "sampler": "Euler", "steps": 2, "cfg_scale": 3, "width": 64,
                                                "height": 64, "seed": 1})
    assert answer.status_code == 200, answer.text
    return answer.json()


def plots(tab):
    return {one["id"]: one["state"] for one in tab.get(f"runs/{tab.run}/plots").json()["plots"]}


def test_two_plots_and_regularization_pictures_wait_in_one_queue_and_all_are_drawn(tested):
    with call_queue.queue_lock:
        first, second = plot(tested), plot(tested)
        assert tested.post("regularization", {"job": tested.job()}).status_code == 200
        queue = tested.get("drawings").json()["queue"]
        assert [entry["kind"] for entry in queue] == ["plot", "plot", "regularization"]
        assert [entry["state"] for entry in queue][1:] == ["queued", "queued"]
        assert queue[0]["state"] in ("waiting", "queued") and queue[0]["run"] == tested.run
    wait_until(lambda: tested.get("drawings").json()["queue"] == [])
    assert plots(tested) == {first["id"]: "finished", second["id"]: "finished"}
    assert tested.get("regularization").json()["state"] == "finished"


def test_a_plot_is_cancelled_by_its_id_whether_it_waits_or_is_drawn(tested):
    with call_queue.queue_lock:
        first, second = plot(tested), plot(tested)
        ids = [entry["id"] for entry in tested.get("drawings").json()["queue"]]
        for drawing in reversed(ids):
            tested.post(f"drawings/{drawing}/cancel")
        assert tested.post("drawings/nothing/cancel").status_code == 200
    wait_until(lambda: tested.get("drawings").json()["queue"] == [])
    assert plots(tested) == {first["id"]: "stopped", second["id"]: "stopped"}


def test_what_is_queued_outlives_a_reload_of_the_ui(tested, make_tab):
    with call_queue.queue_lock:
        asked = plot(tested)
        after = make_tab()
        assert [entry["run"] for entry in after.get("drawings").json()["queue"]] == [tested.run]
    wait_until(lambda: after.get("drawings").json()["queue"] == [])
    assert plots(tested) == {asked["id"]: "finished"}


def test_cancelling_a_picture_of_the_strip_switches_the_strip_off(tested):
    with call_queue.queue_lock:
        tested.post(f"runs/{tested.run}/strip", {"on": True, "prompts": ["penny"]})
        entry = wait_until(lambda: next(iter(tested.get("drawings").json()["queue"]), None))
        assert entry["kind"] == "strip"
        tested.post(f"drawings/{entry['id']}/cancel")
    wait_until(lambda: not tested.get(f"runs/{tested.run}/strip").json()["on"])
    assert tested.get(f"runs/{tested.run}/strip").json()["error"] == ""
