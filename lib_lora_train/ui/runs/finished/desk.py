"""Watches the queue while something is chosen for its end, and carries it out."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ....errors import RunError, WriteError
from ....files.atomic import write_atomically
from ....host.interface import Host
from ....runs.folder import TRAIN
from ....runs.queue_hold import queue_hold
from ....runs.state import DAMAGED, LOST, WAITING
from ....runs.state import FAILED as RUN_FAILED
from ....runs.summary import RunIndex, RunSummary
from ...captions.describing import DESCRIBING, DescribingDesk
from ...drawing import DrawingService
from .choices import COMMAND, LABELS, NOTHING, ON_PAGE, SHUT_DOWN, WILL, power_command, refusal
from .elsewhere import trainings_elsewhere
from .interrupted import ChoiceNote, remove
from .rule import DONE, FAILED, ON_HOLD, STOPPED, WAITS, WORKS, FinishedRule, Notice, Task

CANCEL_FILE = "delete-this-file-to-cancel.txt"
_POLL_SECONDS = 1.0
_POWER_SECONDS = 60
_LONGEST_OUTPUT = 300
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """One choice; ``refused`` says why it is not possible, empty if it is."""

    name: str
    label: str
    refused: str


@dataclass(frozen=True)
class Countdown:
    """``text`` announces the action, ``seconds_left`` before it; ``cancel_file`` can be deleted to cancel it."""

    text: str
    seconds_left: float
    cancel_file: str


@dataclass(frozen=True)
class FinishedState:
    """What is chosen, and what the page shows about it. ``waits_for`` names what has to end first."""

    choice: str
    choices: tuple[Choice, ...]
    command: str
    waits_for: tuple[str, ...]
    countdown: Countdown | None
    notice: Notice | None


class FinishedDesk:
    """The choice of one webui; it survives a reload of the page and of the UI, but not the end of the webui.

    ``folder`` is where the file that cancels a countdown is written.
    """

    def __init__(self, host: Host, index: RunIndex, drawings: DrawingService, describing: DescribingDesk,
                 folder: Path) -> None:
        self._host, self._index, self._drawings, self._describing = host, index, drawings, describing
        self._cancel_file = folder / CANCEL_FILE
        self._rule = FinishedRule(int(1000 * time.time()))
        self._note = ChoiceNote(folder)
        interrupted = self._note.interrupted()
        if not self._note.of_another:
            remove(self._cancel_file)  # of a webui that ended during its countdown
        if interrupted:
            self._rule.say("warning", f"“{LABELS[interrupted]}” was chosen for the end of the queue, but the webui was "
                                      "ended or restarted before. It was not done, and is off now. Choose it again if "
                                      "you still want it.")
        self._command = ""
        self._file_written = False
        self._changing = threading.Lock()
        self._thread: threading.Thread | None = None

    def state(self, *, local: bool) -> FinishedState:
        """The state for a caller who is on this machine (``local``) or not."""
        local = local and not self._host.reached_from_elsewhere()
        command = self._host.finished_command()
        with self._changing:
            rule = self._rule
            left = rule.seconds_left(time.monotonic())
            file = str(self._cancel_file) if self._file_written else ""
            countdown = None if left is None else Countdown(f"{rule.words} {WILL[rule.choice]}", round(left, 1), file)
            choices = tuple(Choice(name, label, refusal(name, local=local, command=command))
                            for name, label in LABELS.items())
            shown = self._command if rule.choice == COMMAND else command
            return FinishedState(rule.choice, choices, shown if local else "", rule.waits_for, countdown, rule.notice)

    def choose(self, choice: str, *, local: bool, seen: str = "") -> None:
        """Carry out ``choice`` when the queue is finished. ``seen`` is the command that the page has shown for it.

        Raises ``RunError`` if the choice is unknown or not possible, or the page has shown another command.
        """
        if choice not in LABELS:
            raise RunError(f"{choice[:80]!r} is nothing that can be done when the queue is finished. Choose one of "
                           f"{', '.join(LABELS)}.")
        command = self._host.finished_command()
        refused = refusal(choice, local=local and not self._host.reached_from_elsewhere(), command=command)
        if refused:
            raise RunError(refused)
        if choice == COMMAND and seen != command:
            raise RunError("The command in the webui's settings is not the one that this page has shown, so it was not "
                           "chosen. Choose it again to see the command that would run.")
        with self._changing:
            self._rule.choose(choice)
            self._command = command  # what the page shows from now on is what runs
            self._drop_cancel_file()
        self._look_safely()
        with self._changing:
            if self._rule.choice != NOTHING and self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="train-lora-finished", daemon=True)
                self._thread.start()

    def cancel(self) -> None:
        """End the countdown and switch the choice off."""
        with self._changing:
            self._rule.cancel()
            self._drop_cancel_file()
            self._note.write(NOTHING)

    def close(self) -> None:
        """Do nothing any more."""
        with self._changing:
            self._rule.choose(NOTHING)
            self._drop_cancel_file()
            self._note.write(NOTHING)

    def _watch(self) -> None:
        while True:
            with self._changing:
                if self._rule.choice == NOTHING:
                    self._thread = None
                    return
            self._look_safely()
            time.sleep(_POLL_SECONDS)

    def _look_safely(self) -> None:
        try:
            self._look()
        except Exception:  # noqa: BLE001  # what the user relies on at night must not end with one unreadable file
            _LOG.exception("Whether the queue is finished could not be found out; it is tried again")

    def _look(self) -> None:
        tasks = self._tasks()
        with self._changing:
            if self._rule.counting and self._file_written and not self._cancel_file.exists():
                self._rule.cancel()
            counted = self._rule.counting
            due = self._rule.look(tasks, self._images(), self._elsewhere, time.monotonic())
            if self._rule.counting and not counted:
                self._announce()
            elif counted and not self._rule.counting:
                self._drop_cancel_file()
            self._note.write(self._rule.choice)
        if due is not None and due not in ON_PAGE:
            threading.Thread(target=self._carry_out, args=(due,), name="train-lora-carry-out", daemon=True).start()

    def _tasks(self) -> list[Task]:
        """Every run that was started, the oldest first; one that waits without a device was never queued."""
        queue_held = queue_hold(self._index.runs).on_hold
        return [Task(run.id, run.name, _state_of(run, queue_held=queue_held)) for run in reversed(self._index.all())
                if run.state != WAITING or run.device is not None or run.pid is not None]

    def _images(self) -> list[str]:
        wanted = self._host.gpu_is_wanted()
        describes = self._describing.state()["state"] == DESCRIBING
        return [*(str(entry["title"]) for entry in self._drawings.queue()), *([wanted.why] if wanted else []),
                *(["the description of your images"] if describes else [])]

    def _elsewhere(self) -> Sequence[str]:
        return trainings_elsewhere([os.getpid(), *(run.pid for run in self._index.all() if run.pid is not None)])

    def _announce(self) -> None:
        text = f"{self._rule.words} {WILL[self._rule.choice]} in 2 minutes."
        ways = "press Cancel in the Train LoRA tab, or close the webui"
        try:
            write_atomically(self._cancel_file, f"{text}\nDelete this file to cancel that.\n")
            self._file_written = True
            ways = f"press Cancel in the Train LoRA tab, delete {self._cancel_file}, or close the webui"
        except WriteError:
            _LOG.warning("%s cannot be written, so the countdown can only be cancelled in the tab", self._cancel_file)
        _LOG.warning("Train LoRA: %s To cancel: %s.", text, ways)

    def _drop_cancel_file(self) -> None:
        self._file_written = False
        remove(self._cancel_file)

    def _carry_out(self, due: str) -> None:
        refused = refusal(due, local=not self._host.reached_from_elsewhere(), command=self._command)
        before = self._rule.words
        if refused:
            self._say("error", f"{before} {LABELS[due]}: {refused}")
            return
        _LOG.warning("Train LoRA: %s %s now.", before, WILL[due])
        self._say("info", f"{before} {WILL[due]} now.")
        command: str | tuple[str, ...] = self._command if due == COMMAND else power_command(due)
        try:
            done = subprocess.run(command, shell=due == COMMAND, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False,
                                  timeout=_POWER_SECONDS if due == SHUT_DOWN else None)  # to sleep: until it wakes
        except (OSError, subprocess.TimeoutExpired) as problem:
            self._say("error", f"{LABELS[due]}: it failed: {problem}.")
            return
        output = done.stdout.decode("utf-8", "replace").strip()[-_LONGEST_OUTPUT:]
        if done.returncode:
            self._say("error", f"{LABELS[due]}: it failed with code {done.returncode}. {output}".strip())
        elif due == COMMAND:
            self._say("good", f"{before} Your command has ended. {output}".strip())

    def _say(self, level: str, text: str) -> None:
        with self._changing:
            self._rule.say(level, text)
        if level == "error":
            _LOG.warning("Train LoRA: %s", text)


def _state_of(run: RunSummary, *, queue_held: bool) -> str:
    """The state of ``run`` as a task."""
    if run.pid is not None:
        return WORKS
    if run.state == WAITING:
        held = run.on_hold or (queue_held and run.command == TRAIN and run.place is not None)
        return ON_HOLD if held else WAITS
    if run.state in (RUN_FAILED, LOST, DAMAGED):
        return FAILED
    return STOPPED if run.state == "stopped" else DONE
