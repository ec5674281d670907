"""Whether the proposed epoch is the best one, on small sets: ``python -m benchmarks.best_epoch --help``.

Five small sets are drawn, each with three parts: images to train on, held-out images that the proposal sees, and other
images that say which epoch is truly best (lowest loss on fixed noise). Training has high rates and several networks, so
that most sets overfit, each at another epoch. A row has

  proposed                 the proposal with held-out images
  by mirrored, by enlarged with mirrored or enlarged training images in their place
  by nothing               by the loss on training images and the drift alone, as after a run that held nothing out
  truly best               the epoch with the lowest loss on the images that nothing else has seen
  apart                    epochs between them
  cost                     how much more loss the proposed epoch has than the best, and the last one than the best
"""

from __future__ import annotations

import argparse
import math
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate.state import AcceleratorState
from PIL import Image, ImageDraw

from lib_lora_train.cli.demo import DEMO_FOLDER
from lib_lora_train.config.job import Job
from lib_lora_train.config.load import job_from, job_to_yaml
from lib_lora_train.diagnosis.material import choose_pictures
from lib_lora_train.diagnosis.saved_files import FileMeter, SavedFile
from lib_lora_train.diagnosis.trained_on import TrainedOn
from lib_lora_train.runs.diagnosis.epochs import NOTHING, EpochMeasures, mean_loss
from lib_lora_train.runs.diagnosis.proposal import Proposal, propose
from lib_lora_train.runs.events import EventWriter, read_events
from lib_lora_train.runs.folder import create_run
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.run import run_training

SIDE = 64
HELD_OUT, TRUTH = 8, 24
COLORS = {"red": (220, 40, 40), "green": (40, 160, 60), "blue": (50, 80, 220), "yellow": (240, 210, 50),
          "purple": (140, 50, 170), "orange": (240, 140, 30), "brown": (130, 80, 40), "black": (20, 20, 20)}

Draw = Callable[[ImageDraw.ImageDraw, random.Random, tuple[int, int, int]], None]


@dataclass(frozen=True)
class Set:
    """A set to draw: its trigger word, how an image is drawn, how many are trained on, and how."""

    name: str
    draw: Draw
    images: int
    network_type: str
    rate: float
    epochs: int = 10
    repeats: int = 3


def _star(draw: ImageDraw.ImageDraw, rng: random.Random, color: tuple[int, int, int]) -> None:
    spikes, turn, size = 5, rng.uniform(-0.4, 0.4), rng.randint(38, 58)
    points = [(64 + math.sin(turn + math.pi * n / spikes) * size * (1 if n % 2 == 0 else 0.45),
               64 - math.cos(turn + math.pi * n / spikes) * size * (1 if n % 2 == 0 else 0.45))
              for n in range(2 * spikes)]
    draw.polygon(points, fill=color)
    draw.ellipse((52, 52, 58, 60), fill=(0, 0, 0))
    draw.ellipse((70, 52, 76, 60), fill=(0, 0, 0))


