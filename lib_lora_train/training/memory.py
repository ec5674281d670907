"""Training with little memory: storage of the base weights, and the trial step that proves the job fits."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from ..batches.captions import plain_caption
from ..batches.plan import TrainingPlan
from ..config.change import changed
from ..config.groups.training import TrainingSettings
from ..config.job import Job
from ..config.optimizer_facts import OPTIMIZERS
from ..errors import OutOfMemoryError
from ..models.load import BaseModel
from ..models.stored_weights import FULL, keep_on_cpu, store_weights, stored_layers
from ..pictures.buckets import Frame
from .model import TrainedModel, set_training
from .reporting.report import Reporter
from .step import Learner

_NEARLY_FULL = 0.02


def wants_stored_weights(settings: TrainingSettings, device: torch.device) -> bool:
    """Whether the base weights are quantized or offloaded, or may have to be to fit on a GPU."""
    to_fit = settings.weights_on_cpu > 0 or settings.fit_in_gb is not None
    return settings.base_weights != FULL or (to_fit and device.type != "cpu")


def store_base(base: BaseModel, settings: TrainingSettings, device: torch.device) -> None:
    """Store the weights of the UNet's and text encoder's blocks per ``settings``; call before creating a network."""
    if not wants_stored_weights(settings, device):
        return
    for network in frozen_networks(base):
        store_weights(network, FULL)
        base.homes.hand_over(network)
        store_weights(network, settings.base_weights)
        if settings.weights_on_cpu and device.type != "cpu":
            keep_on_cpu(network, settings.weights_on_cpu / 100, device)


def frozen_networks(base: BaseModel) -> list[torch.nn.Module]:
    """The networks used in every step."""
    return [base.unet, *base.text_encoders]


def checkpoint_gradients(model: TrainedModel, blocks: str = "all") -> None:
    """Enable gradient checkpointing in the UNet's ``blocks`` and in the text encoders, if they are trained."""
    checkpoint_unet(model.base.unet, blocks)
    if model.trains_text_encoder:
        for text_encoder in model.base.text_encoders:
            text_encoder.train()
            text_encoder.gradient_checkpointing_enable({"use_reentrant": False})


def checkpoint_unet(unet: UNet2DConditionModel, blocks: str) -> None:
    """Gradient checkpointing (Chen et al. 2016, arXiv:1604.06174): intermediate activations are recomputed, not
    stored.

    ``blocks`` is ``all``, or ``outer`` for the first and last level only, where the resolution is highest.
    """
    unet.train()  # diffusers checks for training mode; there is no dropout in it
    unet.enable_gradient_checkpointing()
    if blocks == "outer":
        for level in (*unet.down_blocks[1:], unet.mid_block, *unet.up_blocks[:-1]):
            for module in level.modules():
                if hasattr(module, "gradient_checkpointing"):
                    module.gradient_checkpointing = False


def limit_gpu(settings: TrainingSettings, device: torch.device) -> None:
    """Make PyTorch run out of memory at ``fit_in_gb``, rather than take what other programs need."""
    if settings.fit_in_gb is not None and device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, settings.fit_in_gb * 2 ** 30 / total), device)


def dry_step(learner: Learner, plan: TrainingPlan, job: Job) -> None:
    """Forward and backward pass of the biggest batch, plus an allocation of the size of the optimizer states.

    Nothing is learned: the gradients are discarded, and the random streams of the steps are unaffected.
    """
    model, network = learner.model, learner.model.network
    bucket = max(plan.by_bucket, key=lambda bucket: bucket.width * bucket.height)
    size = min(plan.batch_size, sum(plan.pictures[index].repeats for index in plan.by_bucket[bucket]))
    longest = max((plain_caption(picture, job.dataset) for picture in plan.pictures), key=model.length_of)
    trained = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    states = int(trained * OPTIMIZERS[job.optimizer.optimizer_type].state_bytes)
    set_training(network, on=True)
    try:
        latents = torch.zeros(size, 4, bucket.height // 8, bucket.width // 8, device=model.device)
        remembered = torch.empty(states, dtype=torch.uint8, device=model.device)
        prediction = model.predict(latents, torch.zeros(size, dtype=torch.long, device=model.device),
                                   [longest] * size, [Frame.whole(bucket.width, bucket.height)] * size)
        with learner.descent.held():
            learner.descent.backward(prediction.float().square().mean())
        del remembered
    finally:
        learner.optimizer.zero_grad(set_to_none=True)
        set_training(network, on=False)


_NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")
"""In errors of a GPU, and of PyTorch's CPU allocator on Windows and Linux."""


def is_out_of_memory(problem: BaseException) -> bool:
    """Whether ``problem`` says that memory ran out, on a GPU (CUDA, ROCm or MPS) or on the CPU."""
    return isinstance(problem, (torch.cuda.OutOfMemoryError, MemoryError)) or (
        isinstance(problem, RuntimeError) and any(words in str(problem) for words in _NO_MEMORY))


def prove(model: TrainedModel, job: Job, dry_step: Callable[[], None], reporter: Reporter, advice: str) -> Job:
    """Run ``dry_step``; while out of memory, enable another saving, report it, and retry. Returns the resulting job.

    Only changes that do not affect what is learned: gradient checkpointing, then fp8 and main memory for base weights
    if ``fit_in_gb`` allows that. Raises ``RunError`` with ``advice`` if nothing is left to try.
    """
    while True:
        try:
            dry_step()
            return job
        except RuntimeError as problem:
            if not is_out_of_memory(problem):
                raise
        if model.device.type == "cuda":
            torch.cuda.empty_cache()
        step = _save_more(model, job)
        if step is None:
            raise OutOfMemoryError(f"The GPU's memory is too small for one step of this job. {advice}")
        job, words = step
        reporter.warning(f"One step does not fit into the GPU's memory, so {words} from here on.")


def note_memory(device: torch.device, reporter: Reporter) -> None:
    """Report the peak memory so far, and whether Windows has begun to use main memory instead of GPU memory."""
    if device.type != "cuda":
        return
    free, total = torch.cuda.mem_get_info(device)
    reporter.event("memory", {"peak_bytes": torch.cuda.max_memory_reserved(device), "device_bytes": total})
    if sys.platform == "win32" and free < _NEARLY_FULL * total:
        reporter.warning("The GPU's memory is full, so Windows uses main memory in its place and steps take many times "
                         "as long. Set training.fit_in_gb to 1 GB less than the card has, or close other programs.")


def _save_more(model: TrainedModel, job: Job) -> tuple[Job, str] | None:
    training = job.training
    if not training.gradient_checkpointing or training.checkpointing_blocks != "all":
        checkpoint_gradients(model)
        whole = {"training.gradient_checkpointing": True, "training.checkpointing_blocks": "all"}
        return changed(job, whole), "gradient checkpointing is on, which is a quarter slower,"
    if next(stored_layers(model.base.unet), None) is None:
        return None
    if training.base_weights == FULL:
        for network in frozen_networks(model.base):
            store_weights(network, "fp8")
        return changed(job, {"training.base_weights": "fp8"}), "the base weights are kept in fp8"
    if training.weights_on_cpu < 100:
        share = 50 if training.weights_on_cpu < 50 else 100
        for network in frozen_networks(model.base):
            keep_on_cpu(network, share / 100, model.device)
        return changed(job, {"training.weights_on_cpu": share}), f"{share} % of the base weights stay in main memory"
    return None
