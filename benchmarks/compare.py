"""The same training job here and in another program, in turns, and the ratios: lower is better for this project.

    python benchmarks/compare.py --peer sd-scripts FOLDER [--peer-python PYTHON]    kohya-ss/sd-scripts, checked out
    python benchmarks/compare.py --peer commit REVISION                             an earlier version of this project

Each program is started anew for each round, A B A B and so on. Measured are the time from its start to the end of its
first step, the median step after that, both also as time for which cores were busy (which other programs on
the machine hardly change), the most memory that all its processes held, and, after equally many steps, the
loss of both LoRA files on held-out images. One evaluator measures that for both, with the same noise. It takes long, so
the table and the file of --json come before it, and again with it.

--checkpoint takes a file, or sd15 or sdxl for random weights in full size, made on the spot. sd-scripts only loads
checkpoints of full size. Both get one job, for sd-scripts by this project's export; what cannot be the same is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lib_lora_train.environment import ensure_worker_interpreter, worker_environ

ensure_worker_interpreter(program=Path(__file__))  # what follows needs the worker's packages

import torch

from benchmarks.comparing.programs import (
    Program,
    check_out,
    environment_for,
    peer_environ,
    remove_checkout,
    sd_scripts,
    settings_of,
    this_project,
)
from benchmarks.comparing.report import OURS, Measured, as_json, compare, table
from benchmarks.comparing.watching import watch
from lib_lora_train.advice.size import read_shapes
from lib_lora_train.cli.complete import complete
from lib_lora_train.config.change import changed
from lib_lora_train.config.job import Job
from lib_lora_train.config.load import job_from, merged
from lib_lora_train.config.text_yaml import read_typed
from lib_lora_train.environment.folders import ROOT_VARIABLE
from lib_lora_train.errors import TrainLoraError
from lib_lora_train.models.tokenizer import find_vocabulary
from lib_lora_train.pictures.images import PICTURE_ENDINGS
from lib_lora_train.training.precision import resolve_device
from tests.make_mini.vocabulary import write_text_folder

Both = tuple[list[Measured], list[Measured]]
"""What was measured of this project and of the other program, round by round."""
SD_SCRIPTS, COMMIT = "sd-scripts", "commit"
RANDOM = ("sd15", "sdxl")
_TOKENIZERS = {"openai_clip-vit-large-patch14": "", "laion_CLIP-ViT-bigG-14-laion2B-39B-b160k": "!",
               "stabilityai_stable-diffusion-2": "!"}
"""Folders in which sd-scripts looks for the tokenizer of each text encoder, and what fills up a window there."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print. Raises ``SystemExit`` with a sentence if something given cannot be used."""
    options = read_options(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="compare-")))
        job = job_of(options, folder)
        ours = this_project(ROOT, job, OURS)
        peer = peer_of(options, job, folder, stack)
        report(f"{options.steps} steps of {Path(job.base.checkpoint).name} at {job.dataset.resolution} px, batch "
             f"{job.dataset.train_batch_size}, rank {job.network.network_dim}, {job.optimizer.optimizer_type}, on "
             f"{resolve_device(job.training.device)}, {os.cpu_count()} cores.")
        for note in dict.fromkeys(peer.notes):
            report(f"Not the same: {note}")
        found, files = in_turns((ours, peer), folder, options, job)
        show(found, peer, options, job)
        if options.held_out is None:
            report("The held-out loss is not measured: name images with --held-out.")
            return
        report("Measuring the held-out loss, which takes a while.")
        found = with_losses(found, files, options, job)
    show(found, peer, options, job)


def show(found: Both, peer: Program, options: argparse.Namespace, job: Job) -> None:
    """Print the table, and write the file of ``--json``."""
    compared = compare(*found)
    print(table(compared, peer.name, options.rounds), flush=True)
    if options.json:
        about = {"peer": peer.name, "notes": list(dict.fromkeys(peer.notes)), "steps": options.steps,
                 "checkpoint": Path(job.base.checkpoint).name, "resolution": job.dataset.resolution,
                 "torch": torch.__version__}
        options.json.write_text(json.dumps(as_json(compared, *found, about), indent=1), encoding="utf-8")


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What is given on the command line, checked as far as that takes no work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", nargs=2, required=True, metavar=("KIND", "PLACE"),
                        help="sd-scripts and its folder, or commit and a revision")
    parser.add_argument("--peer-python", type=Path, help="the Python with the packages of sd-scripts (default: the "
                                                         "environment venv or .venv in its folder)")
    parser.add_argument("--checkpoint", default="sd15", help="a file, or sd15 or sdxl (default: %(default)s)")
    parser.add_argument("--dataset", type=Path, default=ROOT / "demo" / "pictures", help="a folder of images with .txt "
                        "captions (default: the demo's)")
    parser.add_argument("--held-out", type=Path, help="images to measure the loss on (default: the demo's, with the "
                                                      "demo's images)")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=256, help="pixels of a side (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--set", action="append", default=[], metavar="GROUP.SETTING=VALUE",
                        help="a setting of the job for both programs; can be given several times")
    parser.add_argument("--peer-set", action="append", default=[], metavar="OPTION=VALUE",
                        help="an option for sd-scripts alone, such as mixed_precision=bf16")
    parser.add_argument("--json", type=Path, help="write all numbers of all rounds into this file")
    options = parser.parse_args(arguments)
    problem = problem_with(options)
    if problem:
        raise SystemExit(problem)
    options.dataset = options.dataset.absolute()
    if options.held_out is None and options.dataset == ROOT / "demo" / "pictures":
        options.held_out = ROOT / "demo" / "held_out"
    return options


