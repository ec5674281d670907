"""When the action for the end of the queue is due, on a clock of the test's own."""

from __future__ import annotations

import sys

import pytest

from lib_lora_train.ui.runs.finished import choices
from lib_lora_train.ui.runs.finished.choices import LABELS, NOTHING, ON_PAGE, SHUT_DOWN, SLEEP, power_command, refusal
from lib_lora_train.ui.runs.finished.elsewhere import is_training
from lib_lora_train.ui.runs.finished.rule import (
    COUNTDOWN_SECONDS,
    DONE,
    FAILED,
    ON_HOLD,
    STOPPED,
    WAITS,
    WORKS,
    FinishedRule,
    Task,
)

ACTS = [choice for choice in LABELS if choice not in ON_PAGE]


def task(name, state=None, *, open=False, failed=False):
    return Task(f"1-{name}", name, state or (WORKS if open else FAILED if failed else DONE))


class Played:
    """A rule, looked at every second."""

    def __init__(self, choice):
        self.rule, self.now, self.elsewhere = FinishedRule(), 0.0, []
        self.rule.choose(choice)

    def look(self, *tasks, images=(), seconds=1.0):
        self.now += seconds
        return self.rule.look(tasks, images, lambda: self.elsewhere, self.now)

    def seconds_until_due(self, *tasks, most=400):
        for second in range(1, most):
            due = self.look(*tasks)
            if due is not None:
                return second, due
        return None


@pytest.mark.parametrize("choice", ACTS)
def test_it_acts_two_minutes_after_the_last_run_and_is_off_again(choice):
    played = Played(choice)
    for _ in range(300):
        assert played.look(task("penny", open=True), task("fox", open=True)) is None
    assert played.look(task("penny"), task("fox", open=True)) is None
    assert not played.rule.counting
    assert played.seconds_until_due(task("penny"), task("fox")) == (1 + COUNTDOWN_SECONDS, choice)
    assert played.rule.choice == NOTHING
    assert played.look(task("more", open=True)) is None
    assert played.seconds_until_due(task("more")) is None


@pytest.mark.parametrize("choice", ["notify", "sound"])
def test_pages_are_told_at_once(choice):
    played = Played(choice)
    played.look(task("penny", open=True))
    assert played.look(task("penny")) == choice
    assert (played.rule.notice.choice, played.rule.notice.text) == (choice, "penny is finished.")


def test_an_empty_queue_is_no_finished_queue():
    played = Played(SHUT_DOWN)
    assert played.seconds_until_due(task("old"), task("older", failed=True)) is None
    played.look(task("new", open=True))
    assert played.seconds_until_due(task("new"))[1] == SHUT_DOWN


@pytest.mark.parametrize("when", [1, 60, 119])
def test_a_cancelled_countdown_never_acts(when):
    played = Played(SLEEP)
    played.look(task("penny", open=True))
    for _ in range(when):
        assert played.look(task("penny")) is None
    assert played.rule.counting
    played.rule.cancel()
    assert (played.rule.choice, played.rule.counting) == (NOTHING, False)
    assert "cancelled" in played.rule.notice.text
    assert played.seconds_until_due(task("penny")) is None


@pytest.mark.parametrize("begins", ["run", "image", "elsewhere"])
def test_new_work_stops_the_countdown_and_it_starts_again_in_full(begins):
    played = Played(SHUT_DOWN)
    played.look(task("penny", open=True))
    for _ in range(int(COUNTDOWN_SECONDS) - (0 if begins == "elsewhere" else 10)):
        assert played.look(task("penny")) is None
    if begins == "elsewhere":
        played.elsewhere = ["a training in another program (process 7)"]
    work = {"run": [task("fox", open=True)], "image": [], "elsewhere": []}[begins]
    for _ in range(20):
        assert played.look(task("penny"), *work, images=["a plot"] if begins == "image" else []) is None
    assert not played.rule.counting and "the countdown stopped" in played.rule.notice.text
    played.elsewhere = []
    assert played.seconds_until_due(task("penny"), task("fox")) == (1 + COUNTDOWN_SECONDS, SHUT_DOWN)


def test_a_computer_that_slept_during_the_countdown_gets_a_whole_one():
    played = Played(SHUT_DOWN)
    played.look(task("penny", open=True))
    played.look(task("penny"))
    assert played.look(task("penny"), seconds=9000) is None
    assert played.rule.seconds_left(played.now) == COUNTDOWN_SECONDS


def test_a_run_that_fails_does_not_keep_the_computer_on_and_is_named():
    played = Played(SHUT_DOWN)
    played.look(task("penny", open=True), task("fox", open=True), task("old", failed=True))
    assert played.seconds_until_due(task("penny", failed=True), task("fox"), task("old", failed=True))[1] == SHUT_DOWN
    assert played.rule.notice.level == "warning"
    assert played.rule.notice.text == "The queue is finished, but penny failed. Runs shows why."


