"""The caption editor against its goals, through a served webui: ``python -m benchmarks.captions --help``.

Pictures are real: the drawings of the npm package ``@lobehub/fluent-emoji-3d`` (MIT), each on three grounds, tagged
with the keywords of the npm package ``emojilib`` (MIT); without them, cuttings of the photographs that come with
``scikit-image`` (public domain or CC0), tagged with their names and places. The report says which.

Measured over HTTP on one connection after another, as the page asks, with the caches empty:
  opening      from "Open" to the 28 thumbnails of the first screenful
  keystroke    the answer to each letter typed into the filter; the slowest counts
  bulk edit    one tag added to every caption, until every file is replaced; and its undo
  memory       what the server's process has grown by after all that
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

from tests.browser.webui_process import WebuiProcess

SCREENFUL = 28
SIDE = 512
GROUNDS = ((255, 255, 255), (214, 226, 240), (40, 44, 54))
TYPED = "animal AND NOT (face OR *cat*)"
GOALS = {"opening": (2.0, "s"), "keystroke": (0.1, "s"), "bulk edit": (2.0, "s"), "undo": (2.0, "s"),
         "memory": (500, "MB")}


@dataclass(frozen=True)
class Source:
    """Real pictures with their tags; ``about`` says where they come from."""

    about: str
    pictures: Callable[[], Iterator[tuple[Image.Image, list[str]]]]


def emoji(folder: Path, words_folder: Path) -> Source:
    """The drawings of ``@lobehub/fluent-emoji-3d``, unpacked in ``folder``."""
    files = sorted((folder / "assets").glob("*.webp"))
    words = json.loads((words_folder / "dist" / "emoji-en-US.json").read_bytes())
    tags = {"-".join(f"{ord(sign):x}" for sign in key if sign != "\ufe0f"): value for key, value in words.items()}

    def pictures() -> Iterator[tuple[Image.Image, list[str]]]:
        for ground in GROUNDS:
            for file in files:
                drawing = Image.open(file).convert("RGBA").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
                sheet = Image.new("RGBA", drawing.size, (*ground, 255))
                code = file.stem.replace("-fe0f", "")
                keywords = tags.get(code, tags.get(code.split("-")[0], ["person"]))
                yield (Image.alpha_composite(sheet, drawing).convert("RGB"),
                       ["emo", *dict.fromkeys(word.replace("_", " ") for word in keywords)])

    return Source(f"{len(files)} drawings of @lobehub/fluent-emoji-3d on {len(GROUNDS)} grounds", pictures)


def photographs() -> Source:
    """Cuttings of scikit-image's photographs. Raises ``ImportError`` without it."""
    import skimage.data

    names = ("astronaut", "cat", "coffee", "rocket", "chelsea", "hubble_deep_field", "immunohistochemistry", "retina")
    sheets = {name: Image.fromarray(getattr(skimage.data, name)()).convert("RGB") for name in names
              if hasattr(skimage.data, name)}

    def pictures() -> Iterator[tuple[Image.Image, list[str]]]:
        drawn = random.Random(1)
        while True:
            name, sheet = drawn.choice(sorted(sheets.items()))
            side = drawn.randint(96, min(sheet.size))
            left, top = drawn.randint(0, sheet.width - side), drawn.randint(0, sheet.height - side)
            cut = sheet.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            places = [f"column {left // 32}", f"row {top // 32}", f"zoom {side // 32}", f"tag {drawn.randint(0, 3000)}"]
            yield cut, ["photo", name, "animal" if name in ("cat", "chelsea") else "thing", *places]

    return Source(f"cuttings of {len(sheets)} photographs of scikit-image", pictures)


