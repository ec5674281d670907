"""No text freezes the webui: captions, filters and prompts take time in proportion to their length."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from lib_lora_train.advice.bases.recipe import _plain
from lib_lora_train.advice.no_effect_images import _WILDCARD
from lib_lora_train.batches.captions import _without_wildcards
from lib_lora_train.blocks.presets import parse_presets
from lib_lora_train.blocks.prompt_weights import read_arguments
from lib_lora_train.captions.activation import not_first
from lib_lora_train.captions.confidences import Confidences
from lib_lora_train.captions.consolidate import suggestions
from lib_lora_train.captions.doubtful import doubts
from lib_lora_train.captions.editor.index import EditorIndex
from lib_lora_train.captions.editor.operations import KINDS, Operation, Surroundings, edited
from lib_lora_train.captions.filter import parse
from lib_lora_train.captions.framing import parts_of
from lib_lora_train.captions.patterns import Cancel, SupersededError, substitute, wildcard_matcher
from lib_lora_train.captions.tags import is_prose
from lib_lora_train.captions.tokens import TokenCounter
from lib_lora_train.errors import DatasetError
from lib_lora_train.pictures.caption_files import MOST_CAPTION_BYTES
from lib_lora_train.pictures.listing import PictureFile

from .conftest import Dataset
from .sets import make_set, numbers, open_editor, texts

HOSTILE: dict[str, Callable[[int], str]] = {
    "ideographic spaces": lambda n: "A girl with red boots walks over here. " + "\u3000" * n + "x",
    "spaces": lambda n: "A girl with red boots walks over here. " + " " * n + "x",
    "blanks of a line": lambda n: "a girl with red boots walks here " + "\x1f" * n + "x",
    "one long word": lambda n: "a" * n,
    "a long word before a stop": lambda n: "a b c d " + "a" * n + " .",
    "full stops": lambda n: "a b c d e f g " + "." * n + "x",
    "separators": lambda n: "a girl with red boots walks here now" + ", " * (n // 2) + "x",
    "tags": lambda n: ", ".join(f"red {number}" for number in range(n // 9)),
    "one word again and again": lambda n: "red " * (n // 4),
    "underscores": lambda n: "_" * n,
    "quotation marks": lambda n: '"' * n,
    "escaped marks": lambda n: '"' + '\\"' * (n // 2),
    "a field and blanks": lambda n: "size" + " " * n + "x",
    "digits": lambda n: "9" * n + "x",
    "digits of a bucket": lambda n: "bucket:" + "9" * n + "x",
    "braces": lambda n: "{" + "|" * n, "pairs in braces": lambda n: "{a|b}" * (n // 5),
    "braces in braces": lambda n: "{a|" * (n // 4) + "}" * (n // 4),
    "minus signs": lambda n: "-" * n, "brackets": lambda n: "(" * n,
}


def all_operations(text: str) -> None:
    around = Surroundings(tokens=TokenCounter(None).count)
    for kind in KINDS:
        if not kind.startswith("regex"):
            for tags, more in ((("red",), {}), (("red red",), {"place": "first"}),
                               (("*e*d*",), {"place": "after", "after": "red"})):
                edited([text], Operation(kind, tags, "blue", limit=75, include_prose=True, **more), around)


def of_an_index(text: str) -> None:
    index = EditorIndex(",")
    for name in ("a", "b"):
        entry = index.add(PictureFile(f"{name}.png", 0, 0, f"{name}.txt"))
        index.set_caption(entry.caption, text.encode(), None)
    suggestions(index)
    doubts(index, Confidences(), frozenset())
    not_first(index, "red boots")


def a_prompt(text: str) -> None:
    read_arguments(["penny", "1", f"lbw={text}", f"step={text}", f"start={text}"], {})
    read_arguments(["penny", "1", text, text], {})
    parse_presets(f"X:{text}\n{text}:1,0")


def a_filter(text: str) -> None:
    for filter_text in (text, f"text:{text}", f"size<{text}"):
        with contextlib.suppress(DatasetError):  # only how long it took counts
            parse(filter_text)


READERS: dict[str, Callable[[str], object]] = {
    "operations": all_operations, "prose": is_prose, "tokens": TokenCounter(None).count, "filter": a_filter,
    "index": of_an_index, "wildcards": lambda text: [wildcard_matcher(key)(text) for key in ("*a*b*c", "*a?b*c")],
    "prompts": a_prompt, "words in braces": lambda text: _without_wildcards(text, None), "one brace": _WILDCARD.search,
    "parts of the body": parts_of, "names of models": _plain,
}


def seconds(act: Callable[[], object]) -> float:
    begin = time.process_time()
    act()
    return time.process_time() - begin


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_time_grows_with_the_length_only(kind: str, reader: str):
    read, make = READERS[reader], HOSTILE[kind]
    small, large = (make(size) for size in (MOST_CAPTION_BYTES // 8, MOST_CAPTION_BYTES))
    took = seconds(lambda: read(large))
    assert took < 0.15 or took < 24 * min(seconds(lambda: read(small)) for _ in range(2)), took
    assert took < 3


def test_a_word_is_removed_from_sixty_thousand_blanks_at_once(tmp_path: Path):
    text = "A girl with red boots walks over here. " + "\u3000" * 20_000 + "She smiles."
    folder = make_set(tmp_path / "set", {"a.png": text})
    editor = open_editor(folder)
    assert seconds(lambda: editor.apply(Operation("remove", ("red boots",), include_prose=True),
                                        numbers(editor, "a.png"), "")) < 1
    assert texts(folder)["a.txt"] == text.replace(" red boots", "")


@pytest.mark.parametrize("separator", [" ", "\t"])
def test_a_separator_of_blanks_leaves_the_blanks_of_sentences(separator: str):
    text = "A girl in red boots walks over the field."
    assert edited([text], Operation("remove", ("red",), include_prose=True), Surroundings(separator)) == \
        ["A girl in boots walks over the field."]


def test_cutting_keeps_as_many_tags_as_fit():
    tags = [f"tag {number}" for number in range(40)]
    around = Surroundings(tokens=lambda text: len(text.replace(",", " ").split()))
    for limit in (1, 2, 3, 17, 79, 80, 81):
        [after] = edited([", ".join(tags)], Operation("cut", limit=limit), around)
        assert after == ", ".join(tags[:max(1, limit // 2)])


# --- the size of a caption ---

@pytest.mark.parametrize("size", [MOST_CAPTION_BYTES + 1, 3_000_000])
def test_a_caption_that_is_too_large_is_left_alone_and_said(tmp_path: Path, size: int):
    folder = make_set(tmp_path / "set", {"a.png": "x" * size, "b.png": "penny"})
    editor = open_editor(folder)
    entry = editor.entry(numbers(editor, "a.png")[0])
    assert "a.txt has" in entry.caption.problem and "a caption may have 64 KB" in entry.caption.problem
    outcome = editor.apply(Operation("add", ("new",)), editor.order(), "")
    assert outcome.left == ("1 caption that cannot be read left alone.",)
    assert texts(folder) == {"a.txt": "x" * size, "b.txt": "penny, new"}


def test_no_edit_makes_a_caption_too_large(tmp_path: Path):
    folder = make_set(tmp_path / "set", {"a.png": "x" * (MOST_CAPTION_BYTES - 3)})
    editor = open_editor(folder)
    with pytest.raises(DatasetError, match="Nothing was changed: with this edit, a.txt has"):
        editor.apply(Operation("add", ("new",)), editor.order(), "")
    with pytest.raises(DatasetError, match="Nothing was changed"):
        editor.set_texts({0: "y" * MOST_CAPTION_BYTES + "é"})
    assert len(texts(folder)["a.txt"]) == MOST_CAPTION_BYTES - 3


# --- users' patterns ---

HANGS = {"pattern": "(a+)+$", "replacement": "", "texts": ["a" * 60 + "!"]}


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="finds children in /proc")
def test_the_child_ends_when_its_parent_is_killed():
    program = "from lib_lora_train.captions.patterns import substitute; import sys\n" \
              f"substitute({HANGS['pattern']!r}, '', {HANGS['texts']!r}, limit_seconds=300)"
    parent = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 60
    children: list[str] = []
    while not children and time.monotonic() < deadline:
        time.sleep(0.02)
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    child = int(children[0])
    while "substitution" not in Path(f"/proc/{child}/cmdline").read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    ended = not is_running(child)
    if not ended:
        os.kill(child, signal.SIGKILL)
    assert ended


def test_the_child_ends_in_time_even_if_nobody_waits_for_it():
    """As on Windows and macOS, where no signal comes when the parent dies."""
    program = "from lib_lora_train.captions.substitution import answer, end_in_time; import os, sys\n" \
              "sys.platform = 'win32'\nend_in_time(1, 0.2)\n" \
              f"answer({{**{HANGS!r}, 'flags': 0, 'most_signs': 99}})"
    begin = time.monotonic()
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120).returncode == 1
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize(("pattern", "replacement", "says"), [
    ("(" * 5000, "", "than 1000|up to 1000"), ("a", r"\g<0>" * 99, "more than 65536 characters"),
    ("", "x" * 999, "more than 65536 characters"),
    ("(" * 400 + ")" * 400, "", "too deeply nested|more than 4 seconds|^$"),
    ("[\0-\U0010ffff]" * 60, "x", "more than 4 seconds|^$"), ("(?P<1>a)", "", "invalid at position 5")])
def test_patterns_that_would_eat_time_or_memory_are_refused_in_a_sentence(pattern: str, replacement: str, says: str):
    begin = time.process_time()
    try:
        substitute(pattern, replacement, ["a" * 60_000], ignore_case=True, limit_seconds=4.0)
    except DatasetError as problem:
        assert re.search(says.replace("|^$", ""), str(problem)), problem
    else:
        assert "^$" in says
    assert time.process_time() - begin < 1


def test_a_pattern_at_work_holds_up_neither_the_editor_nor_other_requests(dataset: Dataset,
                                                                          monkeypatch: pytest.MonkeyPatch):
    """Twelve bad previews at once; before, the next view waited for 50 seconds."""
    (dataset.folder / "a.txt").write_text("a" * 60 + "!")
    dataset.get("refresh")
    monkeypatch.setattr("lib_lora_train.captions.editor.operations.substitute",
                        functools.partial(substitute, limit_seconds=60.0))
    bad = {"kind": "regex_caption", "pattern": "(a+)+$", "replacement": ""}
    running = threading.Event()

    def preview() -> int:
        running.set()
        return dataset.ask("preview", operation=bad, numbers=None, filter="").status_code

    with ThreadPoolExecutor(12) as pool:
        previews = [pool.submit(preview) for _ in range(12)]
        running.wait()
        for number in range(3):
            dataset.get("view")
            dataset.apply("add", dataset.numbers("b.png"), tags=[f"quick {number}"])
        assert not all(one.done() for one in previews)  # the newest is at work
        good = dataset.ask("preview", operation={**bad, "pattern": "b", "replacement": "c"}, numbers=None, filter="")
        assert good.status_code == 200
        began = time.monotonic()
        assert {one.result() for one in previews} == {400}
        assert time.monotonic() - began < 20


@pytest.mark.parametrize("kind", ["regex_caption", "regex_tag"])
def test_a_newer_preview_ends_the_older_one_and_an_edit_does_not(dataset: Dataset, monkeypatch: pytest.MonkeyPatch,
                                                                 kind: str):
    (dataset.folder / "a.txt").write_text("a" * 60 + "!")
    dataset.get("refresh")
    monkeypatch.setattr("lib_lora_train.captions.editor.operations.substitute",
                        functools.partial(substitute, limit_seconds=60.0))
    slow = {"kind": kind, "pattern": "(a+)+$", "replacement": ""}
    quick = {"kind": kind, "pattern": "hat", "replacement": "cap"}
    with ThreadPoolExecutor(1) as pool:
        for _ in range(3):
            older = pool.submit(dataset.ask, "preview", operation=slow, numbers=None, filter="")
            wait_until(patterns_at_work)
            dataset.apply("add", dataset.numbers("b.png"), tags=["more"])
            assert not older.done()
            assert dataset.ask("preview", operation=quick, numbers=dataset.numbers("b.png")).status_code == 200
            answer = older.result(20)
            assert answer.status_code == 400 and "newer preview" in answer.json()["error"]
            wait_until(lambda: not patterns_at_work())


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def patterns_at_work() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "substitution.py" in " ".join(child.cmdline())]


def test_what_is_cancelled_before_it_begins_is_not_begun(monkeypatch: pytest.MonkeyPatch):
    cancel = Cancel()
    cancel.now()
    monkeypatch.setattr(subprocess, "Popen", pytest.fail)
    with pytest.raises(SupersededError):
        substitute("a", "b", ["a"], cancel=cancel)


def test_a_caption_that_changed_while_a_pattern_ran_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from lib_lora_train.captions.editor import operations
    from lib_lora_train.captions.journal.apply import ConflictError

    folder = make_set(tmp_path / "set", {"a.png": "penny", "b.png": "hat"})
    editor = open_editor(folder)

    def meanwhile(*arguments: object, **named: object) -> list[str]:
        editor.set_texts({0: "theirs"})
        return substitute("penny", "cat", ["penny", "hat"])

    monkeypatch.setattr(operations, "substitute", meanwhile)
    with pytest.raises(ConflictError):
        editor.apply(Operation("regex_caption", pattern="penny", replacement="cat"), editor.order(), "")
    assert texts(folder) == {"a.txt": "theirs", "b.txt": "hat"}
