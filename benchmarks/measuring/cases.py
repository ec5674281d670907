"""Training steps with one switch or another, by the code that trains.

Each case prepares a whole run (images, model, network, optimizer) and makes steps as the run would.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState
from PIL import Image
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.weights import SDXL
from lib_lora_train.batches.batches import Batch, load_batch
from lib_lora_train.batches.captions import BatchPosition
from lib_lora_train.config.load import job_from, merged
from lib_lora_train.runs.events import EventWriter
from lib_lora_train.runs.folder import create_run
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.setup import Prepared, prepare
from lib_lora_train.training.step import train_step

from .device import clear, peak_bytes, seconds_of, wait_for

Settings = Mapping[str, Mapping[str, Any]]
Around = Callable[[Prepared], AbstractContextManager[None]]

_LARGEST_BATCH = 8
_WARM_STEPS, _LEAST_STEPS, _MOST_STEPS = 3, 5, 30
"""The first steps choose kernels and, in fp16, a scale."""


def _nothing(prepared: Prepared) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True)
class Case:
    """Steps of one model (``sd15`` or ``sdxl``) with ``settings``; ``around`` is an experiment that is no setting."""

    name: str
    kind: str
    batch: int = 1
    settings: Settings = field(default_factory=dict)
    around: Around = _nothing


@dataclass(frozen=True)
class Bench:
    """Where cases run: the checkpoints by kind, pixels of a side by kind, and seconds of steps for each case.

    ``proofs`` is the file of checkpoints that have agreed in bf16, as a user's runs have it: each is tested once.
    """

    checkpoints: Mapping[str, Path]
    pixels: Mapping[str, int]
    device: torch.device
    seconds: float
    warm_steps: int = _WARM_STEPS
    least_steps: int = _LEAST_STEPS
    images: int = _LARGEST_BATCH
    proofs: Path | None = None

    def measure(self, case: Case) -> dict[str, Any]:
        """Seconds a step, steps a second, peak memory, operations of a step, and seconds to get ready."""
        clear(self.device)
        with self.prepared(case) as (prepared, ready_seconds), case.around(prepared):
            found = self._steps(prepared)
        return {"ready_seconds": ready_seconds, "batch": case.batch, "pixels": self.pixels[case.kind], **found}

    def _steps(self, prepared: Prepared) -> dict[str, Any]:
        steps = steps_of(prepared)
        warm = [seconds_of(lambda: next(steps), self.device) for _ in range(self.warm_steps)]
        ready = peak_bytes(self.device)
        times: list[float] = []
        losses: list[float] = []
        until = time.perf_counter() + self.seconds
        while len(times) < self.least_steps or (time.perf_counter() < until and len(times) < _MOST_STEPS):
            times.append(seconds_of(lambda: losses.append(next(steps)), self.device))
        peak = peak_bytes(self.device)
        wait_for(self.device)
        with FlopCounterMode(display=False) as counter:
            next(steps)
        usual = statistics.median(times)
        batch = prepared.job.dataset.train_batch_size
        return {"seconds_per_step": usual, "steps_per_second": 1 / usual, "images_per_second": batch / usual,
                "fastest_seconds": min(times), "slowest_seconds": max(times), "steps": len(times),
                "warm_up_seconds": warm, "loss": statistics.fmean(losses), **peak, "before_steps": ready,
                "operations": counter.get_total_flops(),
                "operations_per_second": counter.get_total_flops() / usual,
                "precision": prepared.learner.model.accelerator.mixed_precision}

    @contextmanager
    def prepared(self, case: Case) -> Iterator[tuple[Prepared, float]]:
        """A run of ``case`` that is ready for its first step, and how long that took. Raises as ``prepare`` does."""
        AcceleratorState._reset_state(reset_partial_state=True)  # it keeps one precision for a whole process
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make_images(folder / "images", self.images, self.pixels[case.kind])
            run = create_run(folder / "runs", "measured", "")
            job = job_from(merged(self._values(case, folder), case.settings))
            with EventWriter(run.events_file) as events:
                began = time.perf_counter()
                prepared = prepare(job, run, Reporter(events, terminal=False), proofs=self.proofs)
                wait_for(self.device)
                try:
                    yield prepared, time.perf_counter() - began
                finally:
                    del prepared
        clear(self.device)

    def _values(self, case: Case, folder: Path) -> dict[str, dict[str, Any]]:
        pixels = self.pixels[case.kind]
        return {"base": {"checkpoint": str(self.checkpoints[case.kind]), "max_token_length": 75},
                "dataset": {"train_data_dir": str(folder / "images"), "resolution": str(pixels),
                            "train_batch_size": case.batch, "enable_bucket": False, "shuffle_caption": False,
                            "dataset_repeats": _LARGEST_BATCH // self.images},
                "network": {"network_dim": 16, "network_alpha": 16},
                "optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-4},
                "scheduler": {"lr_scheduler": "constant"},
                "training": {"max_train_epochs": None, "max_train_steps": 100_000, "device": str(self.device),
                             "webui_model": "file"},
                "save": {"output_name": "measured", "output_dir": str(folder / "loras")}}


def make_images(folder: Path, count: int, pixels: int) -> None:
    """Images of plain colours with captions, one bucket of them."""
    folder.mkdir()
    for number in range(count):
        colour = (30 * number, 255 - 30 * number, 128)
        Image.new("RGB", (pixels, pixels), colour).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"measured, a plain colour, number {number}", encoding="utf-8")


def batches_of(prepared: Prepared) -> Iterator[Batch]:
    """The batches of the run, epoch after epoch, without end."""
    phase, job, step, epoch = prepared.timeline.first, prepared.job, 0, 0
    plan, latents = phase.plan, prepared.latents.of(phase)
    while True:
        epoch += 1
        for number, indices in enumerate(plan.epoch_batches(job.training.seed, epoch)):
            position = BatchPosition(job.training.seed, epoch, number, step, plan.total_steps)
            yield load_batch(plan, indices, latents, job.dataset, position)
            step += 1


def steps_of(prepared: Prepared) -> Iterator[float]:
    """Make a step at each call, loading its batch as the run does; the loss of it."""
    for number, batch in enumerate(batches_of(prepared), start=1):
        yield train_step(prepared.learner, [batch], prepared.job, number).loss


def attention_by(backend: SDPBackend) -> Around:
    """An experiment: attention by one of PyTorch's kernels alone."""
    return lambda prepared: sdpa_kernel([backend])  # type: ignore[return-value]


