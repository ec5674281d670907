"""Wildcards and regular expressions over many texts, without a pattern ever hanging the program.

A regular expression may take exponential time ("catastrophic backtracking") and Python cannot interrupt it, so
substitutions run in a process of their own, which is ended when its time is up.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence

from ..errors import DatasetError

LIMIT_SECONDS = 5.0

_PROGRAM = """
import json, re, sys
order = json.load(sys.stdin)
pattern = re.compile(order["pattern"], order["flags"])
json.dump([pattern.sub(order["replacement"], text) for text in order["texts"]], sys.stdout)
"""


def wildcard_matcher(pattern: str) -> Callable[[str], bool]:
    """A test whether a text is ``pattern``, in which ``*`` stands for any signs and ``?`` for one.

    It takes time proportional to the length of the text times that of the pattern at most.
    """
    if "*" not in pattern and "?" not in pattern:
        return pattern.__eq__
    if "?" in pattern:
        return lambda text: _fits(text, pattern)
    start, *middle, end = pattern.split("*")
    length = len(start) + len(end)
    if not any(middle):
        return lambda text: len(text) >= length and text.startswith(start) and text.endswith(end)
    return lambda text: text.startswith(start) and text.endswith(end) and _in_order(text, start, middle, end)


def _in_order(text: str, start: str, middle: Sequence[str], end: str) -> bool:
    """Whether ``middle`` are found one after the other between ``start`` and ``end``."""
    place, last = len(start), len(text) - len(end)
    for piece in middle:
        found = text.find(piece, place, last)
        if found < 0:
            return False
        place = found + len(piece)
    return place <= last


def _fits(text: str, pattern: str) -> bool:
    """Greedy matching that only ever goes back to the last ``*``."""
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


def check_pattern(pattern: str, replacement: str) -> None:
    """Raise ``DatasetError`` that says what is wrong with a regular expression or its replacement."""
    try:
        compiled = re.compile(pattern)
    except re.error as problem:
        raise DatasetError(f"The pattern {pattern!r} is not understood at sign {(problem.pos or 0) + 1}: "
                           f"{problem.msg}.") from problem
    except (RecursionError, OverflowError) as problem:
        raise DatasetError(f"The pattern {pattern[:40]!r} is too deeply nested or too large.") from problem
    numbers = [int(number) for number in re.findall(r"(?<!\\)\\(?:g<)?(\d{1,2})", replacement)]
    wrong = [number for number in numbers if number > compiled.groups]
    if wrong:
        raise DatasetError(f"The replacement uses group {wrong[0]}, but the pattern has only {compiled.groups}.")


def substitute(pattern: str, replacement: str, texts: Sequence[str], ignore_case: bool = False,
               limit_seconds: float = LIMIT_SECONDS) -> list[str]:
    """``re.sub`` on every text. Raises ``DatasetError`` if the pattern is wrong or takes longer than the limit."""
    check_pattern(pattern, replacement)
    order = {"pattern": pattern, "replacement": replacement, "texts": list(texts),
             "flags": re.IGNORECASE if ignore_case else 0}
    try:
        done = subprocess.run([sys.executable, "-I", "-S", "-c", _PROGRAM], input=json.dumps(order),
                              capture_output=True, text=True, encoding="utf-8", timeout=limit_seconds, check=True,
                              creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0))
    except subprocess.TimeoutExpired:
        raise DatasetError(f"The pattern {pattern!r} takes more than {limit_seconds:g} seconds on these captions and "
                           "was stopped. Nested repetitions such as (a+)+ do that; make it simpler.") from None
    except subprocess.CalledProcessError as problem:
        last = problem.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise DatasetError(f"The pattern {pattern!r} with the replacement {replacement!r} cannot be used: {last[0]}.") \
            from problem
    return [str(text) for text in json.loads(done.stdout)]
