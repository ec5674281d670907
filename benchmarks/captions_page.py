"""The caption editor in a real browser against its goals: ``python -m benchmarks.captions_page --help``.

Measured in the page, from the click or key until what it is for is on the screen, with 2,000 images and the caches of
an earlier opening; the middle of several times:
  open        from "Open" to the first screenful of images with their names
  filter      from a filter that is pasted to the number of images that fit it
  keystroke   from the slowest letter typed into the filter to its answer
  complete    from a letter typed into a box for tags to the list of tags
  choose      from a click on an image to its tags
  bulk        from the button to the message that a tag was added to every caption; and its undo
  common      from Ctrl+A to the tags that all images share
  history     from the button to what the last edits have changed
With ``--before TREE``, a checkout of an earlier commit is measured in turn with this one, and ratios are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

GOALS = {"open": 0.2, "filter": 0.1, "keystroke": 0.1, "complete": 0.1, "choose": 0.1, "bulk": 0.5, "undo": 0.5,
         "common": 0.5, "history": 0.5}
TYPED = "tag 12 AND NOT (tag 7 OR *9)"
ROOT = Path(__file__).resolve().parents[1]
_SCRIPT = Path(__file__).with_suffix(".js")


def make_set(folder: Path, count: int) -> None:
    """``count`` images of noise with thirty tags each, of 600 in all; what is there already is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = random.Random(3)
    for number in range(count):
        tags = ["penny", *(f"tag {int(600 * drawn.random() ** 3)}" for _ in range(30))]
        file = folder / f"{number:05}.jpg"
        if not file.exists():
            cells = np.random.default_rng(number).integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(cells).resize((512, 512), Image.Resampling.BILINEAR).save(file, quality=85)
        file.with_suffix(".txt").write_text(", ".join(dict.fromkeys(tags)), encoding="utf-8")


def measure(folder: Path, data: Path, repeat: int) -> dict[str, list[float]]:
    """Every time in seconds, by what was measured; of the tree that is first in Python's path."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import CHROMIUM, FLAGS, go_to_tab
    from tests.browser.webui_process import WebuiProcess

    script = _SCRIPT.read_text(encoding="utf-8")
    webui = WebuiProcess(data, ["--worker", "scripted"]).start()
    found: dict[str, list[float]] = {name: [] for name in GOALS}
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            page.goto(webui.url, wait_until="domcontentloaded")
            go_to_tab(page)
            page.locator("#tl-tab-captions").click()
            page.fill("#tl_captions_folder", str(folder))
            page.click("#tl_captions_open")
            page.locator("#tl-panel-captions .tl-cell img[src]").first.wait_for()
            page.wait_for_timeout(8000)  # sizes and thumbnails of the first opening
            for _ in range(repeat):
                for name in GOALS:
                    value = page.evaluate(script, {"name": name, "typed": TYPED})
                    if value is not None:
                        found[name].append(value / 1000)
            browser.close()
    finally:
        webui.close()
    return found


def measured_in(tree: Path, given: argparse.Namespace, folder: Path) -> dict[str, list[float]]:
    """``measure`` in a process of its own whose code is that of ``tree``."""
    data = given.work / "data"
    shutil.rmtree(data, ignore_errors=True)
    command = [sys.executable, __file__, "--work", str(given.work), "--repeat", str(given.repeat),
               "--only", str(folder)]
    done = subprocess.run(command, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, check=True,
                          stdout=subprocess.PIPE, text=True)
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(trees: Sequence[str], found: Sequence[dict[str, list[float]]]) -> Iterator[str]:
    """A table of the middle times, their ratios to the goals, and of the last tree to the first."""
    yield "| measured | goal | " + " | ".join(trees) + (" | ratio |" if len(trees) > 1 else " |")
    yield "|-" * (len(trees) + 2 + (len(trees) > 1)) + "|"
    for name, goal in GOALS.items():
        middles = [statistics.median(times[name]) if times[name] else None for times in found]
        cells = ["–" if middle is None else f"{middle:.3f} s ({middle / goal:.2f} of goal)" for middle in middles]
        first, last = middles[0], middles[-1]
        ratio = [f"{last / first:.2f}" if first and last else "–"] if len(trees) > 1 else []
        yield f"| {name} | {goal:g} s | " + " | ".join([*cells, *ratio]) + " |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="a folder for the images, kept for the next time")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--before", type=Path, help="a checkout of the commit to compare with")
    parser.add_argument("--only", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        sys.stdout.write(json.dumps(measure(given.only, given.work / "data", given.repeat)) + "\n")
        return
    folder = given.work / f"noise-{given.count}"
    make_set(folder, given.count)
    trees = [("before", given.before)] if given.before else []
    trees += [("now", ROOT)]
    found = [measured_in(tree, given, folder) for _, tree in trees]
    sys.stdout.write("\n".join(report([name for name, _ in trees], found)) + "\n")


if __name__ == "__main__":
    main()
