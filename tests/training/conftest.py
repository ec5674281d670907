from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw
from torch.optim.lr_scheduler import LambdaLR

from lib_lora_train.environment.light_imports import import_lightly

import_lightly()  # as a worker does; whatever else imports diffusers would bring all that it can use

from accelerate.state import AcceleratorState  # noqa: E402

from lib_lora_train.config.job import Job  # noqa: E402
from lib_lora_train.config.load import job_from, job_to_yaml  # noqa: E402
from lib_lora_train.runs.events import EventWriter, read_events  # noqa: E402
from lib_lora_train.runs.folder import RunFolder, create_run  # noqa: E402
from lib_lora_train.training.reporting.report import Reporter  # noqa: E402
from lib_lora_train.training.run import run_training  # noqa: E402
from tests.models.tiny_checkpoint import Tiny, make_micro, make_tiny  # noqa: E402

SHAPES = ((80, 80), (96, 64), (64, 96))


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    return make_tiny()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with few layers; what depends on the blocks of SD 1.x overrides it by ``whole_checkpoint``."""
    return make_micro().save(tmp_path_factory.mktemp("micro") / "micro.safetensors")


@pytest.fixture(scope="session")
def whole_checkpoint(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with all blocks and layers of SD 1.x."""
    return tiny.save(tmp_path_factory.mktemp("tiny") / "tiny.safetensors")


@pytest.fixture(autouse=True)
def one_precision_a_process() -> Iterator[None]:
    """accelerate keeps the precision for the life of a process; each test stands for a worker of its own."""
    AcceleratorState._reset_state(reset_partial_state=True)  # tests of other rooms leave one behind
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def draw_pictures(folder: Path, count: int = 5, seed: int = 0) -> Path:
    """Little pictures of several shapes, each with a caption."""
    folder.mkdir(parents=True)
    rng = random.Random(seed)
    for number in range(count):
        picture = Image.new("RGB", SHAPES[number % 3], tuple(rng.randrange(256) for _ in range(3)))
        ImageDraw.Draw(picture).ellipse([8, 8, 48, 48], fill=tuple(rng.randrange(256) for _ in range(3)))
        picture.save(folder / f"{number:02d}.png")
        (folder / f"{number:02d}.txt").write_text(f"pennyfox, ball, colour {number}, round")
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return draw_pictures(tmp_path / "pictures")


@dataclass(frozen=True)
class Trained:
    """What a run left: its folder, its events, and the folder of its LoRA files."""

    run: RunFolder
    events: list[dict[str, Any]]
    loras: Path
    completed: bool

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.loras.glob("*.safetensors"))


def small_job(checkpoint: Path, pictures: Path, loras: Path) -> dict[str, dict[str, Any]]:
    """A small job: 5 pictures of 64 pixels in 3 buckets, 2 epochs."""
    return {"base": {"checkpoint": str(checkpoint)},
            "dataset": {"train_data_dir": str(pictures), "resolution": "64", "min_bucket_reso": 32,
                        "bucket_reso_steps": 32, "train_batch_size": 2},
            "network": {"network_dim": 4, "network_alpha": 2},
            "optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-3},
            "training": {"max_train_epochs": 2, "device": "cpu"},
            "save": {"output_name": "penny", "output_dir": str(loras)}}


@pytest.fixture
def values(checkpoint: Path, pictures: Path, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """The small job."""
    return small_job(checkpoint, pictures, tmp_path / "loras")


Train = Callable[..., Trained]


def trained_in(folder: Path, values: dict[str, dict[str, Any]], before: Callable[[RunFolder], None] | None = None,
               reporter_type: type[Reporter] = Reporter, **changes: dict[str, Any]) -> Trained:
    """Train in this process; ``changes`` are settings by group, ``before`` is given the run folder first."""
    job: Job = job_from({group: {**values.get(group, {}), **changes.get(group, {})}
                         for group in {*values, *changes}})
    run = create_run(folder, job.save.output_name, job_to_yaml(job))
    if before is not None:
        before(run)
    with EventWriter(run.events_file) as events:
        completed = run_training(job, run, reporter_type(events, terminal=False))
    return Trained(run, read_events(run.events_file)[0], Path(job.save.output_dir), completed)


@pytest.fixture
def train(values: dict[str, dict[str, Any]], tmp_path: Path) -> Train:
    """``trained_in`` a folder of the test's own, with the small job."""
    return lambda *arguments, **changes: trained_in(tmp_path / "runs", values, *arguments, **changes)


@pytest.fixture(scope="session")
def undisturbed(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The small job with nothing special about it, to compare others with; saved as float32."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = trained_in(folder / "runs", small_job(checkpoint, draw_pictures(folder / "pictures"), folder / "loras"),
                      save={"save_precision": "float"})
    AcceleratorState._reset_state(reset_partial_state=True)
    assert done.completed, done.of("error")
    return done


def bare_learner(weight: float) -> Any:
    """As much of a learner as a training state is made of; every weight of its network is ``weight``."""
    network = torch.nn.Linear(40, 40)
    torch.nn.init.constant_(network.weight, weight)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    return SimpleNamespace(model=SimpleNamespace(accelerator=SimpleNamespace(scaler=None), network=network),
                           optimizer=optimizer, schedule=LambdaLR(optimizer, lambda step: 1.0))
