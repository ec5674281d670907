"""The subprocess that runs a user's regular expression; imports the standard library only.

Reads a request as JSON and answers ``{"texts": […]}`` or ``{"problem": kind, "about": {…}}``. A pattern can hold the
GIL forever, so the timeout is enforced outside Python: by a timer in C, and on Linux by a signal when the parent dies.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import re
import signal
import sys
from typing import Any

_GRACE_SECONDS = 1.0
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def end_in_time(parent: int, seconds: float) -> None:
    """Terminate this process after ``seconds`` or when ``parent`` dies, even while it holds the GIL."""
    faulthandler.dump_traceback_later(seconds + _GRACE_SECONDS, exit=True)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the signal was set
            os._exit(1)


class _TooLongError(Exception):
    """A text would become longer than the limit."""


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """The answer to the request ``order``."""
    try:
        pattern = re.compile(order["pattern"], order["flags"])
    except re.error as problem:
        return {"problem": "pattern", "about": {"place": (problem.pos or 0) + 1, "reason": problem.msg}}
    except (RecursionError, OverflowError, MemoryError):
        return {"problem": "nested", "about": {}}
    numbers = [int(number) for number in re.findall(r"(?<!\\)\\(?:g<)?(\d{1,2})", order["replacement"])]
    wrong = [number for number in numbers if number > pattern.groups]
    if wrong:
        return {"problem": "group", "about": {"group": wrong[0], "groups": pattern.groups}}
    try:
        return {"texts": [_substituted(pattern, order["replacement"], text, order["most_signs"])
                          for text in order["texts"]]}
    except _TooLongError:
        return {"problem": "growth", "about": {}}
    except (re.error, IndexError) as problem:
        return {"problem": "replacement", "about": {"reason": str(problem)}}


def _substituted(pattern: re.Pattern[str], replacement: str, text: str, most: int) -> str:
    if (len(text) + 1) * (len(replacement) + 1) * (1 + replacement.count("\\")) <= most:
        new = pattern.sub(replacement, text)
    else:
        new = _counted(pattern, replacement, text, most)
    if len(new) > max(most, len(text)):
        raise _TooLongError
    return new


def _counted(pattern: re.Pattern[str], replacement: str, text: str, most: int) -> str:
    """As ``sub``, but stops as soon as the result exceeds the limit."""
    size = 0

    def expanded(match: re.Match[str]) -> str:
        nonlocal size
        new = match.expand(replacement)
        size += len(new)
        if size > max(most, len(text)):
            raise _TooLongError
        return new

    return pattern.sub(expanded, text)


if __name__ == "__main__":
    found = json.load(sys.stdin)
    end_in_time(found["parent"], found["seconds"])
    json.dump(answer(found), sys.stdout)
