"""Changed settings that have no effect: why, one sentence each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from ..blocks.lists import read_blocks
from ..config.groups.network import DYLORA, IA3, LIERLA, LOKR
from ..config.job import Job, all_settings
from ..config.optimizer_args import sets_own_rate
from ..config.optimizer_facts import OPTIMIZERS
from .families import FAMILIES
from .family_defaults import unused_settings
from .size import lokr_layers
from .surroundings import Note, Surroundings
from .webui_prediction import ZERO_SNR_MARK

_DEFAULTS = {field.key: field.default for field in all_settings()}
_SCHEDULER_OF = {"lr_scheduler_num_cycles": ("cosine_with_restarts",), "lr_scheduler_power": ("polynomial",),
                 "lr_scheduler_min_lr_ratio": ("cosine_with_min_lr", "warmup_stable_decay"),
                 "lr_scheduler_timescale": ("inverse_sqrt",), "lr_decay_steps": ("warmup_stable_decay",)}
_OF_THE_FILE = ("network_type", "network_dim", "network_alpha", "conv_dim", "conv_alpha", "lokr_factor",
                "decompose_both", "dylora_unit", "dora_wd", "rs_lora")
_TIMESTEPS = 1000
_OF_FAMILIES = {"sample.cfg_scale": {row.cfg_scale for row in FAMILIES.values()}}
"""Values that a family's defaults set unasked."""
_SIDE_STEP = 64
"""Sides of the trainer's samples are multiples of this (``training.sampling``)."""


def default_of(key: str) -> Any:
    """The default of the setting ``key``."""
    return _DEFAULTS[key]


