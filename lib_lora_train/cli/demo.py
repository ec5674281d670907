"""``demo``: trains a small LoRA on the images in demo/ with the mini checkpoint, and generates samples."""

from __future__ import annotations

from pathlib import Path

from ..config.load import job_to_yaml, load_job
from ..runs.events import read_events
from ..runs.folder import create_run
from ..runs.process import only_worker
from .grid import draw_grid
from .train import carry_out
from .usage import options_of

DEMO_FOLDER = Path(__file__).resolve().parents[2] / "demo"


def demo_command(arguments: list[str]) -> int:
    """Train the demo; returns 0 if it finished."""
    options = options_of("demo", arguments)
    places = [f"base.checkpoint={DEMO_FOLDER / 'mini_sd15.safetensors'}",
              f"dataset.train_data_dir={DEMO_FOLDER / 'pictures'}",
              f"dataset.validation_data_dir={DEMO_FOLDER / 'held_out'}",
              f"save.output_dir={options.runs.resolve() / 'loras'}"]
    job = load_job(DEMO_FOLDER / "job.yaml", [*places, *options.settings])
    run = create_run(options.runs, job.save.output_name, job_to_yaml(job))
    with only_worker(run):
        status = carry_out(job, run)
    events = read_events(run.events_file)[0]
    if status or not any(event["event"] == "finished" for event in events):
        return status
    grid = draw_grid(run, run.path / "grid.png")
    validation = [event["loss"] for event in events if event["event"] == "validation"]
    print(f"\nLoss on images that were never trained on: {validation[0]:.4f} before, {validation[-1]:.4f} after "
          f"({100 * (validation[-1] / validation[0] - 1):+.0f} %).")
    print(f"The LoRA:    {next(event['path'] for event in reversed(events) if event['event'] == 'saved')}")
    print(f"The image: {grid}")
    return 0