@contextmanager
def channels_last(prepared: Prepared) -> Iterator[None]:
    """An experiment: weights of the UNet's convolutions, and so its images, with the channels last."""
    prepared.learner.model.base.unet.to(memory_format=torch.channels_last)
    yield


@contextmanager
def chosen_convolutions(prepared: Prepared) -> Iterator[None]:
    """An experiment: cuDNN tries which of its convolutions is fastest for each shape."""
    before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


@contextmanager
def compiled_blocks(prepared: Prepared) -> Iterator[None]:
    """An experiment: the UNet's transformer blocks compiled, one after another, by ``torch.compile``."""
    blocks = [module for name, module in prepared.learner.model.base.unet.named_modules()
              if name.rpartition(".")[0].endswith("transformer_blocks")]
    on_gpu = prepared.learner.model.device.type == "cuda"  # a CPU would need a C++ compiler for inductor
    for block in blocks if on_gpu else blocks[:1]:  # which tells nothing but that the code runs
        block.compile(backend="inductor" if on_gpu else "eager")
    try:
        yield
    finally:
        torch._dynamo.reset()


FP8, NF4 = {"training": {"base_weights": "fp8"}}, {"training": {"base_weights": "nf4"}}
CACHED: Settings = {"training": {"cache_text_encoder_outputs": True}, "network": {"network_train_unet_only": True}}
SMALLEST: Settings = {**CACHED, "training": {"cache_text_encoder_outputs": True, "gradient_checkpointing": True,
                                             "base_weights": "fp8", "fused_backward_pass": True},
                      "optimizer": {"max_grad_norm": 0}}


def switches(kind: str, batch: int) -> list[Case]:
    """One case for each switch, at ``batch``; the case without any is named ``kind b<batch>``."""
    found: dict[str, tuple[Settings, Around]] = {
        "gradient_checkpointing": ({"training": {"gradient_checkpointing": True}}, _nothing),
        "base_weights fp8": (FP8, _nothing), "base_weights nf4": (NF4, _nothing),
        "weights_on_cpu 100": ({"training": {"weights_on_cpu": 100}}, _nothing),
        "cache_text_encoder_outputs": (CACHED, _nothing),
        "mixed_precision fp16": ({"training": {"mixed_precision": "fp16"}}, _nothing),
        "mixed_precision no": ({"training": {"mixed_precision": "no"}}, _nothing),
        "checkpointing_blocks outer": ({"training": {"gradient_checkpointing": True, "checkpointing_blocks": "outer"}},
                                       _nothing),
        "fused_backward_pass": ({"training": {"fused_backward_pass": True}, "optimizer": {"max_grad_norm": 0}},
                                _nothing),
        "channels_last": ({}, channels_last),
        "attention flash": ({}, attention_by(SDPBackend.FLASH_ATTENTION)),
        "attention efficient": ({}, attention_by(SDPBackend.EFFICIENT_ATTENTION)),
        "attention cudnn": ({}, attention_by(SDPBackend.CUDNN_ATTENTION)),
        "attention math": ({}, attention_by(SDPBackend.MATH)),
        "cudnn.benchmark": ({}, chosen_convolutions),
        "compiled blocks": ({}, compiled_blocks)}
    if kind == SDXL:
        found = {"all that save memory": (SMALLEST, _nothing), **found}
    return [Case(f"{kind} b{batch}, {name}", kind, batch, settings, around)
            for name, (settings, around) in found.items()]
