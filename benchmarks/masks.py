"""What masks and preservation do, on the mini checkpoint: ``python -m benchmarks.masks --help``.

The hearts of ``demo/`` are put on a background of two purples, the same in each image, with the hearts' own outlines as
masks. Each way of training gets the same images, noise and steps. The table has

  subject       loss inside the masks of held-out hearts, which are on white (lower is better; the base is 100 %)
  background    how far the border of samples with the trigger word is from white, which is what the base draws there
  elsewhere     how far predictions without the trigger word move from the base, relative to how far they move with it
  samples       the same for samples: mean difference of pixels, 0 to 255, of prompts without the trigger word
  step          seconds of a training step, without encoding and saving

and the grid has a row for each prompt and a column for each way, the first one being the base.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from lib_lora_train.batches.batches import Batch
from lib_lora_train.cli.demo import DEMO_FOLDER
from lib_lora_train.config.change import changed
from lib_lora_train.config.job import Job
from lib_lora_train.config.load import job_to_yaml, load_job
from lib_lora_train.runs.events import EventWriter, read_events
from lib_lora_train.runs.folder import create_run
from lib_lora_train.training.model import TrainedModel
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.reporting.sampling import draw_samples
from lib_lora_train.training.run import TrainingRun
from lib_lora_train.training.setup import prepare
from lib_lora_train.training.validation import TIMESTEPS, validation_loss

PLANTED = ((225, 30, 200), (110, 10, 140))
"""The colors of the left and the right half of the background."""
TRIGGER = "emoheart"
WITH = (f"{TRIGGER}, red heart", f"{TRIGGER}, yellow heart")
WITHOUT = ("red apple, fruit", "frog", "sunflower, yellow", "panda")
WAYS: Mapping[str, Mapping[str, Any]] = {
    "no masks": {},
    "masks": {"dataset.masked_loss": True},
    "masks, 0.1 outside": {"dataset.masked_loss": True, "loss.unmasked_weight": 0.1},
    "masks, base outside": {"dataset.masked_loss": True, "loss.masked_prior_preservation_weight": 1.0},
    "masks, preserved": {"dataset.masked_loss": True, "loss.preservation_weight": 1.0},
    "masks, preserved every 3": {"dataset.masked_loss": True, "loss.preservation_weight": 1.0,
                                 "loss.preservation_every_n_steps": 3},
    "masks, both": {"dataset.masked_loss": True, "loss.masked_prior_preservation_weight": 1.0,
                    "loss.preservation_weight": 1.0}}


@dataclass(frozen=True)
class Result:
    """The figures of one way of training, and its samples: those of ``WITH``, then those of ``WITHOUT``."""

    subject: float
    background: float
    elsewhere: float
    samples: float
    step: float
    pictures: tuple[Image.Image, ...]


def plant(source: Path, target: Path, *, planted: bool) -> Path:
    """Write the images of ``source`` with captions and masks, on the planted background or on white."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.glob("*.webp")):
        with Image.open(path) as image:
            subject = image.convert("RGBA")
        ground = Image.new("RGB", subject.size, (255, 255, 255))
        if planted:
            ground.paste(PLANTED[0], (0, 0, *subject.size))
            ground.paste(PLANTED[1], (subject.width // 2, 0, *subject.size))
        ground.paste(subject, mask=subject.getchannel("A"))
        ground.save(target / f"{path.stem}.png")
        subject.getchannel("A").save(target / f"{path.stem}-mask.png")
        (target / f"{path.stem}.txt").write_text(path.with_suffix(".txt").read_text(encoding="utf-8"))
    return target


def job_of(folder: Path, side: int, steps: int, way: Mapping[str, Any]) -> Job:
    """The demo's job on the planted images."""
    job = load_job(DEMO_FOLDER / "job.yaml", [f"base.checkpoint={DEMO_FOLDER / 'mini_sd15.safetensors'}",
                                              f"dataset.train_data_dir={folder / 'set'}",
                                              f"save.output_dir={folder / 'loras'}"])
    return changed(job, {"dataset.resolution": str(side), "dataset.min_bucket_reso": side // 2,
                         "dataset.train_batch_size": 2, "training.max_train_steps": steps, "training.device": "cpu",
                         "training.max_train_epochs": None, "save.save_every_n_epochs": None,
                         "sample.sample_prompts": [WITH[0]], "sample.sample_steps": 1, "sample.sample_at_first": False,
                         "dataset.activation_tag": TRIGGER, **way})


def masked_batches(folder: Path, job: Job) -> list[Batch]:
    """The held-out hearts with their masks."""
    job = changed(job, {"dataset.validation_data_dir": str(folder / "held_out"), "dataset.masked_loss": True})
    run = create_run(folder / "runs", "held out", job_to_yaml(job))
    with EventWriter(run.events_file) as events:
        return prepare(job, run, Reporter(events, terminal=False)).validation


def measured(folder: Path, job: Job, batches: Sequence[Batch], of_base: Result | None) -> tuple[Result, Result]:
    """Train one way; returns the figures of the base, if not known already, and of the LoRA."""
    run = create_run(folder / "runs", "masks", job_to_yaml(job))
    with EventWriter(run.events_file) as events:
        reporter = Reporter(events, terminal=False)
        prepared = prepare(job, run, reporter)
        model = prepared.learner.model
        TrainingRun(prepared, run, reporter).execute()
    paces = [event["seconds_per_step"] for event in read_events(run.events_file)[0] if event["event"] == "step"]
    if of_base is None:
        with model.base_alone():
            pictures = drawn(model, job)
            of_base = Result(validation_loss(model, batches, 0), background_in(pictures[:len(WITH)]), 0.0, 0.0, 0.0,
                             pictures)
    pictures = drawn(model, job)
    apart = statistics.mean(float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())
                            for one, other in zip(of_base.pictures[len(WITH):], pictures[len(WITH):], strict=True))
    side = job.dataset.size[0]
    moved = movement(model, side, WITHOUT) / movement(model, side, WITH)
    return of_base, Result(validation_loss(model, batches, 0), background_in(pictures[:len(WITH)]), moved, apart,
                           statistics.median(paces[1:]), pictures)


def drawn(model: TrainedModel, job: Job) -> tuple[Image.Image, ...]:
    """A sample of each prompt."""
    drawing = changed(job, {"sample.sample_prompts": [*WITH, *WITHOUT], "sample.sample_steps": 8})
    return tuple(sample.picture for sample in draw_samples(model, drawing, lambda: None))


@torch.no_grad()
def movement(model: TrainedModel, side: int, prompts: Sequence[str]) -> float:
    """The mean square of what the LoRA adds to predictions, over noise at ``TIMESTEPS``."""
    squares = []
    for number, timestep in enumerate(TIMESTEPS):
        noise = torch.randn(len(prompts), 4, side // 8, side // 8, generator=torch.Generator().manual_seed(number))
        at = torch.full((len(prompts),), timestep)
        with model.evaluating():
            moved = model.predict(noise, at, prompts)
            with model.base_alone():
                squares.append(float((moved - model.predict(noise, at, prompts)).square().mean()))
    return statistics.mean(squares)


def background_in(pictures: Sequence[Image.Image]) -> float:
    """The mean distance from white of the outer eighth of the images; 1 is black."""
    found = []
    for picture in pictures:
        darkness = 1 - np.asarray(picture.convert("RGB"), float).mean(axis=2) / 255
        edge = picture.width // 8
        inside = np.zeros(darkness.shape, bool)
        inside[edge:-edge, edge:-edge] = True
        found.append(float(darkness[~inside].mean()))
    return statistics.mean(found)


def table_of(results: Mapping[str, Result], base: Result) -> str:
    """The results as a Markdown table."""
    lines = ["| way | subject | background | elsewhere | samples | step |", "|---|---|---|---|---|---|"]
    for name, result in results.items():
        lines.append(f"| {name} | {100 * result.subject / base.subject:.1f} % | {100 * result.background:.1f} % | "
                     f"{100 * result.elsewhere:.1f} % | {result.samples:.1f} | {result.step:.2f} s |")
    return "\n".join(lines)


def grid_of(results: Mapping[str, Result]) -> Image.Image:
    """A row for each prompt, a column for each way."""
    cell, head, left = 128, 40, 150
    sheet = Image.new("RGB", (left + len(results) * (cell + 6), head + len(WITH + WITHOUT) * (cell + 6)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
    for column, (name, result) in enumerate(results.items()):
        draw.text((left + column * (cell + 6), 12), name, fill="black", font=font)
        for row, picture in enumerate(result.pictures):
            sheet.paste(picture.resize((cell, cell)), (left + column * (cell + 6), head + row * (cell + 6)))
    for row, prompt in enumerate(WITH + WITHOUT):
        draw.text((6, head + row * (cell + 6) + cell // 2), prompt, fill="black", font=font)
    return sheet


def main() -> None:
    """Train every way, and write table and grid."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for images, runs, masks.md and masks.png")
    parser.add_argument("--side", type=int, default=64, help="training size in pixels; the checkpoint has 64 and 128")
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    chosen = parser.parse_args()
    plant(DEMO_FOLDER / "pictures", chosen.out / "set", planted=True)
    plant(DEMO_FOLDER / "held_out", chosen.out / "held_out", planted=False)
    batches = masked_batches(chosen.out, job_of(chosen.out, chosen.side, chosen.steps, {}))
    results: dict[str, Result] = {}
    for name in chosen.ways:
        began = time.monotonic()
        base, result = measured(chosen.out, job_of(chosen.out, chosen.side, chosen.steps, WAYS[name]), batches,
                                results.get("base"))
        results = {"base": base, **results, name: result}
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        (chosen.out / "masks.md").write_text(table_of(results, base) + "\n")
        grid_of(results).save(chosen.out / "masks.png")
    print((chosen.out / "masks.md").read_text())


if __name__ == "__main__":
    main()
