"""How much of what is generated the tests try, and the figures of a whole count.

A usual run tries a share. With ``TRAIN_LORA_FULL=1`` everything is tried; ``python tests/run.py figures`` does that and
prints how much was tried and how much of it failed.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from tests.crashes import kills

T = TypeVar("T")
FULL = os.environ.get("TRAIN_LORA_FULL") == "1"
FILE = Path(__file__).resolve().parents[1] / ".cache" / "figures.jsonl"
TESTS = {
    "host": ["ui/hostile", "ui/test_nonsense.py", "ui/test_every_reader.py",
             "files/test_foreign_files.py", "files/test_full_disk.py", "pictures/test_hostile.py",
             "captions/test_every_kill.py", "captions/test_full_disk.py", "captions/test_model.py"],
    "worker": ["models/test_pickles.py", "tagging/test_every_kill.py", "tagging/test_full_disk.py",
               "training/test_every_kill.py", "training/test_full_disk.py", "training/test_resume.py"],
    "environment": ["environment/test_full_disk.py"],
}
"""The tests with figures, by the part of the test command that they belong to."""


@dataclass
class Figure:
    """``tried`` is counted by the test; ``failed`` is 1 if it ended in an error, since it ends with the first."""

    name: str
    tried: int = 0
    failed: int = 0
    seconds: float = 0.0


def count(usual: int, full: int) -> int:
    """How many to try: ``usual`` as a rule, ``full`` for the figures."""
    return full if FULL else usual


def share(values: Sequence[T], turn: int, of: int) -> Sequence[T]:
    """As a rule one of ``of`` shares of ``values``, by ``turn``, so that neighbours try others; all for the figures."""
    return values if FULL else values[turn % of::of]


@contextlib.contextmanager
def figure(name: str) -> Iterator[Figure]:
    """What is tried inside is counted under ``name``, kills included, and kept if this is a whole count."""
    counted, began, before = Figure(name), time.monotonic(), len(kills)
    try:
        yield counted
    except Exception:
        counted.failed = 1
        raise
    finally:
        counted.tried += len(kills) - before
        counted.seconds = round(time.monotonic() - began, 1)
        if FULL:
            FILE.parent.mkdir(exist_ok=True)
            with FILE.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(counted)) + "\n")


def table() -> str:
    """The figures that were kept, those of one name added up."""
    totals: dict[str, Figure] = {}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        found = Figure(**json.loads(line))
        total = totals.setdefault(found.name, Figure(found.name))
        total.tried, total.failed = total.tried + found.tried, total.failed + found.failed
        total.seconds += found.seconds
    rows = [f"{'':44} {'tried':>8} {'failed':>7} {'seconds':>8}"]
    rows += [f"{one.name:44} {one.tried:8,} {one.failed:7} {one.seconds:8.0f}" for one in totals.values()]
    return "\n".join(rows)