def make_set(source: Source, folder: Path, count: int) -> None:
    """Write ``count`` pictures with captions, of three file formats; what is there already is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    endings = (("jpg", {"quality": 85}), ("webp", {"quality": 80, "method": 0}), ("png", {"compress_level": 1}))
    drawn = random.Random(2)
    for number, (picture, tags) in zip(range(count), source.pictures(), strict=False):
        ending, options = endings[number % len(endings)]
        file = folder / f"{number:05}.{ending}"
        if not file.exists():
            picture.save(file, **options)
        drawn.shuffle(tags[1:])
        file.with_suffix(".txt").write_text(", ".join(tags), encoding="utf-8")


class Page:
    """What the browser's page would ask."""

    def __init__(self, webui: WebuiProcess, folder: Path) -> None:
        self._webui = webui
        self._body = {"folder": str(folder)}

    def ask(self, route: str, **body: Any) -> dict[str, Any]:
        answer = self._webui.post(f"captions/{route}", {**self._body, **body})
        if "session" in answer:
            self._body["session"] = answer["session"]
        return answer

    def open(self) -> None:
        """Until the first screenful of thumbnails is there, four at a time."""
        self.ask("open")
        numbers = self.ask("view")["numbers"][:SCREENFUL]
        cells = self.ask("cells", numbers=numbers)["cells"]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._image, cells))

    def _image(self, cell: dict[str, Any]) -> int:
        query = urllib.parse.urlencode({**self._body, "path": cell["path"], "size": 256})
        with urllib.request.urlopen(f"{self._webui.url}train-lora/captions/image?{query}", timeout=120) as answer:
            return len(answer.read())


def measure(folder: Path, data: Path) -> dict[str, tuple[float, float]]:
    """For each goal the value and, of times, the processor seconds of the server."""
    shutil.rmtree(data, ignore_errors=True)
    webui = WebuiProcess(data, ["--worker", "scripted"]).start()
    try:
        process = psutil.Process(webui.pid)
        page = Page(webui, folder)
        before = process.memory_info().rss
        found = {"opening": timed(process, page.open)}
        while not page.ask("view")["sizes_ready"]:
            time.sleep(0.1)
        strokes = [timed(process, lambda end=end: page.ask("view", filter=TYPED[:end]))
                   for end in range(1, len(TYPED) + 1)]
        found["keystroke"] = max(strokes)
        found["bulk edit"] = timed(process, lambda: page.ask("apply", operation={"kind": "add", "tags": ["new tag"]}))
        found["undo"] = timed(process, lambda: page.ask("undo"))
        found["memory"] = ((process.memory_info().rss - before) / 1e6, 0.0)
        return found
    finally:
        webui.close()


def timed(process: psutil.Process, act: Callable[[], Any]) -> tuple[float, float]:
    """Seconds on the clock and of the server's processor time."""
    used, begin = sum(process.cpu_times()[:2]), time.perf_counter()
    act()
    return time.perf_counter() - begin, sum(process.cpu_times()[:2]) - used


def report(counts: Sequence[int], found: dict[int, dict[str, tuple[float, float]]]) -> Iterator[str]:
    """A table of the values and their ratios to the goals; below 1 the goal is met."""
    yield "| pictures | " + " | ".join(f"{name} (goal {goal:g} {unit})" for name, (goal, unit) in GOALS.items()) + " |"
    yield "|-" * (len(GOALS) + 1) + "|"
    for count in counts:
        cells = []
        for name, (goal, unit) in GOALS.items():
            value, processor = found[count][name]
            spent = f", {processor:.2f} s of processor" if unit == "s" else ""
            digits = 0 if unit == "MB" else 3 if goal < 1 else 2
            cells.append(f"{value:.{digits}f} {unit}: {value / goal:.2f} of goal{spent}")
        yield f"| {count} | " + " | ".join(cells) + " |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--work", type=Path, required=True, help="a folder for the pictures, kept for the next time")
    parser.add_argument("--emoji", type=Path, help="the unpacked npm package @lobehub/fluent-emoji-3d")
    parser.add_argument("--words", type=Path, help="the unpacked npm package emojilib")
    parser.add_argument("--repeat", type=int, default=1, help="how often; the best of each value is reported")
    given = parser.parse_args()
    source = emoji(given.emoji, given.words) if given.emoji and given.words else photographs()
    sys.stdout.write(f"Pictures: {source.about}. {os.cpu_count()} processors.\n")
    found: dict[int, dict[str, tuple[float, float]]] = {}
    for count in given.counts:
        folder = given.work / f"pictures-{count}"
        make_set(source, folder, count)
        runs = []
        for _ in range(given.repeat):
            runs.append(measure(folder, given.work / "data"))
            load = os.getloadavg()[0]
            sys.stdout.write(f"{count} pictures measured; others kept {load:.1f} processors busy.\n")
        found[count] = {name: min(run[name] for run in runs) for name in GOALS}
    sys.stdout.write(f"The best of {given.repeat}:\n" + "\n".join(report(given.counts, found)) + "\n")


if __name__ == "__main__":
    main()