def _house(draw: ImageDraw.ImageDraw, rng: random.Random, color: tuple[int, int, int]) -> None:
    left, width, top = rng.randint(14, 30), rng.randint(64, 84), rng.randint(48, 62)
    draw.rectangle((left, top, left + width, 116), fill=color)
    draw.polygon([(left - 8, top), (left + width // 2, top - 36), (left + width + 8, top)], fill=(150, 60, 40))
    draw.rectangle((left + width // 2 - 8, 86, left + width // 2 + 8, 116), fill=(90, 60, 30))
    for column in range(rng.randint(1, 2)):
        draw.rectangle((left + 8 + 40 * column, top + 10, left + 22 + 40 * column, top + 24), fill=(200, 230, 250))


def _fish(draw: ImageDraw.ImageDraw, rng: random.Random, color: tuple[int, int, int]) -> None:
    left, top, length = rng.randint(12, 30), rng.randint(34, 58), rng.randint(56, 72)
    draw.ellipse((left, top, left + length, top + 38), fill=color)
    tail = left + length
    draw.polygon([(tail - 8, top + 19), (tail + 24, top), (tail + 24, top + 38)], fill=color)
    draw.ellipse((left + 10, top + 10, left + 18, top + 18), fill=(255, 255, 255))
    for stripe in range(rng.randint(1, 3)):
        at = left + 24 + 12 * stripe
        draw.line((at, top + 6, at, top + 32), fill=(255, 255, 255), width=4)


def _flag(draw: ImageDraw.ImageDraw, rng: random.Random, color: tuple[int, int, int]) -> None:
    top, height = rng.randint(14, 34), rng.randint(16, 22)
    draw.rectangle((16, 10, 22, 120), fill=(110, 90, 70))
    for stripe in range(3):
        fill = color if stripe != 1 else (250, 250, 250)
        draw.rectangle((22, top + stripe * height, 22 + rng.randint(78, 90), top + (stripe + 1) * height), fill=fill)


def _flower(draw: ImageDraw.ImageDraw, rng: random.Random, color: tuple[int, int, int]) -> None:
    middle, petals, turn = (rng.randint(52, 76), rng.randint(40, 56)), rng.randint(5, 8), rng.uniform(0, 1)
    draw.line((*middle, 64, 122), fill=(50, 130, 50), width=6)
    for petal in range(petals):
        angle = turn + 2 * math.pi * petal / petals
        x, y = middle[0] + 22 * math.cos(angle), middle[1] + 22 * math.sin(angle)
        draw.ellipse((x - 13, y - 13, x + 13, y + 13), fill=color)
    draw.ellipse((middle[0] - 11, middle[1] - 11, middle[0] + 11, middle[1] + 11), fill=(240, 200, 60))


SETS = (Set("zorstar", _star, 4, "LoRA-LierLa", 3e-3), Set("kelhouse", _house, 6, "LoRA-C3Lier", 1.5e-3),
        Set("mipfish", _fish, 8, "LyCORIS-LoCon", 3e-3, repeats=2), Set("tavflag", _flag, 5, "LyCORIS-LoHa", 6e-3),
        Set("bruflower", _flower, 10, "LoRA-LierLa", 5e-3, repeats=2))


def draw_set(of: Set, folder: Path, seed: int) -> None:
    """Draw the parts ``train``, ``held_out`` and ``truth`` of a set, each image with its caption."""
    rng = random.Random(f"{of.name}:{seed}")
    for part, count in (("train", of.images), ("held_out", HELD_OUT), ("truth", TRUTH)):
        target = folder / part
        target.mkdir(parents=True)
        for number in range(count):
            color, ground = rng.choice(sorted(COLORS)), rng.choice(("white", "white", "grey", "light blue"))
            picture = Image.new("RGB", (128, 128), {"white": (255, 255, 255), "grey": (180, 180, 180),
                                                    "light blue": (190, 220, 250)}[ground])
            of.draw(ImageDraw.Draw(picture), rng, COLORS[color])
            picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(target / f"{number:02d}.png")
            (target / f"{number:02d}.txt").write_text(f"{of.name}, {color}, {ground} background")


def job_of(of: Set, folder: Path, seed: int) -> Job:
    """The training job of a set."""
    return job_from({
        "base": {"checkpoint": str(DEMO_FOLDER / "mini_sd15.safetensors"), "max_token_length": 75},
        "dataset": {"train_data_dir": str(folder / "train"), "validation_data_dir": str(folder / "held_out"),
                    "resolution": str(SIDE), "min_bucket_reso": SIDE, "max_bucket_reso": SIDE, "train_batch_size": 2,
                    "dataset_repeats": of.repeats, "activation_tag": of.name},
        "network": {"network_type": of.network_type, "network_dim": 16, "network_alpha": 16,
                    **({"conv_dim": 8, "conv_alpha": 8} if of.network_type in ("LoRA-C3Lier", "LyCORIS-LoCon",
                                                                              "LyCORIS-LoHa") else {})},
        "optimizer": {"optimizer_type": "AdamW", "learning_rate": of.rate, "text_encoder_lr": of.rate / 2},
        "scheduler": {"lr_scheduler": "constant"},
        "training": {"max_train_epochs": of.epochs, "device": "cpu", "mixed_precision": "no", "seed": seed},
        "save": {"output_name": of.name, "output_dir": str(folder / "loras")}})


@dataclass(frozen=True)
class Outcome:
    """The proposals of one set, and what the images say that nothing else has seen."""

    proposed: Proposal
    mirrored: Proposal
    enlarged: Proposal
    nothing: Proposal
    measures: EpochMeasures
    truth: EpochMeasures

    @property
    def best(self) -> int:
        """The epoch with the lowest loss on the unseen images."""
        return min(self.truth.files, key=lambda file: mean_loss(file.held_out)).epoch

    def apart(self, proposal: Proposal) -> int | None:
        """Epochs between ``proposal`` and the best; ``None`` if none is proposed."""
        return None if proposal.file is None else abs(proposal.file.epoch - self.best)

    def cost(self, epoch: int) -> float:
        """How much more loss ``epoch`` has on the unseen images than the best."""
        by_epoch = {file.epoch: mean_loss(file.held_out) for file in self.truth.files}
        return by_epoch[epoch] / by_epoch[self.best] - 1


def outcome_of(of: Set, folder: Path, seed: int) -> Outcome:
    """Draw and train a set, and measure its files three times."""
    draw_set(of, folder, seed)
    job = job_of(of, folder, seed)
    run = create_run(folder / "runs", of.name, job_to_yaml(job))
    with EventWriter(run.events_file) as events:
        if not run_training(job, run, Reporter(events, terminal=False)):
            raise RuntimeError(read_events(run.events_file)[0][-1]["text"])
    files = [SavedFile(Path(event["path"]), event["step"], event["epoch"], event["final"])
             for event in read_events(run.events_file)[0] if event["event"] == "saved"]

    def measured(most: int, held_out: Path | None, *, strengths: bool = False, flipped: bool = False) -> EpochMeasures:
        measuring = replace(job, dataset=replace(job.dataset, train_batch_size=TRUTH, flip_aug=flipped,
                                                 validation_data_dir=held_out and str(held_out)))
        work = create_run(folder / "runs", "measure", job_to_yaml(measuring))
        with EventWriter(work.events_file) as events:
            reporter = Reporter(events, terminal=False)
            chosen = choose_pictures(measuring, most, reporter.warning, TrainedOn())
            if held_out == folder / "truth":
                chosen = replace(chosen, trained=())
            return FileMeter(measuring, chosen, work, reporter).measure(files, strengths=strengths)

    by_held_out = measured(HELD_OUT, folder / "held_out", strengths=True)
    by_mirrored, truth = measured(HELD_OUT, None), measured(TRUTH, folder / "truth")
    by_enlarged = measured(HELD_OUT, None, flipped=True)
    nothing = replace(by_mirrored, source=NOTHING, images=(), base=replace(by_mirrored.base, held_out=()),
                      files=tuple(replace(file, held_out=()) for file in by_mirrored.files))
    AcceleratorState._reset_state(reset_partial_state=True)
    return Outcome(propose(by_held_out), propose(by_mirrored), propose(by_enlarged), propose(nothing), by_held_out,
                   truth)


def row_of(of: Set, outcome: Outcome) -> str:
    """A line of the table."""
    def epoch(proposal: Proposal) -> str:
        return "none" if proposal.file is None else f"{proposal.file.epoch} ({proposal.sure})"

    chosen = outcome.proposed.file
    strength = "" if outcome.proposed.strength is None else f"{outcome.proposed.strength:g}"
    cost = "" if chosen is None else f"{outcome.cost(chosen.epoch):.1%}"
    return (f"| {of.name} | {of.images} | {of.network_type} | {epoch(outcome.proposed)} | {strength} | "
            f"{outcome.best} | "
            f"{outcome.apart(outcome.proposed)} | {epoch(outcome.mirrored)} | {epoch(outcome.enlarged)} | "
            f"{epoch(outcome.nothing)} | {cost} | "
            f"{outcome.cost(of.epochs):.1%} | {outcome.measures.files[-1].drift or 0:.2f} |")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser("python -m benchmarks.best_epoch", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sets", nargs="*", default=[of.name for of in SETS], choices=[of.name for of in SETS])
    parser.add_argument("--curves", action="store_true", help="print the losses of each epoch too")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print("| set | images | network | proposed | strength | truly best | apart | by mirrored | by enlarged | "
          "by nothing | cost | cost of the last | drift of the last |\n" + "|---" * 13 + "|")
    for of in SETS:
        if of.name in options.sets:
            with tempfile.TemporaryDirectory() as folder:
                outcome = outcome_of(of, Path(folder), options.seed)
            print(row_of(of, outcome), flush=True)
            if options.curves:
                for name, measures in (("held out", outcome.measures), ("truth", outcome.truth)):
                    files = (measures.base, *measures.files)
                    print("   ", name, *(f"{mean_loss(file.held_out):.4f}" for file in files))
                print("    trained", *(f"{mean_loss(file.trained):.4f}" for file in outcome.measures.files))
                print("    drift", *(f"{file.drift or 0:.3f}" for file in outcome.measures.files), flush=True)


if __name__ == "__main__":
    main()
