"""Resolves conflicts between settings that another tool allows together: one is changed, and the report says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..check import captions_can_be_kept, problems_of
from ..groups.network import DYLORA, IA3
from ..job import Job
from ..load import read_job
from ..optimizer_args import has_one_rate
from ..optimizer_facts import OPTIMIZERS
from .report import CHANGED, Answer, Imported, shown
from .taking import Taking

Change = tuple[dict[str, Any], str]
_ROUNDS = 3


OWN_JOB = "a job of this program"


def finish(source: str, taking: Taking) -> Imported:
    """The finished import: conflicts resolved, and what is still missing listed as problems."""
    _say_what_was_set_again(taking)
    for _ in range(_ROUNDS):
        job, _unread = read_job(taking.nested())
        changes = [change for rule in _RULES for change in rule(job)]
        if not changes:
            break
        for values, why in changes:
            _change(values, why, taking)
    job, unread = read_job(taking.nested())
    return Imported(source, taking.nested(), tuple(taking.answers), (*unread, *problems_of(job)),
                    source == OWN_JOB)


def _say_what_was_set_again(taking: Taking) -> None:
    """Update the entries whose setting was overridden later; drop defaults that were replaced."""
    kept = []
    for answer in taking.answers:
        later = {key: taking.values.get(key) for key, value in answer.settings.items()
                 if taking.values.get(key) != value}
        if later and not answer.given:
            continue
        if later:
            again = ", ".join(f"{key} is {shown(value)}" for key, value in later.items())
            answer = Answer(answer.option, answer.value, CHANGED, {**answer.settings, **later},
                            f"{answer.reason} Another option overrides it: {again}.".strip(), answer.given)
        kept.append(answer)
    taking.answers = kept


def _change(values: dict[str, Any], why: str, taking: Taking) -> None:
    """Set ``values``, and note it in the entries of the options that they came from."""
    taking.values |= values
    left = dict(values)
    for place, answer in enumerate(taking.answers):
        touched = {key: values[key] for key in answer.settings if key in values}
        if touched:
            reason = f"{answer.reason} {why}".strip()
            taking.answers[place] = Answer(answer.option, answer.value, CHANGED, {**answer.settings, **touched},
                                           reason, answer.given)
            left = {key: value for key, value in left.items() if key not in touched}
    if left:
        name = next(iter(left)).split(".")[1]
        taking.answers.append(Answer(name, "", CHANGED, left, why, given=False))


def _alphas(job: Job) -> Iterator[Change]:
    network = job.network
    if network.network_type == IA3 or network.network_weights:
        return
    if network.alpha > network.network_dim:
        yield ({"network.network_alpha": float(network.network_dim)},
               f"An alpha above the rank burns the LoRA, so it is {network.network_dim} here. The LoRA learns more "
               "slowly than there; raise the learning rate to make up for it.")
    conv = network.conv_dim or network.network_dim
    if network.conv_alpha is not None and network.conv_alpha > conv:
        yield {"network.conv_alpha": float(conv)}, f"An alpha above its rank burns the LoRA, so it is {conv} here."


def _network(job: Job) -> Iterator[Change]:
    network = job.network
    if network.network_type == DYLORA:
        wrong = [dim for dim in (network.network_dim, network.conv_dim) if dim and dim % network.dylora_unit]
        if wrong:
            yield {"network.dylora_unit": 1}, f"The unit has to divide the rank {wrong[0]}, so it is 1 here."
    if network.network_type in (IA3, DYLORA) and network.dora_wd:
        yield {"network.dora_wd": False}, f"{network.network_type} has no DoRA here."
    if network.dora_wd and network.network_dropout:
        yield {"network.network_dropout": 0.0}, "With DoRA there is nothing for it to drop here."
    if network.network_type not in ("LoRA-LierLa", "LoRA-C3Lier", "LyCORIS-LoCon", DYLORA):
        if network.network_dropout:
            yield {"network.network_dropout": 0.0}, f"{network.network_type} has no network dropout here."
        if network.loraplus_lr_ratio is not None:
            yield {"network.loraplus_lr_ratio": None}, f"{network.network_type} has no LoRA+ here."
    if (network.loraplus_lr_ratio or 1) != 1 and has_one_rate(job.optimizer):
        yield {"network.loraplus_lr_ratio": None}, f"{job.optimizer.optimizer_type} supports only one learning rate."
    if network.lokr_factor == 0:
        yield {"network.lokr_factor": -1}, "A factor of 0 means nothing; -1 splits as evenly as possible."
    if network.network_train_unet_only and network.network_train_text_encoder_only:
        yield {"network.network_train_text_encoder_only": False}, "Both together would train nothing."


def _loss(job: Job) -> Iterator[Change]:
    loss = job.loss
    if loss.noise_offset and loss.multires_noise_iterations:
        yield {"loss.multires_noise_iterations": 0}, "Noise offset and multires noise do the same; the offset is kept."
    if loss.debiased_estimation_loss and loss.min_snr_gamma is not None:
        yield {"loss.min_snr_gamma": None}, "It and debiased estimation both weight the timesteps; the latter is kept."
    if loss.zero_terminal_snr and not job.base.v_parameterization:
        yield {"loss.zero_terminal_snr": False}, "It needs a model that predicts velocity."
    if loss.min_timestep >= loss.max_timestep:
        yield {"loss.min_timestep": 0, "loss.max_timestep": 1000}, "The range of timesteps would be empty."


def _dataset(job: Job) -> Iterator[Change]:
    dataset = job.dataset
    try:
        width, height = dataset.size
    except ValueError:
        yield {"dataset.resolution": "512"}, f"{dataset.resolution} is not a size with sides from 64 to 8192."
        return
    if dataset.bucket_reso_steps % 8:
        yield {"dataset.bucket_reso_steps": 64}, "Bucket sides have to be multiples of 8."
    if dataset.min_bucket_reso and dataset.min_bucket_reso > min(width, height):
        yield {"dataset.min_bucket_reso": None}, "It is more than the resolution, which it follows here instead."
    if dataset.max_bucket_reso and dataset.max_bucket_reso < max(width, height):
        yield {"dataset.max_bucket_reso": None}, "It is less than the resolution, which it follows here instead."
    if not dataset.enable_bucket and (width % 8 or height % 8):
        yield ({"dataset.resolution": f"{max(64, width // 8 * 8)}x{max(64, height // 8 * 8)}"},
               "Without buckets, sides have to be multiples of 8.")
    if not dataset.caption_separator.strip():
        yield {"dataset.caption_separator": ","}, "Tags need a character between them."
    try:
        _ = dataset.face_range
    except ValueError:
        yield {"dataset.face_crop_aug_range": ""}, "Two numbers from 1 to 100 are needed, the lower first."


def _training(job: Job) -> Iterator[Change]:
    training, optimizer = job.training, job.optimizer
    if job.base.max_token_length not in (75, 150, 225):
        fitting = next((length for length in (75, 150, 225) if length >= job.base.max_token_length), 225)
        yield {"base.max_token_length": fitting}, "It is 75, 150 or 225 here."
    if training.cache_text_encoder_outputs and not captions_can_be_kept(job):
        yield ({"training.cache_text_encoder_outputs": False},
               "Captions can be encoded once only if they stay the same and the text encoder is not trained.")
    if training.fused_backward_pass and (
            training.gradient_accumulation_steps > 1 or training.mixed_precision == "fp16"
            or optimizer.max_grad_norm or not OPTIMIZERS[optimizer.optimizer_type].per_parameter):
        yield ({"training.fused_backward_pass": False},
               "It does not go with clipping, accumulation, fp16 or this optimizer here.")


_RULES: tuple[Callable[[Job], Iterator[Change]], ...] = (_alphas, _network, _loss, _dataset, _training)
