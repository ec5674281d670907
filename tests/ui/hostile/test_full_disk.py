"""A request during which the disk refuses a write is answered with a sentence, and nothing is lost or half written."""

from __future__ import annotations

import errno
import json
import random
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from lib_lora_train.runs.folder import QUEUED_FILE
from lib_lora_train.runs.queue import CHANGING_FILE
from tests.crashes import failing, operations_seen
from tests.figures import FULL, figure

from .every_route import Furnished, routes_of

CODES = [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT]
NEVER = 10**9
USUALLY = 2
"""How many of the operations of a request are refused, each in turn, as a rule."""
UNFINISHED = (".tmp", ".part", ".new")


def some_of(operations: int, chance: random.Random) -> Sequence[int]:
    every = range(1, operations + 1)
    return every if FULL else sorted(chance.sample(every, min(operations, USUALLY)))


def contents(furnished: Furnished) -> dict[str, bytes]:
    """What is in the files of the webui's data, without those that can be made again, and without the journal of
    captions, which is written in the background and has crash tests of its own.
    """
    data = furnished.tab.data
    return {name: path.read_bytes() for path in data.rglob("*") if path.is_file() and not path.is_symlink()
            and not {"cache", "spare", "journal"} & set((name := str(path.relative_to(data))).split("/"))}


def is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def half_written(before: dict[str, bytes], after: dict[str, bytes], whole: dict[str, bytes]) -> list[str]:
    """What is lost, left over or half written: a file is as it was, as it is after the whole request, or new."""
    there = set(after.values())
    gone = [name for name in before.keys() - after.keys() if name in whole
            and name.replace(QUEUED_FILE, CHANGING_FILE) not in after]  # the queue takes an abandoned one back
    problems = [f"{name} is lost" for name in gone if before[name] not in there]
    for name, content in after.items():
        if content in (before.get(name), whole.get(name)):
            continue
        if name.endswith(UNFINISHED):
            problems.append(f"{name} is left over")
        elif name.endswith(".json"):
            problems += [] if is_json(content) else [f"{name} is half written"]
        elif name in before and name in whole and not name.endswith((".jsonl", ".yaml")) and \
                len(content) < min(len(before[name]), len(whole[name])):
            problems.append(f"{name} is half written")
    return problems


def test_a_request_whose_write_is_refused_is_answered_with_a_sentence(furnished: Furnished):
    chance, refused = random.Random(7), 0
    with figure("requests on a full disk") as counted:
        for route in routes_of(furnished.tab):
            furnished.reset(route)
            before = contents(furnished)
            with failing(NEVER):
                furnished.request(route)
            operations, whole = operations_seen(), contents(furnished)
            for at in some_of(operations, chance):
                furnished.reset(route)
                with failing(at, 1, chance.choice(CODES)):
                    answer = furnished.request(route)
                assert answer.status_code < 500, (route.name, at, answer.text)
                assert "[Errno" not in answer.text, (route.name, at, answer.text)
                refused += answer.status_code == 400
                problems = half_written(before, contents(furnished), whole)
                assert not problems, (route.name, at, operations, problems)
                counted.tried += 1
    assert refused > 50


def test_a_dataset_can_be_looked_at_on_a_full_disk(furnished: Furnished):
    for at in range(1, 6):
        with failing(at, NEVER):
            answer = furnished.tab.post("captions/open", {"folder": str(furnished.dataset), "settings": {}})
        assert answer.status_code == 200, answer.text


def test_what_an_earlier_test_writes_in_the_background_does_not_count(tmp_path: Path):
    begin, written = threading.Event(), threading.Event()

    def write():
        begin.wait()
        (tmp_path / "late.txt").write_text("late")
        written.set()

    thread = threading.Thread(target=write)
    thread.start()
    with failing(1):
        begin.set()
        assert written.wait(240)
        with pytest.raises(OSError, match="No space left"):
            (tmp_path / "own.txt").write_text("own")
    thread.join()
    assert operations_seen() == 1