def problem_with(options: argparse.Namespace) -> str:
    """What cannot be used, in a sentence; empty if all can."""
    kind, _ = options.peer
    checkpoint, json_folder = options.checkpoint, options.json.absolute().parent if options.json else ROOT
    checks = [
        (kind in (SD_SCRIPTS, COMMIT), f"--peer is {kind!r}. Write --peer sd-scripts FOLDER or --peer commit "
                                       "REVISION."),
        (options.steps >= 2, f"--steps is {options.steps}. At least 2 are needed: the first one is measured apart."),
        (options.rounds >= 1, f"--rounds is {options.rounds}. It has to be 1 or more."),
        (checkpoint in RANDOM or Path(checkpoint).is_file(), f"--checkpoint is {checkpoint!r}, which is no file. Name "
                                                             "a checkpoint, or sd15 or sdxl for random weights."),
        (has_pictures(options.dataset), f"--dataset is {options.dataset}, where there are no images. Name a folder "
                                        "with images and .txt captions."),
        (options.held_out is None or has_pictures(options.held_out), f"--held-out is {options.held_out}, where there "
                                                                     "are no images."),
        (json_folder.is_dir(), f"--json is {options.json}, but there is no folder {json_folder}. Make it first."),
        (kind == SD_SCRIPTS or not options.peer_set, "--peer-set gives options to sd-scripts. A commit of this "
                                                     "project gets the job's settings: use --set."),
        *((("=" in given), f"{given!r} cannot be read. Write it as name=value.")
          for given in (*options.set, *options.peer_set))]
    return next((sentence for fine, sentence in checks if not fine), "")


def has_pictures(folder: Path) -> bool:
    """Whether ``folder`` or a folder in it holds an image."""
    return folder.is_dir() and any(path.suffix.lower() in PICTURE_ENDINGS
                                   for pattern in ("*", "*/*") for path in folder.glob(pattern))


def job_of(options: argparse.Namespace, folder: Path) -> Job:
    """The one job of both programs. Raises ``SystemExit`` if a setting cannot be used."""
    checkpoint = Path(options.checkpoint).absolute()
    if options.checkpoint in RANDOM:
        from benchmarks.weights import write_random

        report(f"Making a checkpoint of {options.checkpoint} with random weights.")
        checkpoint = write_random(options.checkpoint, folder / f"{options.checkpoint}.safetensors")
    pictures = folder / "images"
    grouped = any(path.is_dir() and path.name.partition("_")[0].isdigit() for path in options.dataset.iterdir())
    shutil.copytree(options.dataset, pictures if grouped else pictures / "1_images")
    values: dict[Any, Any] = {
        "base": {"checkpoint": str(checkpoint), "max_token_length": 75},
        "dataset": {"train_data_dir": str(pictures), "resolution": str(options.size)},
        "network": {"network_dim": 32, "network_alpha": 0}, "loss": {"min_snr_gamma": None},
        "optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-4}, "scheduler": {"lr_scheduler": "constant"},
        "training": {"max_train_epochs": None, "max_train_steps": options.steps, "device": options.device,
                     "webui_model": "file"},
        "save": {"output_name": "compared", "output_dir": str(folder)}}
    try:
        for given in options.set:
            key, _, value = given.partition("=")
            group, _, name = key.partition(".")
            values = merged(values, {group: {name: read_typed(value)}})
        complete(values)
        job = job_from(values, source="The job of both programs")
        resolve_device(job.training.device)
    except TrainLoraError as problem:
        raise SystemExit(str(problem)) from None
    return job


