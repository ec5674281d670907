"""The demo, shortened: on the mini checkpoint a family of pictures it never saw is really learned."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lib_lora_train.cli import run_command
from lib_lora_train.cli.grid import draw_grid
from lib_lora_train.runs.events import EventWriter, read_events
from lib_lora_train.runs.folder import RunFolder, all_runs, create_run

LEAST_FALL = 0.15


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Two epochs of three steps instead of all, two prompts instead of all, at half the size, without diagnosis."""
    runs = tmp_path_factory.mktemp("demo")
    status = run_command(["demo", "--runs", str(runs), "training.max_train_epochs=2", "dataset.dataset_repeats=1",
                          "training.device=cpu", "diagnosis.diagnose=false", "dataset.resolution=64",
                          "sample.sample_steps=1", "sample.sample_prompts=['emoheart, red heart', 'red apple, fruit']"])
    assert status == 0
    return next(all_runs(runs))


@pytest.mark.slow
def test_the_loss_on_held_out_pictures_falls_by_fifteen_percent_at_least(demo):
    losses = [event["loss"] for event in read_events(demo.events_file)[0] if event["event"] == "validation"]
    print(f"loss on held-out images: {losses[0]:.4f} before, {losses[-1]:.4f} after")
    assert losses[-1] < (1 - LEAST_FALL) * losses[0]


@pytest.mark.slow
def test_the_grid_has_a_row_for_each_prompt_and_a_column_for_each_save(demo):
    grid = Image.open(demo.path / "grid.png")
    assert grid.width > 3 * 64 and grid.height > 2 * 64


def test_a_run_without_samples_has_no_grid(tmp_path: Path):
    run = create_run(tmp_path, "penny", "")
    with EventWriter(run.events_file) as events:
        events.write("finished")
    with pytest.raises(ValueError, match="no samples"):
        draw_grid(run, tmp_path / "grid.png")