def in_words(value: object) -> str:
    """``value`` formatted for a sentence."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "nothing" if value in (None, "", []) else str(value)


def idle(job: Job, key: str, why: str) -> Iterator[Note]:
    """A note that ``key`` has no effect, if it was changed; ``why`` follows a colon."""
    group, name = key.split(".")
    value = getattr(getattr(job, group), name)
    if value != _DEFAULTS[key] and value not in _OF_FAMILIES.get(key, ()):
        yield Note(key, f"{key} has no effect: {why}.")


def no_effect_notes(job: Job, around: Surroundings, group: str = "") -> Iterator[Note]:
    """Notes on settings of all groups but ``dataset``, or only on those of ``group``."""
    parts: tuple[tuple[str, Callable[[Job, Surroundings], Iterator[Note]]], ...] = (
        ("base", _of_base), ("network", _of_network), ("optimizer", _of_rates), ("scheduler", _of_schedule),
        ("loss", _of_loss), ("loss", _of_min_snr), ("training", _of_training), ("save", _of_saves),
        ("sample", _of_samples), ("diagnosis", _of_diagnosis))
    for about, part in parts:
        if group in ("", about):
            yield from part(job, around)


def _of_base(job: Job, around: Surroundings) -> Iterator[Note]:
    if around.family and around.family != "SDXL":
        yield from idle(job, "base.sdxl_base", f"the checkpoint is {around.family}")
    reason = unused_settings(around.family, around.text_encoders, around.reads_clip_skip).get("base.clip_skip")
    if reason:
        yield from idle(job, "base.clip_skip", reason)
    if around.velocity and job.base.v_parameterization and not job.loss.zero_terminal_snr:  # which requires it
        yield from idle(job, "base.v_parameterization", "the checkpoint is already known to predict velocity")
    longest = around.plan.longest_caption if around.plan else None
    if longest is not None and longest <= job.base.max_token_length:
        yield from idle(job, "base.max_token_length", f"the longest caption has {longest} tokens")


def _of_network(job: Job, around: Surroundings) -> Iterator[Note]:
    network = job.network
    if network.loraplus_lr_ratio == 1:
        yield from idle(job, "network.loraplus_lr_ratio", "1 gives all matrices the same rate")
    rates = read_blocks(network.block_lr_weight)
    if rates and set(rates.values()) == {1.0}:
        yield from idle(job, "network.block_lr_weight", "it is 1 for every block, as it is when empty")
    if network.network_weights:
        for name in _OF_THE_FILE:
            yield from idle(job, f"network.{name}", "the LoRA file in network.network_weights decides")
        return
    if network.network_type == IA3:
        for name in ("network_dim", "network_alpha"):
            yield from idle(job, f"network.{name}", "(IA)^3 has no rank")
    if network.network_type == LIERLA and network.block_dims and network.block_alphas:
        for name in ("network_dim", "network_alpha"):
            yield from idle(job, f"network.{name}", "block_dims and block_alphas set it for every block")
    dims = set((read_blocks(network.block_dims) or {"": float(network.network_dim)}).values()) - {0.0}
    if network.network_type == DYLORA and dims == {float(network.dylora_unit)} and not network.conv_dim:
        yield Note("network.dylora_unit", f"network.dylora_unit is {network.dylora_unit}, as much as the dim, so "
                                          "DyLoRA trains every rank in each step, as a plain LoRA does. Use a smaller "
                                          "unit.")
    if network.network_type == LOKR and around.shapes:
        yield from _of_lokr(job, around)


def _of_lokr(job: Job, around: Surroundings) -> Iterator[Note]:
    network, layers = job.network, list(lokr_layers(around.shapes, job.network))
    if network.decompose_both and not any(".lokr_w1_a" in tensors for tensors in layers):
        yield from idle(job, "network.decompose_both",
                        f"the small factors are too small to be split at a dim of {network.network_dim}. Use a lower "
                        "dim or a lokr_factor of -1")
    if layers and not any(name.endswith("_a") for tensors in layers for name in tensors):
        for name in ("network_dim", "network_alpha", "rs_lora", "conv_dim", "conv_alpha", "block_alphas"):
            yield from idle(job, f"network.{name}", f"at a dim of {network.network_dim} LoKR keeps both factors of "
                                                    "every layer whole, so there is no rank and no alpha. Use a lower "
                                                    "dim")


def _of_rates(job: Job, around: Surroundings) -> Iterator[Note]:
    optimizer, network = job.optimizer, job.network
    name = optimizer.optimizer_type
    unused = unused_settings(around.family, around.text_encoders, around.reads_clip_skip)
    why = {"unet_lr": "only the text encoder is trained" if network.network_train_text_encoder_only else "",
           "text_encoder_lr": "only the UNet is trained" if network.network_train_unet_only else "",
           "text_encoder_lr2": "only the UNet is trained" if network.network_train_unet_only else
                               unused.get("optimizer.text_encoder_lr2", "")}
    used = [part for part in ("unet_lr", "text_encoder_lr") if not why[part]]
    if sets_own_rate(optimizer):
        own = f"{name} sets the rate by itself; only 0 acts, and turns that part off"
        why = {part: reason or (own if getattr(optimizer, part) else "") for part, reason in why.items()}
        if optimizer.learning_rate:
            yield from idle(job, "optimizer.learning_rate", own)
    elif all(getattr(optimizer, part) is not None for part in used):
        yield from idle(job, "optimizer.learning_rate", f"{' and '.join(used)} {'is' if len(used) == 1 else 'are'} "
                                                        "used instead")
    elif OPTIMIZERS[name].one_rate and len(used) == 2 and optimizer.unet_rate:
        for part, rate in (("text_encoder_lr", optimizer.text_encoder_rate),
                           ("text_encoder_lr2", optimizer.second_text_encoder_rate)):
            if rate and rate != optimizer.unet_rate and not why[part]:
                why[part] = (f"{name} supports only one rate, and the UNet's {optimizer.unet_rate:g} is used; "
                             "0 leaves it out")
    for part, reason in why.items():
        if reason:
            yield from idle(job, f"optimizer.{part}", reason)
    if OPTIMIZERS[name].usual_d_coef is None:
        having = " and ".join(other for other, facts in OPTIMIZERS.items() if facts.usual_d_coef is not None)
        yield from idle(job, "optimizer.d_coef", f"only {having} have it, and optimizer_type is {name}")


def _of_schedule(job: Job, around: Surroundings) -> Iterator[Note]:
    scheduler, name = job.scheduler, job.scheduler.lr_scheduler
    keys = ("lr_scheduler", "lr_warmup_steps", *_SCHEDULER_OF)
    if sets_own_rate(job.optimizer):
        for key in keys:
            yield from idle(job, f"scheduler.{key}", f"{job.optimizer.optimizer_type} has its own schedule")
        return
    for key, users in _SCHEDULER_OF.items():
        if name not in users:
            yield from idle(job, f"scheduler.{key}", f"only {' and '.join(users)} "
                                                     f"{'uses' if len(users) == 1 else 'use'} it, and lr_scheduler is "
                                                     f"{name}")
    if name == "constant_with_warmup" and not scheduler.has_warmup:
        yield from idle(job, "scheduler.lr_scheduler", "lr_warmup_steps is 0, so the rate is constant")
    if around.plan is None:
        return
    steps = around.plan.total_steps
    warmup = scheduler.warmup_steps(steps)
    if scheduler.has_warmup and warmup == 0:
        yield from idle(job, "scheduler.lr_warmup_steps", f"it is less than one step of {steps}")
    if warmup >= steps:
        yield Note("scheduler.lr_warmup_steps", f"scheduler.lr_warmup_steps is {scheduler.lr_warmup_steps:g}, and the "
                                                f"run has {steps} steps, so it ends before the full rate is reached. "
                                                "Use 0.1 for a tenth of the run.")
    if name == "warmup_stable_decay":
        decay = scheduler.decay_steps(steps)
        if decay <= 1:
            yield Note("scheduler.lr_decay_steps", f"scheduler.lr_decay_steps is {scheduler.lr_decay_steps:g}, which "
                                                   f"is too few of {steps} steps to fall in, so the rate stays high.")
        elif scheduler.lr_decay_steps > decay:
            yield Note("scheduler.lr_decay_steps", f"scheduler.lr_decay_steps is {scheduler.lr_decay_steps:g}, but "
                                                   f"only {decay} steps follow the warmup.")


def _of_loss(job: Job, around: Surroundings) -> Iterator[Note]:
    loss = job.loss
    if around.velocity is False and not job.base.v_parameterization:
        yield from idle(job, "loss.scale_v_pred_loss_like_noise_pred", "the checkpoint predicts noise, not velocity")
    if loss.loss_type not in ("huber", "smooth_l1"):
        for name in ("huber_schedule", "huber_c", "huber_scale"):
            yield from idle(job, f"loss.{name}", f"only huber and smooth_l1 use it, and loss_type is {loss.loss_type}")
    if not job.dataset.reg_data_dir:
        yield from idle(job, "loss.prior_loss_weight", "there is no regularization folder")
    if not loss.noise_offset:
        yield from idle(job, "loss.adaptive_noise_scale", "it scales noise_offset, which is 0")
    if loss.multires_noise_iterations == 1:
        yield Note("loss.multires_noise_iterations", "loss.multires_noise_iterations is 1, which adds noise of the "
                                                     "full size only: other noise of the same kind. Use 6 to 10.")
    if loss.multires_noise_iterations < 2:
        yield from idle(job, "loss.multires_noise_discount", "it weights coarser noise, and there is none: "
                                                             "multires_noise_iterations is "
                                                             f"{loss.multires_noise_iterations}")


def _of_min_snr(job: Job, around: Surroundings) -> Iterator[Note]:
    """A note if every timestep in the range has a signal-to-noise ratio below gamma, so that nothing is clipped."""
    loss = job.loss
    velocity = around.velocity or job.base.v_parameterization
    to_pure_noise = loss.zero_terminal_snr or (velocity and ZERO_SNR_MARK in around.shapes)
    if loss.min_snr_gamma is None or not 0 < loss.min_timestep < _TIMESTEPS:
        return
    highest = signal_to_noise(loss.min_timestep, to_pure_noise=bool(to_pure_noise))
    if highest > loss.min_snr_gamma:
        return
    why = (f"from min_timestep {loss.min_timestep} on the signal-to-noise ratio is at most {highest:.2g}, and gamma "
           "limits only what is above it")
    if velocity:
        yield Note("loss.min_snr_gamma", f"loss.min_snr_gamma weights the timesteps, but its value makes no "
                                         f"difference: {why}.")
    else:
        yield from idle(job, "loss.min_snr_gamma", why)


def signal_to_noise(timestep: int, *, to_pure_noise: bool = False) -> float:
    """The signal-to-noise ratio at ``timestep`` of 1000, as in the training of every family.

    The schedule of Stable Diffusion: square roots of beta evenly spaced from 0.00085 to 0.012. ``to_pure_noise``:
    rescaled to zero terminal SNR (Lin et al. 2024, algorithm 1).
    """
    first, last = math.sqrt(0.00085), math.sqrt(0.012)
    kept, roots = 1.0, []
    for step in range(_TIMESTEPS):
        kept *= 1 - (first + (last - first) * step / (_TIMESTEPS - 1)) ** 2
        roots.append(math.sqrt(kept))
    root = roots[timestep]
    if to_pure_noise:
        root = (root - roots[-1]) * roots[0] / (roots[0] - roots[-1])
    return root ** 2 / (1 - root ** 2)


def _of_training(job: Job, around: Surroundings) -> Iterator[Note]:
    training = job.training
    if training.max_train_steps is not None:
        yield from idle(job, "training.max_train_epochs", f"max_train_steps is {training.max_train_steps}, which "
                                                          f"overrides it")
    if not training.phases:
        yield from idle(job, "training.first_phase_name", "there is only one training phase")
    if around.plan is not None and training.gradient_accumulation_steps > around.plan.batches_per_epoch:
        yield Note("training.gradient_accumulation_steps",
                   f"training.gradient_accumulation_steps is {training.gradient_accumulation_steps}, but an epoch has "
                   f"only {around.plan.batches_per_epoch} batches, which is what a step adds up.")
    if not training.gradient_checkpointing and training.fit_in_gb is None:
        yield from idle(job, "training.checkpointing_blocks", "gradient_checkpointing is off")
    if training.mixed_precision == around.auto_precision:
        yield from idle(job, "training.mixed_precision", f"auto chooses {around.auto_precision} here as well")
    if around.device == "cpu":
        for name in ("weights_on_cpu", "fit_in_gb"):
            yield from idle(job, f"training.{name}", "the run is on the CPU and uses no GPU memory")
    if around.webui is False:
        yield from idle(job, "training.webui_model", "no webui started this run")


def _of_saves(job: Job, around: Surroundings) -> Iterator[Note]:
    every, steps = job.save.save_every_n_epochs, job.save.save_every_n_steps
    if around.plan is None:
        return
    if every is not None and every > around.plan.epochs:
        yield Note("save.save_every_n_epochs", f"save.save_every_n_epochs is {every}, but the run has "
                                               f"{_counted(around.plan.epochs, 'epoch')}, so only the end is saved.")
    if steps is not None and steps >= around.plan.total_steps:
        yield from idle(job, "save.save_every_n_steps", f"the run has {_counted(around.plan.total_steps, 'step')}")


def _of_samples(job: Job, around: Surroundings) -> Iterator[Note]:
    sample = job.sample
    drawn = ("negative_prompt", "sample_width", "sample_height", "sample_steps", "cfg_scale", "sample_seed")
    when = ("sample_every_n_epochs", "sample_at_first")
    if not sample.sample_prompts:
        for name in ("sample_by", *drawn, *when):
            yield from idle(job, f"sample.{name}", "there are no sample_prompts")
        return
    by_webui = sample.sample_by == "webui" and around.webui is not False
    if around.webui is False:
        yield from idle(job, "sample.sample_by", "no webui started this run, so the trainer generates the samples")
    if by_webui:
        for name in (*drawn, *when):
            yield from idle(job, f"sample.{name}", "the webui generates each saved file's samples, as txt2img is set")
        return
    if sample.cfg_scale == 1:
        yield from idle(job, "sample.negative_prompt", "with a CFG scale of 1 it is not used")
    if around.plan is not None and (sample.sample_every_n_epochs or 0) > around.plan.epochs:
        yield Note("sample.sample_every_n_epochs", f"sample.sample_every_n_epochs is {sample.sample_every_n_epochs}, "
                                                   f"but the run has {_counted(around.plan.epochs, 'epoch')}, so "
                                                   "samples are generated at its end only.")
    for name, size in zip(("sample_width", "sample_height"), job.dataset.size, strict=True):
        side = getattr(sample, name) or size
        if side % _SIDE_STEP:
            yield Note(f"sample.{name}", f"sample.{name} is {getattr(sample, name) or f'the training size, {size}'}: "
                                         "samples have sides that are multiples of 64, so they are "
                                         f"{max(_SIDE_STEP, side // _SIDE_STEP * _SIDE_STEP)} px.")


def _of_diagnosis(job: Job, _: Surroundings) -> Iterator[Note]:
    if not job.diagnosis.diagnose:
        yield from idle(job, "diagnosis.diagnosis_share", "diagnose is off")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
