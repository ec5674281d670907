"""Small taggers and datasets, and a reporter that remembers what is reported to it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_lora_train.config.tag_job import TagJob, tag_job_from
from lib_lora_train.runs.control import RunControl
from lib_lora_train.runs.standing import Standing
from lib_lora_train.tagging.run import run_tagging

from .onnx_files import colour_model

DEMO = Path(__file__).resolve().parents[2] / "demo"
MINI_TAGGER = DEMO / "tagger" / "model.onnx"
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
COLOUR_TAGS = (("general", 9), ("explicit", 9), ("blue_thing", 0), ("green_thing", 0), ("red_thing", 0), ("^_^", 0),
               ("penny_(series)", 4))
# One row for blue, green, red, as the input is BGR: a colour's own tag gets sigmoid(255 · 0.02) = 0.994.
COLOUR_WEIGHTS = np.array([[0, -1, .02, -1, -1, .0, -1], [0, -1, -1, .02, -1, .0, -1], [0, -1, -1, -1, .02, .002, .01]])


@dataclass
class Reports:
    """A reporter; ``on_progress`` is called with the number of pictures done."""

    events: list[dict] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    phases: list[str] = field(default_factory=list)
    on_progress: object = None
    still_seconds: float = 0.0

    def event(self, event, fields=None):
        self.events.append({"event": event, **(fields or {})})

    def phase(self, name, text, total=None):
        self.phases.append(text)
        self.event("phase", {"name": name, "text": text})

    def progress(self, done, total):
        self.event("progress", {"done": done, "total": total})
        if self.on_progress:
            self.on_progress(done)

    def stood_still(self, seconds):
        self.still_seconds += seconds

    def say(self, text):
        pass

    def warning(self, text):
        self.warnings.append(text)
        self.event("warning", {"text": text})

    def close(self):
        pass

    @property
    def last(self) -> dict:
        return self.events[-1]


@pytest.fixture
def colour_tagger(tmp_path: Path) -> Path:
    """The path of a tagger that knows three colours, in a folder with its list of tags."""
    return make_colour_tagger(tmp_path / "taggers" / "colours")


def make_colour_tagger(folder: Path, weights: np.ndarray = COLOUR_WEIGHTS, **shape) -> Path:
    path = colour_model(folder / "model.onnx", weights, **shape)
    rows = [f"{number},{name},{category},1" for number, (name, category) in enumerate(COLOUR_TAGS)]
    (folder / "selected_tags.csv").write_text("\n".join(["tag_id,name,category,count", *rows]) + "\n")
    return path


def make_dataset(folder: Path, captions: dict[str, str | bytes | None], size: tuple[int, int] = (24, 24)) -> Path:
    """Pictures named ``<colour>_<anything>``, with the captions that are not ``None``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, caption in captions.items():
        picture = folder / f"{name}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, COLOURS[picture.name.split("_")[0]]).save(picture)
        if caption is not None:
            picture.with_suffix(".txt").write_bytes(caption.encode() if isinstance(caption, str) else caption)
    return folder


def captions_of(folder: Path) -> dict[str, str | None]:
    """Every picture's caption file, by the picture's name."""
    return {path.with_suffix("").relative_to(folder).as_posix():
            path.with_suffix(".txt").read_text() if path.with_suffix(".txt").exists() else None
            for path in sorted(folder.rglob("*.png"))}


def tag_job(folder: Path, model: Path | str, **settings: object) -> TagJob:
    """A tag job; ``settings`` are written ``group__name=value``."""
    values: dict[str, dict] = {"dataset": {"train_data_dir": str(folder)}, "tagger": {"model": str(model)}}
    for key, value in settings.items():
        group, name = key.split("__")
        values.setdefault(group, {})[name] = value
    return tag_job_from(values)


def tag(job: TagJob, results: Path, control: RunControl | None = None, reported: Reports | None = None) -> Reports:
    """Carry the job out as ``control`` lets it, and say what was reported."""
    reported, control = reported or Reports(), control or RunControl(results.parent / "nobody")
    standing = Standing(control, reported)
    run_tagging(job, results, control.asked, lambda: standing.wait(nullcontext), reported)
    return reported