@pytest.mark.parametrize(("held", "words"), [(1, "1 run on hold stays"), (2, "2 runs on hold stay")])
def test_runs_on_hold_in_the_queue_do_not_keep_the_computer_on_and_are_mentioned(held, words):
    played = Played(SLEEP)
    waiting = [Task(str(number), "later", ON_HOLD) for number in range(held)]
    played.look(task("penny", open=True), *waiting)
    assert played.seconds_until_due(task("penny"), *waiting)[1] == SLEEP
    assert played.rule.notice.text == f"penny is finished. {words} in the queue."


@pytest.mark.parametrize(("then", "acts", "words"), [
    ([WORKS, STOPPED], True, "penny was stopped."), ([WORKS, WAITS, STOPPED], True, "penny was stopped."),
    ([WORKS, ON_HOLD, WORKS, DONE], True, "penny is finished."), ([DONE, WORKS, FAILED], True, "penny failed"),
    ([WAITS, STOPPED], False, ""), ([WAITS, ON_HOLD], False, ""), ([ON_HOLD], False, ""), ([STOPPED], False, ""),
    ([WAITS, DONE], True, "penny is finished."), ([ON_HOLD, DONE], True, "penny is finished."),
    ([WAITS, FAILED], True, "penny failed")])
def test_only_what_has_run_is_a_queue_that_is_finished(then, acts, words):
    played = Played(SHUT_DOWN)
    for state in then:
        assert played.look(task("penny", state)) is None
    assert (played.seconds_until_due(task("penny", then[-1])) is not None) == acts
    assert not acts or words in played.rule.notice.text
    if not acts:
        assert played.rule.choice == SHUT_DOWN and not played.rule.waits_for  # it waits for the next run


def test_a_run_that_was_withdrawn_and_deleted_has_not_run():
    played = Played(SHUT_DOWN)
    played.look(task("penny", WAITS))
    assert played.seconds_until_due() is None
    played.look(task("fox", open=True))
    assert played.seconds_until_due(task("fox"))[1] == SHUT_DOWN


@pytest.mark.parametrize(("before", "acts"), [(True, True), (False, False)])
def test_images_count_if_they_were_being_generated_when_it_was_chosen(before, acts):
    played = Played(SHUT_DOWN)
    for _ in range(3):
        played.look(images=["a plot"] if before else [])
    assert played.rule.waits_for == (("a plot",) if before else ())
    for _ in range(3):
        played.look(images=["a plot"])
    assert (played.seconds_until_due() is not None) == acts


def test_many_failed_runs_are_not_all_named():
    played = Played("notify")
    played.look(*[task(f"run {number}", open=True) for number in range(20)])
    played.look(*[task(f"run {number}", failed=True) for number in range(20)])
    assert played.rule.notice.text == (
        "The queue is finished, but run 0 and run 1 and run 2 and 17 more failed. Runs shows why.")


@pytest.mark.parametrize("choice", LABELS)
def test_only_notifications_without_a_local_webui(choice):
    assert bool(refusal(choice, local=False, command="echo")) == (choice not in ON_PAGE)


@pytest.mark.parametrize("platform", choices.POWER_COMMANDS)
@pytest.mark.parametrize("choice", [SLEEP, SHUT_DOWN])
def test_each_system_has_its_command(monkeypatch, platform, choice):
    asked = []
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("SYSTEMROOT", "D:/Windows")
    monkeypatch.setattr(choices.shutil, "which", lambda name: asked.append(name) or name)
    command = power_command(choice)
    assert command[0] == asked[0] and len(command) > 1
    if platform == "win32":
        assert asked[0].replace("\\", "/").startswith("D:/Windows/System32/")  # not one in the working folder
    monkeypatch.setattr(choices.shutil, "which", lambda name: None)
    assert "was not found" in refusal(choice, local=True, command="")


def test_an_unknown_system_is_not_shut_down(monkeypatch):
    monkeypatch.setattr(sys, "platform", "plan9")
    assert "plan9" in refusal(SHUT_DOWN, local=True, command="")


@pytest.mark.parametrize(("line", "trains"), [
    (["python", "-s", "/x/lib_lora_train/environment/launch_worker.py", "train", "job.yaml"], True),
    (["python", "-m", "lib_lora_train", "train", "job.yaml"], True),
    (["python", "-m", "lib_lora_train", "train", "job.yaml", "--check"], False),
    (["python", "-m", "lib_lora_train", "tag", "job.yaml"], False),
    (["grep", "lib_lora_train", "train"], False), (["python", "-m", "lib_lora_train"], False), ([], False)])
def test_a_training_elsewhere_is_known_by_its_command_line(line, trains):
    assert is_training(line) == trains
