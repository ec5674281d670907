"""How fast a tagging run is, against a plain loop that opens, looks at and writes one picture after the other.

    python benchmarks/tagging.py [--model FILE.onnx] [--pictures FOLDER | --count 400 --size 1024]

Both use the same ONNX file and the same preprocessing, and write a caption for each picture; the plain loop leaves
onnxruntime's settings as they are. Printed are the median of the rounds and the ratio. Without --pictures they are made
from the demo's, as JPEG files.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lib_lora_train.environment import ensure_worker_interpreter


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "demo" / "tagger" / "model.onnx")
    parser.add_argument("--pictures", type=Path, help="a folder that is copied; its captions are not touched")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--size", type=int, default=1024, help="longer side of the pictures that are made")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ensure_worker_interpreter(program=Path(__file__))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "set"
        if options.pictures:
            shutil.copytree(options.pictures, folder)
        else:
            make_pictures(folder, options.count, options.size)
        compare(folder, options.model, options.batch, options.rounds)


def make_pictures(folder: Path, count: int, size: int) -> None:
    """``count`` JPEG files of different shapes from the demo's pictures."""
    from PIL import Image

    folder.mkdir()
    sources = sorted((ROOT / "demo" / "pictures").glob("*.webp"))
    for number in range(count):
        with Image.open(sources[number % len(sources)]) as source:
            picture = source.convert("RGB").resize((size, size * (3 + number % 3) // 5))
        picture.save(folder / f"{number:05d}.jpg", quality=90)


def compare(folder: Path, model: Path, batch: int, rounds: int) -> None:
    """Time both by turns and print what they took."""
    ours: list[tuple[float, float]] = []
    plain: list[tuple[float, float]] = []
    for _ in range(rounds):
        plain.append(timed(folder, lambda: plain_loop(folder, model)))
        ours.append(timed(folder, lambda: tagging_run(folder, model, batch)))
    count = sum(path.suffix not in ("", ".txt") for path in folder.iterdir())
    print(f"{count} pictures with {model.parent.name}/{model.name}, median of {rounds} rounds")
    seconds = {}
    for name, times in (("plain loop, one by one", plain), ("tagging run", ours)):
        wall, cores = (statistics.median(part) for part in zip(*times, strict=True))
        seconds[name] = wall
        print(f"  {name:23} {wall:7.2f} s  {count / wall:7.1f} pictures/s  {cores:7.2f} s of all cores")
    one, other = seconds.values()
    print(f"  ratio                   {one / other:7.2f}")


def timed(folder: Path, work: Callable[[], None]) -> tuple[float, float]:
    """The seconds of ``work`` on pictures without captions, by the clock and of all cores."""
    for caption in folder.glob("*.txt"):
        caption.unlink()
    began, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - used


def plain_loop(folder: Path, model: Path) -> None:
    """What one writes in ten lines."""
    import onnxruntime

    from lib_lora_train.config.groups.tagging import TagRuleSettings
    from lib_lora_train.config.tagger_description import described
    from lib_lora_train.config.taggers import find_tagger
    from lib_lora_train.pictures.folders import is_picture_name
    from lib_lora_train.pictures.images import open_picture
    from lib_lora_train.tagging.choose import TagChooser
    from lib_lora_train.tagging.preprocess import prepared
    from lib_lora_train.tagging.tag_list import read_tag_list

    files = find_tagger(Path(), str(model))
    assert files is not None
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    node = session.get_inputs()[0]
    description = files.description or described()["wd"]
    chooser = TagChooser(read_tag_list(files.tags, description), TagRuleSettings())
    for path in sorted(folder.iterdir()):
        if is_picture_name(path.name):
            pixels = prepared(open_picture(path), node.shape[1], description.image)
            found = session.run(None, {node.name: pixels[None]})[0][0]
            path.with_suffix(".txt").write_text(", ".join(chooser.choose(found).tags))


def tagging_run(folder: Path, model: Path, batch: int) -> None:
    """The real thing, journal, confidences and all."""
    from lib_lora_train.config.tag_job import tag_job_from
    from lib_lora_train.runs.events import EventWriter
    from lib_lora_train.tagging.run import run_tagging
    from lib_lora_train.training.reporting.report import Reporter

    job = tag_job_from({"dataset": {"train_data_dir": str(folder)},
                        "tagger": {"model": str(model), "provider": "cpu", "batch_size": batch}})
    with tempfile.TemporaryDirectory() as run, EventWriter(Path(run) / "events.jsonl") as events:
        done = run_tagging(job, Path(run) / "tags.jsonl", lambda action: False, lambda: None,
                           Reporter(events, terminal=False))
    if not done:
        raise SystemExit("The run failed.")


if __name__ == "__main__":
    main()
