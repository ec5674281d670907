"""Does the diagnosis find planted faults? ``python -m benchmarks.diagnosis --help``.

A fault is planted into the hearts of ``demo/`` and into drawn fish, and a LoRA is trained on the mini checkpoint in a
few steps, with the diagnosis on. The table says in how many of the seeds the fault is among the first three findings,
and in how many an alarm names it, beside two simpler ways: the images with the highest loss at the end, and three
random images. A clean set should raise no alarm.

  other       one image of another thing, with a caption of the set
  caption     one image with the caption of another
  tag         a tag that is not true, in a tenth of the captions
  duplicate   an image and a smaller, recompressed copy of it

So short a run has little time to measure, so the clock of the diagnosis counts predictions here, and its share is set
such that it makes as many of each image as in 1000 steps of two images, at 5 %. Measurements are kept in ``--out``;
``--again`` judges them anew.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

import torch

from benchmarks.planted import CLEAN, FAULTS, SETS, TAG, TRIGGERS, make_set, plant
from lib_lora_train.cli.demo import DEMO_FOLDER
from lib_lora_train.config.change import changed
from lib_lora_train.config.job import Job
from lib_lora_train.config.load import job_to_yaml, load_job
from lib_lora_train.diagnosis.judging.findings import findings_of
from lib_lora_train.diagnosis.observer import DiagnosisObserver
from lib_lora_train.files.json_file import read_object
from lib_lora_train.runs.diagnosis.records import FOLDER, DiagnosisPlan, Measurement, read_measurements, read_plan
from lib_lora_train.runs.events import EventWriter
from lib_lora_train.runs.folder import create_run
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.run import TrainingRun
from lib_lora_train.training.setup import prepare

FIRST = 3
STEPS = 12
PER_IMAGE = 20
"""Predictions of each image: 5 % of 1000 steps of two images, for 20 to 24 images."""
_STEP_COST = 3.5
"""A training step takes as long as this many predictions for the same images."""


@dataclass(frozen=True)
class Verdict:
    """Where the planted fault is, from 1, by each way; ``alarm``: whether one names it, ``alarms``: how many others."""

    rank: int
    alarm: bool
    alarms: int
    by_loss: int
    by_chance: float


class CountedTime:
    """A clock that counts the images of the UNet's predictions; those of training take longer."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watch(self, unet: torch.nn.Module) -> None:
        """Count the predictions of ``unet``."""
        unet.register_forward_pre_hook(self._count)

    def __call__(self) -> float:
        """The time."""
        return self.seconds

    def _count(self, _: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        self.seconds += len(inputs[0]) * (_STEP_COST if torch.is_grad_enabled() else 1.0)


def job_of(name: str, folder: Path, seed: int, steps: int, side: int, per_image: int) -> Job:
    """A short training of the set ``name`` in ``folder``/set, with time for ``per_image`` predictions of each image."""
    job = load_job(DEMO_FOLDER / "job.yaml", [f"base.checkpoint={DEMO_FOLDER / 'mini_sd15.safetensors'}",
                                              f"dataset.train_data_dir={folder / 'set'}",
                                              f"save.output_dir={folder / 'loras'}"])
    batch = 4
    images = len(list((folder / "set").glob("*.txt")))
    measuring, training = per_image * images, steps * batch * _STEP_COST
    return changed(job, {
        "dataset.resolution": str(side), "dataset.min_bucket_reso": side // 2, "dataset.train_batch_size": batch,
        "dataset.dataset_repeats": 1, "dataset.activation_tag": TRIGGERS[name], "training.max_train_steps": steps,
        "training.max_train_epochs": None, "training.device": "cpu", "training.seed": seed,
        "save.save_every_n_epochs": None, "save.save_every_n_steps": steps // 3, "sample.sample_prompts": [],
        "optimizer.learning_rate": 1e-3, "optimizer.text_encoder_lr": 5e-4,
        "diagnosis.diagnosis_share": 100 * measuring / (measuring + training)})


def measure(name: str, fault: str, seed: int, out: Path, steps: int, side: int, per_image: int = PER_IMAGE,
            *, train: bool = True) -> None:
    """Plant, train and measure; leaves ``plan.json``, ``measurements.jsonl`` and ``planted.json`` in ``out``.

    Without ``train``, it is measured only what a run measures before its first step.
    """
    work = out / "work"
    shutil.rmtree(out, ignore_errors=True)
    pictures = make_set(name, work / "set")
    planted = plant(fault, name, pictures, random.Random(f"{name} {fault} {seed}"))
    job = job_of(name, work, seed, steps, side, per_image)
    run = create_run(work / "runs", "diagnosis", job_to_yaml(job))
    clock = CountedTime()
    with EventWriter(run.events_file) as events:
        reporter = Reporter(events, terminal=False)
        observer = DiagnosisObserver(job, run, reporter, clock)
        prepared = prepare(job, run, reporter, observers=[observer])
        clock.watch(prepared.learner.model.base.unet)
        if train:
            TrainingRun(prepared, run, reporter, [observer]).execute()
        else:
            observer.begin(prepared)
    shutil.copytree(run.path / FOLDER, out, dirs_exist_ok=True)
    (out / "planted.json").write_text(json.dumps(asdict(planted)), encoding="utf-8")
    shutil.rmtree(work)


def judge(out: Path, fault: str) -> Verdict:
    """Where the findings of the measurements in ``out`` have the planted fault."""
    plan, measurements = read_plan(out), read_measurements(out)
    assert plan is not None and measurements, out
    found = read_object(out / "planted.json")
    names = [PurePath(image.path).name for image in plan.images]
    planted = {names.index(name) for name in found["images"]}
    findings = findings_of(plan, measurements)
    alarms = sum(one.alarm for one in findings.images) + sum(one.alarm for one in findings.tags)
    if fault == TAG:
        ranks = [one.rank for one in findings.tags if one.tag == found["tag"]]
        alarm = any(one.alarm and one.tag == found["tag"] for one in findings.tags)
        alarms -= alarm
        chance = min(1.0, FIRST / len(_rankable_tags(plan)))
    else:
        ranks = [one.rank for one in findings.images if one.image in planted]
        named = sum(one.alarm for one in findings.images if one.image in planted)
        alarm, alarms = bool(named), alarms - named
        chance = 1 - math.comb(len(names) - len(planted), FIRST) / math.comb(len(names), FIRST)
    return Verdict(min(ranks, default=10**6), alarm, alarms, _rank_by_loss(plan, measurements, planted), chance)


def _rankable_tags(plan: DiagnosisPlan) -> set[str]:
    """The tags that more than one image has, but not all: others cannot be compared."""
    counts = Counter(tag for image in plan.images for tag in set(image.tags))
    return {tag for tag, count in counts.items() if 1 < count < len(plan.images)}


def _rank_by_loss(plan: DiagnosisPlan, measurements: Sequence[Measurement], planted: set[int]) -> int:
    losses = {image: sum(row) for image, row in enumerate(measurements[-1].loss) if row}
    order = sorted(losses, key=lambda image: -losses[image])
    return min((order.index(image) + 1 for image in planted if image in losses), default=10**6)


def table_of(verdicts: Mapping[tuple[str, str], Sequence[Verdict]]) -> str:
    """The results as a Markdown table."""
    lines = ["| set | planted | in the first 3 | with an alarm | other alarms | highest loss | at random |",
             "|---|---|---|---|---|---|---|"]
    for (name, fault), found in verdicts.items():
        count = len(found)
        others = sum(one.alarms > 0 for one in found)
        if fault == CLEAN:
            lines.append(f"| {name} | nothing | | | {others} of {count} | | |")
            continue
        lines.append(f"| {name} | {fault} | {sum(one.rank <= FIRST for one in found)} of {count} | "
                     f"{sum(one.alarm for one in found)} of {count} | {others} of {count} | "
                     f"{sum(one.by_loss <= FIRST for one in found)} of {count} | "
                     f"{sum(one.by_chance for one in found):.1f} of {count} |")
    return "\n".join(lines)


def main() -> None:
    """Measure every case that is not measured yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the measurements and diagnosis.md")
    parser.add_argument("--side", type=int, default=64, help="training size in pixels; the checkpoint has 64 and 128")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--before", action="store_true", help="measure only before the first step, and do not train")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--faults", nargs="*", default=[CLEAN, *FAULTS], choices=[CLEAN, *FAULTS])
    parser.add_argument("--sets", nargs="*", default=SETS, choices=SETS)
    parser.add_argument("--again", action="store_true", help="judge what is measured, and measure nothing")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    cases = [(seed, name, fault) for seed in range(chosen.seeds) for name in chosen.sets for fault in chosen.faults]
    verdicts: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for seed, name, fault in cases:
        out = chosen.out / f"{name}-{fault}-{seed}"
        if not (out / "planted.json").exists():
            if chosen.again:
                continue
            measure(name, fault, seed, out, chosen.steps, chosen.side, train=not chosen.before)
        verdicts[name, fault].append(judge(out, fault))
        print(f"{out.name}: {verdicts[name, fault][-1]}", flush=True)
    table = table_of(verdicts)
    (chosen.out / "diagnosis.md").write_text(f"{table}\n", encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
