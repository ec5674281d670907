"""Whatever is in a file of a run or of the tab: no run is hidden, no route answers with 5xx, and the file is named."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lib_lora_train.runs.compare.group import RunGroup, write_group
from lib_lora_train.runs.diagnosis.epochs import EpochMeasures, FileMeasures, write_measures
from lib_lora_train.runs.folder import BASES, KNOWS, RunFolder, open_run
from lib_lora_train.runs.notes import RunNote, write_note
from lib_lora_train.runs.queue_hold import hold_queue, release_queue
from lib_lora_train.ui.runs.strip_store import Strip, read_strip, write_strip
from tests.figures import count, figure

from .every_route import Furnished, Route, routes_of

USUALLY, EACH = 1, 60
LEAVES: list[Any] = [None, True, 0, -1, 1 << 70, 10**400, 1.5, 1e308, "", "²", "a" * 3000, "\0", "\ud83d", "1", "../x",
                     "NaN", [], {}, [[]], [None], {"a": 1}, [{}], [1e308] * 3, "__NAN__", "__INF__", "__DEEP__"]
WAYS = ["leaf", "leaf", "leaf", "leaf", "missing", "twice", "version", "bytes", "cut", "bom", "crlf", "empty", "utf-16",
        "folder", "loop", "pipe", "device", "words",
        "gone"]
NAMED_BY = {"job.yaml": "runs", "events.jsonl": "runs", "queued.json": "runs", "group.json": "runs",
            "note.json": "runs", "process.json": "runs", "plan.json": "diagnosis",
            "findings.json": "diagnosis", "epochs.json": "epochs",
            "trashed.json": "trash", "queue.json": "queue", "result.json": "result"}
"""Where it is said that a file is damaged which is no JSON at all."""


def nodes(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from nodes(item, (*place, key))


def changed_json(chance: random.Random, content: bytes, way: str) -> bytes:
    """One value of the JSON (or of one line of it) is another, missing, or there twice."""
    lines = content.split(b"\n")
    at = chance.randrange(max(1, len(lines) - 1))
    value = json.loads(lines[at])
    places = [place for place in nodes(value) if place]
    *above, last = chance.choice(places) if places else ((),)
    holder = value
    for key in above:
        holder = holder[key]
    if way == "missing":
        del holder[last]
    elif way == "twice" and isinstance(value, dict):
        lines[at] = json.dumps(value).encode()[:-1] + b", " + json.dumps(
            {chance.choice(list(value)): chance.choice(LEAVES[:10])}).encode()[1:]
        return b"\n".join(lines)
    elif way == "version":
        value["version"] = chance.choice([99, "2", None, -1, 10**400, [1], 1.5])
    else:
        holder[last] = chance.choice(LEAVES)
    text = json.dumps(value).replace('"__NAN__"', "NaN").replace('"__INF__"', "-Infinity").replace(
        '"__DEEP__"', "[" * 5000 + "]" * 5000)
    lines[at] = text.encode()
    return b"\n".join(lines)


def damage(chance: random.Random, file: Path, way: str) -> None:
    """Damage ``file`` in the ``way``."""
    content = file.read_bytes()
    if way in ("folder", "loop", "pipe", "device", "gone"):
        file.unlink()
        make = {"gone": lambda: None, "folder": file.mkdir, "loop": lambda: file.symlink_to(file.name),
                "pipe": lambda: os.mkfifo(file),
                "device": lambda: file.symlink_to("/dev/zero")}
        make[way]()
    elif way in ("leaf", "missing", "twice", "version") and file.suffix in (".json", ".jsonl"):
        file.write_bytes(changed_json(chance, content, way))
    elif way == "leaf":
        text = content.decode()
        values = list(re.finditer(r": ([^\n]+)", text))
        one = chance.choice(values) if values else None
        leaf = json.dumps(chance.choice(LEAVES)).replace('"__NAN__"', ".nan")
        file.write_text(text if one is None else text[:one.start(1)] + leaf + text[one.end(1):])
    else:
        others = {"cut": lambda: content[:chance.randrange(len(content) + 1)],
                  "bom": lambda: b"\xef\xbb\xbf" + content,
                  "crlf": lambda: content.replace(b"\n", b"\r\n"), "empty": lambda: b"",
                  "utf-16": lambda: content.decode().encode("utf-16"), "words": lambda: b"\x00 no JSON { at all"}
        file.write_bytes(others.get(way, lambda: chance.randbytes(200))())


@pytest.fixture(scope="module")
def with_results(furnished: Furnished) -> Furnished:
    """Every file that a run can have, as the program writes it."""
    services, folder = furnished.tab.services, str(furnished.dataset)
    done = open_run(services.runs_dir, furnished.runs["done"])
    saved = services.index.of(done).saved
    losses = tuple((0.1 + 0.01 * image,) for image in range(6))
    write_measures(done.path, EpochMeasures(
        "held_out", images=tuple("abcdef"), base=FileMeasures("", "", 0, 0, held_out=losses),
        files=tuple(FileMeasures(event["name"], event["path"], event["step"], event["epoch"], held_out=losses,
                                 drift=0.1) for event in saved)))
    (done.path / "diagnosis" / "strip.json").write_text(json.dumps({"version": 1, "images": [
        {"path": "samples/a.png", "step": 1, "prompt": "penny"}]}))
    write_note(done, RunNote("Penny", True, "good"))
    write_group(done, RunGroup("g", "Rank", "network.network_dim", "8", 0))
    strip = read_strip(done)
    if isinstance(strip, Strip):
        write_strip(done, strip)
    plot = done.path / "plots" / "p1"
    plot.mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(plot / "cell-00-00.png")
    axis = {"title": "UNet", "values": ["0.5"], "headings": ["UNet 0.5"]}
    (plot / "plot.json").write_text(json.dumps({
        "kind": "strengths", "state": "finished", "created": 1.0, "changes": {}, "grid": "", "file": saved[0]["name"],
        "cells": {"0,0": "plots/p1/cell-00-00.png"}, "prompts": ["penny"], "error": "", "columns": axis, "rows": axis,
        "best": [0, 0], "checkpoint": "mini [abc]"}))
    checkpoint = str(services.host.checkpoints()[0].path)
    (services.runs_dir / furnished.runs[KNOWS] / "result.json").write_text(json.dumps({
        "version": 1, "created": 1.0, "checkpoint": checkpoint, "folder": folder, "checkpoint_mark": [0, 0],
        "tagger": "mini",
        "images": [{"path": "0.png", "word": "penny"}], "captions": "x", "alone": [], "prompt": "", "words": [
            {"kind": "trigger", "word": "penny", "level": "known", "score": 0.5, "gain": None, "others": [],
             "reason": "x",
             "means_something_else": False, "tags": [], "pictures": [0]}]}))
    (services.runs_dir / furnished.runs[BASES] / "result.json").write_text(json.dumps({
        "version": 1, "created": 1.0, "bases": [{
            "path": checkpoint, "name": "mini", "family": "SD 1.x", "mark": [0, 0], "styles": ["booru"],
            "style_from": "name",
            "near": [{"name": "x", "distance": 0.1}], "problem": ""}], "warnings": []}))
    hold_queue(services.runs_dir)
    shutil.rmtree(furnished.kept)
    furnished.keep(furnished.kept)
    return furnished


def files_of(furnished: Furnished) -> list[Path]:
    """The files that the program keeps beside images, captions and weights."""
    data = furnished.tab.data
    return sorted(path for path in (data / "lora_train").rglob("*") if path.suffix in (".json", ".jsonl", ".yaml")
                  and path.is_file() and "cache" not in path.parts)


def reading(furnished: Furnished, file: Path) -> list[tuple[Route, dict[str, Any]]]:
    """The routes that read ``file``: those of its run, or those of no run."""
    parts = file.relative_to(furnished.tab.services.runs_dir.parent).parts
    run = parts[1] if parts[0] == "runs" and len(parts) > 2 else ""
    also = ("POST goal/plan", "POST compare", "POST tools/publish/card", "POST knows/newest",
            "POST bases/runs/{run_id}/result", "POST runs/{run_id}/continue/check", "POST dataset/overview",
            "POST compare/suggestions", "POST compare/grids")
    found = []
    for route in routes_of(furnished.tab):
        if run and "run_id" in route.parts and (route.method == "GET" or route.name in also):
            found.append((route, {"run_id": run}))
        elif route.name in also or (route.method == "GET" and not route.parts and (not run or route.name in (
                "GET runs", "GET queue", "GET space", "GET bases"))):
            found.append((route, {}))
    return found


def test_a_damaged_file_neither_hides_a_run_nor_raises(with_results: Furnished):
    furnished, chance = with_results, random.Random(19)
    listed = {run["id"] for run in furnished.tab.get("runs").json()}
    assert len(listed) == 8 and len(files_of(furnished)) > 20
    ways = itertools.cycle(chance.sample(WAYS, len(WAYS)))
    nothing = Route("GET", "/train-lora/runs", (), (), ())
    with figure("damaged files") as counted:
        for file in files_of(furnished):
            for _ in range(count(USUALLY, EACH)):
                furnished.reset(nothing)
                damage(chance, file, way := next(ways))
                counted.tried += 1
                about = (str(file.relative_to(furnished.tab.data)), way,
                         file.read_bytes()[:2000] if file.is_file() and way != "device" else "")
                for route, given in reading(furnished, file):
                    answer = furnished.request(route, **given)
                    assert answer.status_code < 500, (about, route.name, answer.text[-1500:])
                    assert "[Errno" not in answer.text, (about, route.name, answer.text)
                    if route.name == "GET runs":
                        assert {run["id"] for run in answer.json()} == listed, about
                if file.name in NAMED_BY and way in ("words", "folder"):
                    check_it_is_named(furnished, file, about)
    furnished.reset(nothing)
    release_queue(furnished.tab.services.runs_dir)


def check_it_is_named(furnished: Furnished, file: Path, about: object) -> None:
    """The page has a sentence about the damaged ``file``."""
    where = NAMED_BY[file.name]
    tab, run = furnished.tab, file.parts[len(furnished.tab.services.runs_dir.parts)]
    asked = {"runs": "runs", "trash": "trash", "queue": "queue", "diagnosis": f"runs/{run}/diagnosis", "epochs":
             f"runs/{run}/epochs"}.get(where)
    if where == "result":
        kind = KNOWS if RunFolder(file.parent).command == KNOWS else BASES
        answer = tab.get(f"knows/runs/{run}/result") if kind == KNOWS else tab.post(
            f"bases/runs/{run}/result", {"job": {}})
    else:
        answer = tab.get(asked, seen="") if where == "diagnosis" else tab.get(asked)
    assert any(words in answer.text for words in (file.name, "cannot be read", "damaged")), (about, answer.text[:500])
