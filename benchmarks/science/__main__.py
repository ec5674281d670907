"""Which techniques are worth their place in the product? ``python -m benchmarks.science --help``.

Each way of training gets the same images, order, noise and number of steps, on two sets (the hearts of ``demo/`` and
drawn fish) with five seeds. It first chooses its rate on a sixth seed that does not count: of those to begin with, and
then of twice and half the best, until both are worse. Adaptive optimizers choose ``d_coef`` and further arguments in
this way; timesteps and ranks take over the baseline's rate. The table has, for each set,

  loss          of held-out images on fixed noise, relative to the base model at each of five timesteps, averaged
  difference    to the baseline with the same seed: mean ± standard error; below 0 is better
  drift         how far predictions without the trigger word move, relative to the base's own error
  step, memory  processor time of a step; bytes that are kept for each trained value beside itself and its gradient,
                and the number of trained values

A technique is useful if its difference is below minus twice its standard error on both sets, or if it is as good and
clearly saves memory or time, and its baseline learned at all. CAME and ProdigyPlusScheduleFree need the packages
came-pytorch and prodigy-plus-schedule-free; without them they are left out.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor

from benchmarks.planted import FISH, HEARTS, TRIGGERS, draw_fish_set, make_set
from benchmarks.science.techniques import (
    MovingAverages,
    RanksByTimestep,
    bytes_of_state,
    foreign_optimizer,
    oft_like,
)
from benchmarks.science.ways import (
    ADAMW,
    ADAPTIVE,
    FOREIGN,
    SEEDS,
    WAYS,
    Choice,
    Result,
    Way,
    next_run,
)
from lib_lora_train.batches.batches import Batch, load_batch
from lib_lora_train.batches.captions import BatchPosition
from lib_lora_train.cli.demo import DEMO_FOLDER
from lib_lora_train.config.change import changed
from lib_lora_train.config.job import Job
from lib_lora_train.config.load import job_from, job_to_yaml
from lib_lora_train.config.optimizer_args import parse_arguments
from lib_lora_train.diagnosis.drift import DriftMeter
from lib_lora_train.networks.create import create_network
from lib_lora_train.runs.events import EventWriter
from lib_lora_train.runs.folder import create_run
from lib_lora_train.training.model import TrainedModel
from lib_lora_train.training.optimizers.create import averaged_weights, effective_rate
from lib_lora_train.training.optimizers.plain import PlainSteps
from lib_lora_train.training.optimizers.schedules import make_schedule
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.setup import Prepared, make_learner, prepare
from lib_lora_train.training.step import Learner, train_step
from lib_lora_train.training.validation import validation_losses

SIDE = 64
WINDOWS = (0.1, 0.25)
"""Averages over these shares of the run; in 2,000 steps they are decays of 0.995 and 0.998."""
LEARNED = 0.95
"""A baseline above this, relative to the base model, has learned next to nothing: no comparison with it counts."""
EQUAL = 2.0
"""A way is as good as its baseline if it is worse by no more than these points, with two standard errors added."""


def job_of(name: str, folder: Path, steps: int) -> Job:
    """The training of the set ``name`` in ``folder``."""
    return job_from({
        "base": {"checkpoint": str(DEMO_FOLDER / "mini_sd15.safetensors"), "max_token_length": 75},
        "dataset": {"train_data_dir": str(folder / "train"), "validation_data_dir": str(folder / "held_out"),
                    "resolution": str(SIDE), "min_bucket_reso": SIDE, "max_bucket_reso": SIDE, "train_batch_size": 2,
                    "dataset_repeats": 1, "shuffle_caption": True, "keep_tokens": 1,
                    "activation_tag": TRIGGERS[name]},
        "network": {"network_dim": 16, "network_alpha": 16, "network_train_unet_only": True},
        "optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-3},
        "training": {"max_train_steps": steps, "device": "cpu", "mixed_precision": "no"},
        "save": {"output_name": name, "output_dir": str(folder / "loras")}})


def draw_sets(name: str, folder: Path) -> None:
    """The images to train on, and those that are held out."""
    make_set(name, folder / "train")
    if name == FISH:
        (folder / "held_out").mkdir()
        for number, path in enumerate(draw_fish_set(folder / "held_out", seed=11)):
            if number % 3:
                path.unlink()
                path.with_suffix(".txt").unlink()
    else:
        make_set(name, folder / "held_out")
        for path in (folder / "held_out").iterdir():
            path.unlink()
        for path in (DEMO_FOLDER / "held_out").iterdir():
            (folder / "held_out" / path.name).write_bytes(path.read_bytes())


class Bench:
    """One set on the mini checkpoint, on which networks are trained one after another."""

    def __init__(self, name: str, folder: Path, steps: int) -> None:
        draw_sets(name, folder)
        self.name, self.steps, self.job = name, steps, job_of(name, folder, steps)
        run = create_run(folder / "runs", name, job_to_yaml(self.job))
        with EventWriter(run.events_file) as events:
            self.prepared: Prepared = prepare(self.job, run, Reporter(events, terminal=False))
        model = self.prepared.learner.model
        with model.base_alone():
            self.of_base = validation_losses(model, self.prepared.validation, 0).mean(dim=0)
        self.drift = DriftMeter(model, self.job.dataset.size, 0)
        model.network.detach()

    def train(self, name: str, choice: Choice, seed: int) -> list[Result]:
        """Train the way ``name`` with the settings ``choice``; with averages, a result for each."""
        way, steps = WAYS[name], self.steps
        base = self.prepared.learner.model
        network = create_network(self.job.network, base.base.unet, base.base.text_encoders, seed)
        model = dataclasses.replace(base, network=oft_like(network) if way.oft else network)
        by_timestep = RanksByTimestep(model.base.unet, network) if way.ranks_by_timestep else None
        job, learner = self._learner(model, way, choice, seed)
        parameters = [one for one in model.network.parameters() if one.requires_grad]
        windows = {share: share * steps for share in WINDOWS} if way.averages else {}
        averages = MovingAverages(parameters, tuple(windows.values()))
        paces, highest = list[float](), 0.0
        with way.steps_with():
            for number, batch in enumerate(self._batches(job, seed, steps), start=1):
                highest = max(highest, effective_rate(learner.optimizer.param_groups[0], learner.optimizer))
                began = time.process_time()
                train_step(learner, [batch], job, number)
                paces.append(time.process_time() - began)
                averages.take()
        found: list[Result] = []

        def note(suffix: str, baseline: str, more: int = 0) -> None:
            loss, drift = self._measured(model)
            trained = sum(one.numel() for one in parameters)
            found.append(Result(self.name, name + suffix, baseline, seed, choice.rate, loss, drift,
                                statistics.median(paces), bytes_of_state(learner.optimizer) + more * 4 * trained,
                                trained, choice.options, highest))

        with averaged_weights(learner.optimizer):
            note("", way.baseline)
        for share, window in windows.items():
            with averages.used(window):
                note(f" + EMA over {share:.0%}", name, more=1)
        if by_timestep is not None:
            by_timestep.on = False
            note(", all ranks when drawing", way.baseline)
            by_timestep.remove()
        model.network.detach()
        return found

    def _learner(self, model: TrainedModel, way: Way, choice: Choice, seed: int) -> tuple[Job, Learner]:
        rate, options = choice
        job = changed(self.job, {"training.seed": seed, "scheduler.lr_scheduler": way.schedule,
                                 "optimizer.optimizer_args": options.split()})
        if way.optimizer not in FOREIGN:
            adaptive = way.optimizer in ADAPTIVE
            job = changed(job, {"optimizer.optimizer_type": way.optimizer, "optimizer.d_coef":
                                rate if adaptive else None, "optimizer.learning_rate": 1.0 if adaptive else rate,
                                "optimizer.text_encoder_lr": None if adaptive else rate / 2})
            return job, make_learner(model, job, self.steps)
        rows = [{"params": list(group.parameters), "part": group.part, "rate_factor": 1.0,
                 "lr": 1.0 if group.part == "unet" else 0.5} for group in model.network.parameter_groups()]
        optimizer = foreign_optimizer(way.optimizer, rows, rate, parse_arguments(options.split()))
        schedule = make_schedule(optimizer, job.scheduler, self.steps)
        prepared = model.accelerator.prepare_optimizer(optimizer)
        clip = job.optimizer.max_grad_norm if way.optimizer == "CAME" else 0.0  # ProdigyPlus advises against it
        return job, Learner(model, prepared, schedule,
                            PlainSteps(model.accelerator, prepared, list(model.network.parameters()), clip))

    def _batches(self, job: Job, seed: int, steps: int) -> list[Batch]:
        plan, latents, found = self.prepared.plan, self.prepared.latents.first, list[Batch]()
        epoch = 0
        while len(found) < steps:
            epoch += 1
            for number, indices in enumerate(plan.epoch_batches(seed, epoch)):
                found.append(load_batch(plan, indices, latents, job.dataset,
                                        BatchPosition(seed, epoch, number, len(found), steps)))
        return found[:steps]

    def _measured(self, model: TrainedModel) -> tuple[float, float]:
        by_timestep: Tensor = validation_losses(model, self.prepared.validation, 0).mean(dim=0)
        return float((by_timestep / self.of_base).mean()), self.drift.drift_of(model)


def measure(out: Path, sets: Sequence[str], names: Sequence[str], steps: int, minutes: float) -> list[Result]:
    """Train what ``results.json`` in ``out`` does not have yet, and begin no run after ``minutes``."""
    file, end = out / "results.json", time.monotonic() + 60 * minutes
    results = [Result(**row) for row in json.loads(file.read_text())] if file.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        benches = [Bench(of, Path(folder) / of, steps) for of in sets]
        for name, bench in ((name, bench) for name in names for bench in benches):
            while (run := next_run(results, bench.name, name)) is not None:
                began = time.monotonic()
                if began > end:
                    print("The time is over. Run the same command again for what is left.")
                    return results
                found = bench.train(name, *run)
                results += found
                file.write_text(json.dumps([asdict(one) for one in results], indent=0))
                print(f"{bench.name}, {name}, seed {run[1]}, {run[0].rate:g} {run[0].options}: "
                      f"{100 * found[0].loss:.2f} %, {time.monotonic() - began:.0f} s", flush=True)
    return results


_COLUMNS = ("way", "set", "chosen", "highest rate", "loss", "baseline", "difference ± SE", "drift", "step",
            "bytes a value", "values")


def table_of(results: Sequence[Result]) -> str:
    """The ways that all seeds are measured of, as a Markdown table, beside each way that they are compared with."""
    counted = {(one.set, one.way, one.seed): one for one in results if one.seed in SEEDS}
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    for name, of in dict.fromkeys((way, of) for of, way, _ in counted):
        runs = [counted[of, name, seed] for seed in SEEDS if (of, name, seed) in counted]
        for baseline in dict.fromkeys((runs[0].baseline, *_also(name))):
            others = [counted[of, baseline, seed] for seed in SEEDS if (of, baseline, seed) in counted]
            if len(runs) == len(others) == len(SEEDS):
                lines.append(_row(runs, others))
    return "\n".join(lines)


def _also(name: str) -> tuple[str, ...]:
    """What ``name`` is compared with besides its baseline; an average, with what its way is."""
    way = next((way for trained, way in WAYS.items() if name.startswith(f"{trained} + ")), None)
    if way is not None:
        return ADAMW, *way.also
    return WAYS[name].also if name in WAYS else ()


def _row(runs: Sequence[Result], others: Sequence[Result]) -> str:
    """One way beside its baseline: * for a difference of more than twice its standard error, = for as good."""
    apart = [100 * (run.loss - other.loss) for run, other in zip(runs, others, strict=True)]
    mean, error = statistics.mean(apart), statistics.stdev(apart) / len(apart) ** 0.5
    compared = ("", "")
    if runs != others:
        mark = " *" if abs(mean) > 2 * error else " =" if mean + 2 * error <= EQUAL else ""
        if statistics.mean(other.loss for other in others) > LEARNED:
            mark = " (void: the baseline did not learn)"
        compared = (others[0].way, f"{mean:+.2f} ± {error:.2f}{mark}")
    cells = (runs[0].way, runs[0].set, f"{runs[0].rate:g} {runs[0].options}".strip(),
             f"{statistics.median(run.highest for run in runs):.1e}",
             f"{100 * statistics.mean(run.loss for run in runs):.2f} %",
             *compared, f"{100 * statistics.mean(run.drift for run in runs):.1f} %",
             f"{1000 * statistics.median(run.step for run in runs):.0f} ms",
             f"{runs[0].kept / runs[0].trained:.1f}", str(runs[0].trained))
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure every way, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for results.json and science.md")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no run after these")
    parser.add_argument("--sets", nargs="*", default=[HEARTS, FISH], choices=[HEARTS, FISH])
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    chosen = parser.parse_args()
    missing = [name for name, package in FOREIGN.items() if find_spec(package) is None]
    if missing:
        print(f"Left out, since their packages are missing: {', '.join(missing)}")
    chosen.out.mkdir(parents=True, exist_ok=True)
    results = measure(chosen.out, chosen.sets, [name for name in chosen.ways if name not in missing], chosen.steps,
                      chosen.minutes)
    (chosen.out / "science.md").write_text(table_of(results) + "\n")
    print(table_of(results))


if __name__ == "__main__":
    main()