def peer_of(options: argparse.Namespace, job: Job, folder: Path, stack: ExitStack) -> Program:
    """The other program. Raises ``SystemExit`` if it cannot be used."""
    kind, place = options.peer
    if kind == COMMIT:
        tree = folder / "commit"
        stack.callback(remove_checkout, ROOT, tree)
        name = f"commit {check_out(ROOT, place, tree)}"
        environment = environment_for(tree, folder / "worker_env")
        known = settings_of(tree, worker_environ() | {ROOT_VARIABLE: str(environment)})
        return this_project(tree, job, name, known, environment)
    scripts = Path(place).absolute()
    if not (scripts / "train_network.py").is_file():
        raise SystemExit(f"--peer sd-scripts {place}: there is no train_network.py. Name the folder in which "
                         "kohya-ss/sd-scripts is checked out.")
    python = peer_python(options.peer_python, scripts)
    shapes = read_shapes(Path(job.base.checkpoint))
    if not shapes:
        raise SystemExit(f"{job.base.checkpoint} is no .safetensors checkpoint, which the export needs. Choose one.")
    notes = []
    if job.training.mixed_precision == "auto" and resolve_device(job.training.device).type == "cpu":
        job = changed(job, {"training.mixed_precision": "no"})
        notes.append("training.mixed_precision is auto here; sd-scripts has no auto and computes in float32, its "
                     "default. --peer-set mixed_precision=bf16 changes that.")
    try:
        given = dict(one.split("=", 1) for one in options.peer_set)
        program = sd_scripts(scripts, python, job, shapes, tokenizers(folder / "tokenizers"), given)
    except ValueError as problem:
        raise SystemExit(f"The job cannot be exported for sd-scripts: {problem}") from None
    return replace(program, notes=(*notes, *program.notes))


def peer_python(given: Path | None, scripts: Path) -> Path:
    """The Python of sd-scripts. Raises ``SystemExit`` if there is none, or none with torch."""
    inside = Path("Scripts/python.exe") if os.name == "nt" else Path("bin/python")
    candidates = [given] if given else [scripts / name / inside for name in ("venv", ".venv")]
    python = next((candidate for candidate in candidates if candidate.is_file()), None)
    if python is None:
        raise SystemExit(f"There is no Python {' or '.join(map(str, candidates))}. Name the one that has the packages "
                         "of sd-scripts with --peer-python.")
    python = python.absolute()
    tried = subprocess.run([str(python), "-c", "import torch, accelerate, diffusers, transformers"], text=True,
                           capture_output=True, env=peer_environ(python), check=False)
    if tried.returncode:
        why = (tried.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise SystemExit(f"{python} cannot run sd-scripts: {why}. Install its requirements.txt there, or name another "
                         "Python with --peer-python.")
    return python


def tokenizers(folder: Path) -> Path:
    """Write CLIP's tokenizers where ``--tokenizer_cache_dir`` has them looked for, from this project's vocabulary."""
    for name, padding in _TOKENIZERS.items():
        write_text_folder(find_vocabulary(), folder / name)
        file = folder / name / "tokenizer_config.json"
        if padding:
            file.write_text(json.dumps({**json.loads(file.read_text()), "pad_token": padding}), encoding="utf-8")
    return folder


def in_turns(programs: tuple[Program, Program], folder: Path, options: argparse.Namespace,
             job: Job) -> tuple[Both, list[Path]]:
    """Run both programs ``--rounds`` times in turns; returns also the LoRA files that they made, in that order."""
    gpu = resolve_device(job.training.device).type == "cuda"
    measured: Both = ([], [])
    files: list[Path] = []
    for number in range(1, options.rounds + 1):
        for program, found in zip(programs, measured, strict=True):
            place = folder / f"{program.name.replace(' ', '-')}-{number}"
            place.mkdir()
            started = program.start(place)
            watched = watch(started, program.name, gpu=gpu)
            found.append(Measured(watched.first_step_seconds, statistics.median(watched.step_seconds),
                                  watched.first_step_processor_seconds, watched.step_processor_seconds,
                                  watched.peak.total, watched.peak.own, watched.peak.gpu if gpu else None))
            files.append(started.lora)
            report(f"Round {number}, {program.name}: first step after {found[-1].first_step_seconds:.1f} s, then "
                 f"{found[-1].step_seconds:.2f} s a step, {found[-1].memory_bytes / 2 ** 30:.2f} GB.")
    return measured, files


def with_losses(found: Both, files: Sequence[Path], options: argparse.Namespace, job: Job) -> Both:
    """``found`` with the held-out loss of each of ``files``."""
    from benchmarks.comparing.held_out import held_out_losses

    base, *losses = held_out_losses(job, options.held_out, [None, *files])
    report(f"Held-out loss without a LoRA: {base:.5f}.")
    ours, peer = ([replace(one, held_out_loss=loss) for one, loss in zip(side, losses[place::2], strict=True)]
                  for place, side in enumerate(found))
    return ours, peer


def report(sentence: str) -> None:
    """Progress goes to standard error, so that the table can be kept."""
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
