"""``bake``: writes a copy of a LoRA file with block weights applied."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ..blocks.of_file import blocks_of_keys
from ..config.bake_job import BakeJob, load_bake_job
from ..errors import ConfigError, TrainLoraError
from ..files.atomic import write_atomically
from ..files.reading import read_file, reason
from ..runs.events import EventWriter
from ..runs.folder import RunFolder
from ..runs.process import only_worker
from ..training.reporting.report import Reporter
from .train import note_error, run_of
from .usage import options_of


def bake_command(arguments: list[str]) -> int:
    """Bake; returns 0 on success, 1 on failure."""
    options = options_of("bake", arguments)
    run = run_of(options.job)
    try:
        job = load_bake_job(options.job)
    except ConfigError as problem:
        if run is not None:
            note_error(run, problem)
        raise
    if run is None:
        print(f"Saved {bake_file(job, print)}")
        return 0
    with only_worker(run):
        return _in_run(job, run)


def _in_run(job: BakeJob, run: RunFolder) -> int:
    started = time.monotonic()
    with EventWriter(run.events_file) as events:
        reporter = Reporter(events)
        reporter.phase("bake", f"Baking block weights into a copy of {Path(job.lora).name}")
        try:
            reporter.saved(bake_file(job, reporter.say), step=0, epoch=0, final=True)
        except TrainLoraError as problem:
            reporter.event("error", {"text": str(problem), "detail": type(problem).__name__})
            return 1
        reporter.event("finished", {"steps": 0, "seconds": time.monotonic() - started})
    return 0


def bake_file(job: BakeJob, say: Callable[[str], None]) -> Path:
    """Write the copy and its ``.json`` beside the original; returns the copy's path.

    ``say`` gets a message if a list made for another file was adapted. Raises ``CheckpointError``, ``ConfigError`` or
    ``RunError`` on failure.
    """
    from ..networks.save import load_network_file, write_tensors
    from ..tools.bake import bake, baked_metadata

    file = load_network_file(Path(job.lora))
    fitted = job.fitted(blocks_of_keys(file.tensors, file.metadata))
    if fitted.sentence:
        say(fitted.sentence)
    path = file.path.with_name(f"{job.output_name}.safetensors")
    write_tensors(path, bake(file, fitted.weights), baked_metadata(file, fitted.weights, job.output_name))
    beside = file.path.with_suffix(".json")
    if beside.is_file() and not path.with_suffix(".json").exists():
        try:
            write_atomically(path.with_suffix(".json"), read_file(beside))
        except (OSError, ValueError) as problem:
            say(f"The copy is saved, but without {path.stem}.json for the webui's card: {reason(problem)}.")
    return path
