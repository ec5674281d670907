"""Estimates the GPU memory of a run, and which switches make it fit, from the checkpoint's header alone.

Activations were measured on the full-size models by ``benchmarks/activations.py``; everything else follows from
shapes. The memory of the GPU's driver and libraries is a rough constant.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..config.change import changed
from ..config.check import captions_can_be_kept
from ..config.groups.network import NetworkSettings
from ..config.job import Job
from ..config.optimizer_facts import OPTIMIZERS
from ..config.phases.effective import network_of_all, phases_of
from .size import is_sdxl, trained_values

GB = 2 ** 30
_LIBRARIES = int(0.7 * GB)
"""CUDA context, kernels and workspace of convolutions."""
_UNET, _TEXT = "model.diffusion_model.", ("cond_stage_model.", "conditioner.embedders.")
_WIDTH = _UNET + "input_blocks.0.0.weight"
_IN_BLOCKS = tuple(_UNET + part for part in ("input_blocks.", "middle_block.", "output_blocks."))
_FULL_WIDTH = 320
_WORTH_IT = 0.01
_BITS = {"full": 16, "fp8": 8, "nf4": 4.5}


@dataclass(frozen=True)
class _Activations:
    """Bytes per latent pixel of each image in a batch, and per text window; with checkpointing.

    ``outer``: with checkpointing of the outer blocks only.
    """

    plain: int
    outer: int
    checkpointed: int
    text: int
    text_checkpointed: int


_ACTIVATIONS = {"SD1": _Activations(309_220, 186_892, 75_469, 29_000_000, 3_000_000),
                "SD2": _Activations(304_151, 181_919, 70_445, 72_000_000, 5_000_000),
                "SDXL": _Activations(514_022, 490_342, 49_232, 154_000_000, 9_000_000)}


@dataclass(frozen=True)
class MemoryEstimate:
    """GPU memory in bytes by use. Some may be 0."""

    unet: int
    text_encoder: int
    network: int
    activations: int
    libraries: int = _LIBRARIES

    @property
    def total(self) -> int:
        """The sum."""
        return self.unet + self.text_encoder + self.network + self.activations + self.libraries


@dataclass(frozen=True)
class Saving:
    """One switch: the settings it changes, its description, and the estimated saving in bytes."""

    changes: Mapping[str, object]
    words: str
    bytes: int


def estimate_memory(shapes: Mapping[str, Sequence[int]], job: Job) -> MemoryEstimate | None:
    """Peak GPU memory of ``job`` during training, in its biggest phase; ``None`` if the checkpoint is of an unknown
    kind.
    """
    checkpoint = _checkpoint(shapes)
    return None if checkpoint is None else _largest(checkpoint, job)


@dataclass(frozen=True)
class _Checkpoint:
    """What the estimates need of a checkpoint, read from its shapes once for all of them."""

    shapes: Mapping[str, Sequence[int]]
    family: str
    unet: int
    in_blocks: int
    text: int
    trained: dict[str, int] = field(default_factory=dict)
    """The values of a network by its settings: most switches leave them alone."""

    def values_of(self, settings: NetworkSettings) -> int:
        """The values of a network with ``settings`` on this checkpoint."""
        key = repr(settings)
        if key not in self.trained:
            self.trained[key] = trained_values(self.shapes, settings)
        return self.trained[key]


def _checkpoint(shapes: Mapping[str, Sequence[int]]) -> _Checkpoint | None:
    """``None`` if the checkpoint is of an unknown kind."""
    if _WIDTH not in shapes:
        return None
    return _Checkpoint(shapes, _family(shapes), _values(shapes, (_UNET,)), _values(shapes, _IN_BLOCKS),
                       _values(shapes, _TEXT))


def _largest(checkpoint: _Checkpoint, job: Job) -> MemoryEstimate:
    """The estimate for the biggest phase of ``job``."""
    if job.training.phases:
        network = network_of_all(job)  # its optimizer state stays while a part rests
        phases = (dataclasses.replace(phase.job, network=network) for phase in phases_of(job))
        return max((_estimate(checkpoint, phase) for phase in phases), key=lambda estimate: estimate.total)
    return _estimate(checkpoint, job)


def _estimate(checkpoint: _Checkpoint, job: Job) -> MemoryEstimate:
    training = job.training
    bits, away = _BITS[training.base_weights], training.weights_on_cpu / 100
    full = 32 if training.mixed_precision == "no" else 16
    in_blocks = checkpoint.in_blocks
    text = 0 if training.cache_text_encoder_outputs else checkpoint.text
    stored = bits if training.base_weights != "full" else full
    unet = (in_blocks * stored * (1 - away) + (checkpoint.unet - in_blocks) * full) / 8
    return MemoryEstimate(int(unet), int(text * stored * (1 - away) / 8), _network_bytes(checkpoint, job),
                          _activation_bytes(checkpoint, job))


def savings(shapes: Mapping[str, Sequence[int]], job: Job) -> list[Saving]:
    """The switches that are still off, cheapest first, each with its saving when used alone."""
    checkpoint = _checkpoint(shapes)
    if checkpoint is None:
        return []
    now, found = _largest(checkpoint, job), []
    for changes, words in _possible(job):
        saved = now.total - _largest(checkpoint, changed(job, changes)).total
        if saved > 0:
            found.append(Saving(changes, words, saved))
    return found


def fit(shapes: Mapping[str, Sequence[int]], job: Job) -> tuple[Job, list[str]]:
    """``job`` with as few switches as needed to fit into ``training.fit_in_gb``, and a description of the changes.

    Switches are tried cumulatively, in order of their cost in speed and quality. If it still does not fit, the job
    stays at its smallest and the description says so. Without a limit nothing is changed.
    """
    limit = job.training.fit_in_gb
    checkpoint = None if limit is None else _checkpoint(shapes)
    if limit is None or checkpoint is None:
        return job, []
    estimate, messages = _largest(checkpoint, job), dict[str, str]()
    while estimate.total > limit * GB:
        step = next((step for step in _ladder(job) if _saves(checkpoint, job, estimate, step[0])), None)
        if step is None:
            messages[""] = (f"It still needs about {in_gb(estimate.total)}: lower resolution, train_batch_size or "
                        "network_dim.")
            break
        job = changed(job, step[0])
        messages[next(iter(step[0]))] = step[1]
        estimate = _largest(checkpoint, job)
    return job, list(messages.values())


def out_of_memory_advice(shapes: Mapping[str, Sequence[int]] | None, job: Job) -> str:
    """The three settings that would save the most, for an out-of-memory error."""
    best = sorted(savings(shapes, job), key=lambda saving: -saving.bytes)[:3] if shapes else []
    if not best:
        return "Lower dataset.resolution, dataset.train_batch_size or network.network_dim."
    return "These would save: " + "; ".join(f"{saving.words}, about {in_gb(saving.bytes)}" for saving in best) + "."


def in_gb(size: int) -> str:
    """``size`` bytes as ``5.2 GB``."""
    return f"{size / GB:.1f} GB"


def _ladder(job: Job) -> list[tuple[dict[str, object], str]]:
    """Switches that do not change what is learned, cheapest first."""
    training = job.training
    steps: list[tuple[dict[str, object], str]] = []
    if not training.cache_text_encoder_outputs and captions_can_be_kept(job):
        steps.append(({"training.cache_text_encoder_outputs": True}, "captions encoded once, before the first step"))
    whole = {"training.gradient_checkpointing": True, "training.checkpointing_blocks": "all"}
    if not training.gradient_checkpointing:
        steps.append(({**whole, "training.checkpointing_blocks": "outer"},
                      "gradient checkpointing of the outer blocks (a little slower)"))
    if not training.gradient_checkpointing or training.checkpointing_blocks != "all":
        steps.append((whole, "gradient checkpointing (about a quarter slower)"))
    if training.base_weights == "full":
        steps.append(({"training.base_weights": "fp8"}, "base weights in fp8 (about a tenth slower)"))
    for share in (25, 50, 75, 100):
        if training.weights_on_cpu < share:
            steps.append(({"training.weights_on_cpu": share}, f"{share} % of the weights in main memory (slower)"))
    return steps


def _saves(checkpoint: _Checkpoint, job: Job, now: MemoryEstimate, changes: Mapping[str, object]) -> bool:
    """Whether a switch is worth its cost: it saves at least 1 % of the total."""
    return now.total - _largest(checkpoint, changed(job, changes)).total > _WORTH_IT * now.total


def _possible(job: Job) -> list[tuple[dict[str, object], str]]:
    steps = [step for step in _ladder(job) if step[0].get("training.weights_on_cpu") in (None, 50)
             and step[0].get("training.checkpointing_blocks") != "outer"]
    width, height = job.dataset.size
    if job.dataset.train_batch_size > 1:
        steps.append(({"dataset.train_batch_size": 1}, "a train_batch_size of 1"))
    if min(width, height) > 512:
        smaller = f"{width * 3 // 4 // 64 * 64}x{height * 3 // 4 // 64 * 64}"
        steps.append(({"dataset.resolution": smaller}, f"a resolution of {smaller}"))
    if job.network.network_dim > 8:
        half = job.network.network_dim // 2
        steps.append(({"network.network_dim": half}, f"a network_dim of {half}"))
    if not job.network.network_train_unet_only and not job.network.network_train_text_encoder_only:
        steps.append(({"network.network_train_unet_only": True}, "training the UNet only"))
    eight_bit = f"{job.optimizer.optimizer_type}8bit"
    if eight_bit in OPTIMIZERS:
        steps.append(({"optimizer.optimizer_type": eight_bit}, f"the optimizer {eight_bit}"))
    return steps


def _values(shapes: Mapping[str, Sequence[int]], prefixes: tuple[str, ...]) -> int:
    return sum(math.prod(shape) for name, shape in shapes.items() if name.startswith(prefixes))


def _network_bytes(checkpoint: _Checkpoint, job: Job) -> int:
    """Weights and gradients in float32, and optimizer states."""
    trained = checkpoint.values_of(job.network)
    gradients = 0 if job.training.fused_backward_pass else 4
    return int(trained * (4 + gradients + OPTIMIZERS[job.optimizer.optimizer_type].state_bytes))


def _activation_bytes(checkpoint: _Checkpoint, job: Job) -> int:
    known = _ACTIVATIONS[checkpoint.family]
    width, height = job.dataset.size
    batch, thinner = job.dataset.train_batch_size, checkpoint.shapes[_WIDTH][0] / _FULL_WIDTH
    wide = 2 if job.training.mixed_precision == "no" else 1
    checkpointed = job.training.gradient_checkpointing
    outer = job.training.checkpointing_blocks == "outer"
    each = (known.outer if outer else known.checkpointed) if checkpointed else known.plain
    pixels = (width // 8) * (height // 8) * each
    text = 0
    if not (job.network.network_train_unet_only or job.training.cache_text_encoder_outputs):
        text = (known.text_checkpointed if checkpointed else known.text) * (job.base.max_token_length // 75)
    return int((pixels + text) * batch * thinner * wide)


def _family(shapes: Mapping[str, Sequence[int]]) -> str:
    if is_sdxl(shapes):
        return "SDXL"
    return "SD2" if any(name.startswith("cond_stage_model.model.") for name in shapes) else "SD1"
