"""Wildcards and regular expressions over many texts, safe against patterns that never finish.

A regular expression may take exponential time ("catastrophic backtracking") and Python cannot interrupt it, so
substitutions run in a separate process (``substitution.py``), which is killed on timeout. Even compiling a pattern may
take minutes, so that happens there, too.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import DatasetError

LIMIT_SECONDS = 5.0
MOST_SIGNS = 1 << 16
_LONGEST_PATTERN = 1000
_PROGRAM = Path(__file__).with_name("substitution.py")


def wildcard_matcher(pattern: str) -> Callable[[str], bool]:
    """A predicate for texts that match ``pattern`` as a whole; ``*`` matches any characters, ``?`` exactly one.

    Takes time proportional to the length of the text times that of the pattern at most.
    """
    if "*" not in pattern and "?" not in pattern:
        return pattern.__eq__
    if "?" in pattern:
        return lambda text: _fits(text, pattern)
    return star_matcher(pattern)


def star_matcher(pattern: str) -> Callable[[str], bool]:
    """As ``wildcard_matcher``, but only ``*`` is a wildcard. Linear in the length of the text."""
    if "*" not in pattern:
        return pattern.__eq__
    start, *middle, end = pattern.split("*")
    length = len(start) + len(end)
    if not any(middle):
        return lambda text: len(text) >= length and text.startswith(start) and text.endswith(end)
    return lambda text: text.startswith(start) and text.endswith(end) and _in_order(text, start, middle, end)


def _in_order(text: str, start: str, middle: Sequence[str], end: str) -> bool:
    """Whether the pieces of ``middle`` occur in order between ``start`` and ``end``."""
    place, last = len(start), len(text) - len(end)
    for piece in middle:
        found = text.find(piece, place, last)
        if found < 0:
            return False
        place = found + len(piece)
    return place <= last


def _fits(text: str, pattern: str) -> bool:
    """Whether ``text`` matches, by greedy matching that backtracks to the last ``*`` only."""
    place = mark = 0
    star = -1
    at = 0
    while at < len(text):
        if place < len(pattern) and pattern[place] == "*":
            star, mark = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in ("?", text[at]):
            place += 1
            at += 1
        elif star >= 0:
            mark += 1
            place, at = star + 1, mark
        else:
            return False
    return pattern[place:].strip("*") == ""


def whole_words(tag: str) -> re.Pattern[str]:
    """A pattern that finds ``tag`` in prose as whole words, ignoring case, with any blanks or underscores between them.

    Takes time proportional to the length of the text times the number of words.
    """
    words = r"[\s_]+".join(re.escape(word) for word in tag.replace("_", " ").split())
    return re.compile(rf"(?<!\w){words}(?!\w)" if words else "(?!)", re.IGNORECASE)


class SupersededError(DatasetError):
    """A newer request has made this one obsolete."""

    def __init__(self) -> None:
        super().__init__("A newer preview has taken the place of this one.")


class Cancel:
    """Cancels one substitution from another thread, even before it has started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self.done = False

    def now(self) -> None:
        """Cancel the substitution, which then raises ``SupersededError``."""
        with self._lock:
            self.done = True
            if self._process is not None:
                self._process.kill()

    def take(self, process: subprocess.Popen[str] | None) -> None:
        """Set the process to kill on cancellation. Raises ``SupersededError`` if already cancelled."""
        with self._lock:
            self._process = process
            if self.done:
                if process is not None:
                    process.kill()
                raise SupersededError


def substitute(pattern: str, replacement: str, texts: Sequence[str], ignore_case: bool = False,
               limit_seconds: float = LIMIT_SECONDS, most_signs: int = MOST_SIGNS,
               cancel: Cancel | None = None) -> list[str]:
    """``re.sub`` on every text, in a separate process that exits on timeout or when this process dies.

    Raises ``DatasetError`` if the pattern is invalid, takes longer than the limit, or makes a text longer than
    ``most_signs`` characters; ``SupersededError`` if cancelled through ``cancel``.
    """
    for name, value in (("pattern", pattern), ("replacement", replacement)):
        if len(value) > _LONGEST_PATTERN:
            raise DatasetError(f"The {name} has {len(value)} characters; up to {_LONGEST_PATTERN} can be used.")
    order = {"pattern": pattern, "replacement": replacement, "texts": list(texts), "parent": os.getpid(),
             "flags": re.IGNORECASE if ignore_case else 0, "seconds": limit_seconds, "most_signs": most_signs}
    try:
        said = _carried_out(json.dumps(order), limit_seconds, cancel or Cancel())
    except subprocess.TimeoutExpired:
        raise DatasetError(f"The pattern {_short(pattern)} takes more than {limit_seconds:g} seconds on these captions "
                           "and was stopped. Nested repetitions such as (a+)+ do that; make it simpler.") from None
    except subprocess.CalledProcessError as problem:
        last = problem.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise DatasetError(f"The pattern {_short(pattern)} with the replacement {_short(replacement)} cannot be used: "
                           f"{last[0]}.") from problem
    answer = json.loads(said)
    if "problem" in answer:
        raise DatasetError(_SENTENCES[answer["problem"]].format(
            pattern=_short(pattern), replacement=_short(replacement), most=most_signs, **answer["about"]))
    return [str(text) for text in answer["texts"]]


def _carried_out(order: str, limit_seconds: float, cancel: Cancel) -> str:
    """The process's answer to the request ``order``. Raises as ``subprocess.run``, and ``SupersededError``."""
    cancel.take(None)
    command = [sys.executable, "-I", "-S", str(_PROGRAM)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          encoding="utf-8", creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0)) as process:
        try:
            cancel.take(process)
            said, errors = process.communicate(order, timeout=limit_seconds)
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
    cancel.take(None)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, said, errors)
    return said


_SENTENCES = {
    "pattern": "The pattern {pattern} is invalid at position {place}: {reason}.",
    "nested": "The pattern {pattern} is too deeply nested or too large.",
    "group": "The replacement uses group {group}, but the pattern has only {groups}.",
    "replacement": "The pattern {pattern} with the replacement {replacement} cannot be used: {reason}.",
    "growth": "With this pattern a caption would have more than {most} characters. Choose a shorter replacement.",
}


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:79]}…")
