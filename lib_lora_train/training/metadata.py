"""The metadata of a trained LoRA file, under the keys that the webui and other tools read.

The ``ss_`` keys are sd-scripts', the ``modelspec.`` keys are Stability AI's ModelSpec 1.0.1. Every value is a string.
Hashes of the file's own tensors are added when it is written (``networks.save.write_tensors``). There are no
timestamps, so that the same seed and settings give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ..batches.summary import DatasetSummary
from ..config.job import Job
from ..config.load import job_to_dict
from ..models.family import Family
from ..models.hashes import ModelHashes
from ..networks.metadata import as_texts, network_metadata

_LAST_BUT_ONE = 2


@dataclass(frozen=True)
class TrainingFacts:
    """The run at the moment a file is saved; ``None`` is not written."""

    step: int
    epoch: int
    base_checkpoint: Path
    base_hashes: ModelHashes
    family: Family
    prediction_type: str
    base_vae: Path | None = None
    total_steps: int | None = None
    total_epochs: int | None = None
    batches_per_epoch: int | None = None


def build_metadata(job: Job, dataset: DatasetSummary, facts: TrainingFacts,
                   file_name: str | None = None) -> dict[str, str]:
    """All metadata of the file, as strings.

    ``file_name`` (without extension; default: the job's name) becomes ``ss_output_name``, by which prompts refer to
    the file: epochs that share a name could not be distinguished.
    """
    name = file_name or job.save.output_name
    values = {**_base(facts, job), **_run(facts, job, name), **_settings(job),
              **_dataset(dataset, job), **_modelspec(facts, job, name)}
    return {**as_texts(values), **network_metadata(job.network)}


def sidecar_json(job: Job, dataset: DatasetSummary, facts: TrainingFacts) -> str:
    """The ``.json`` beside the file, which the webui shows on the LoRA's card and may write to later.

    The webui adds ``activation text`` after ``<lora:name:1>`` in the prompt; weight 0 means its own default.
    """
    pictures = sum(folder.pictures for folder in dataset.folders)
    notes = [f"Trained on {facts.base_checkpoint.stem} with {pictures} images, {facts.step} steps, "
             f"{job.network.network_type} dim {job.network.network_dim}, alpha {job.network.alpha:g}"
             + (f", CLIP skip {job.base.clip_skip}." if facts.family.follows_clip_skip else ".")]
    if job.save.training_comment:
        notes.append(job.save.training_comment)
    content = {
        "description": job.save.training_comment,
        "sd version": facts.family.webui_version,
        "activation text": job.dataset.activation_tag,
        "preferred weight": 0.0,
        "negative text": "",
        "notes": "\n".join(notes),
    }
    return json.dumps(content, ensure_ascii=False, indent=4) + "\n"


def _base(facts: TrainingFacts, job: Job) -> dict[str, Any]:
    vae = facts.base_vae
    return {
        "ss_base_model_version": facts.family.model_version,
        "ss_v2": facts.family.webui_version == "SD2",
        "ss_sd_model_name": facts.base_checkpoint.name,
        "ss_sd_model_hash": facts.base_hashes.checkpoint_old,
        "ss_new_sd_model_hash": facts.base_hashes.checkpoint_sha256,
        "ss_vae_name": vae.name if vae else None,
        "ss_vae_hash": facts.base_hashes.vae_old,
        "ss_new_vae_hash": facts.base_hashes.vae_sha256,
        "ss_clip_skip": job.base.clip_skip if facts.family.follows_clip_skip else None,
        "ss_max_token_length": job.base.max_token_length,
    }


def _run(facts: TrainingFacts, job: Job, name: str) -> dict[str, Any]:
    return {
        "ss_output_name": name,
        "ss_training_comment": job.save.training_comment or None,
        "ss_epoch": facts.epoch,
        "ss_num_epochs": facts.total_epochs,
        "ss_steps": facts.step,
        "ss_max_train_steps": facts.total_steps,
        "ss_num_batches_per_epoch": facts.batches_per_epoch,
        "ss_seed": job.training.seed,
        "ss_optimizer": _optimizer_text(job),
        "ss_learning_rate": job.optimizer.learning_rate,
        "ss_unet_lr": job.optimizer.unet_rate,
        "ss_text_encoder_lr": job.optimizer.text_encoder_rate,
        "ss_max_grad_norm": job.optimizer.max_grad_norm,
        "ss_lr_scheduler": job.scheduler.lr_scheduler,
        "ss_lr_warmup_steps": job.scheduler.lr_warmup_steps,
        "ss_batch_size_per_device": job.dataset.train_batch_size,
        "ss_total_batch_size": job.dataset.train_batch_size,
        "ss_gradient_accumulation_steps": job.training.gradient_accumulation_steps,
        "ss_gradient_checkpointing": job.training.gradient_checkpointing,
        "ss_mixed_precision": job.training.mixed_precision,
        "ss_prior_loss_weight": job.loss.prior_loss_weight,
        "ss_min_snr_gamma": job.loss.min_snr_gamma,
    }


def _optimizer_text(job: Job) -> str:
    arguments = ",".join(job.optimizer.optimizer_args)
    return f"{job.optimizer.optimizer_type}({arguments})" if arguments else job.optimizer.optimizer_type


def _dataset(dataset: DatasetSummary, job: Job) -> dict[str, Any]:
    width, height = job.dataset.size
    buckets = {str(number): {"resolution": [bucket.width, bucket.height], "count": bucket.count}
               for number, bucket in enumerate(dataset.buckets)}
    return {
        "ss_resolution": f"({width}, {height})",
        "ss_enable_bucket": job.dataset.enable_bucket,
        "ss_min_bucket_reso": job.dataset.bucket_sides[0],
        "ss_max_bucket_reso": job.dataset.bucket_sides[1],
        "ss_bucket_no_upscale": job.dataset.bucket_no_upscale,
        "ss_bucket_info": {"buckets": buckets},
        "ss_shuffle_caption": job.dataset.shuffle_caption,
        "ss_keep_tokens": job.dataset.keep_tokens,
        "ss_num_train_images": sum(folder.pictures * folder.repeats for folder in dataset.folders),
        "ss_num_reg_images": dataset.regularization_images,
        "ss_num_validation_images": dataset.held_out,
        "ss_dataset_dirs": {folder.name: {"n_repeats": folder.repeats, "img_count": folder.pictures}
                            for folder in dataset.folders},
        "ss_reg_dataset_dirs": {folder.name: {"n_repeats": folder.repeats, "img_count": folder.pictures}
                                for folder in dataset.regularization_folders},
        "ss_flip_aug": job.dataset.flip_aug,
        "ss_color_aug": job.dataset.color_aug,
        "ss_random_crop": job.dataset.random_crop,
        "ss_face_crop_aug_range": job.dataset.face_crop_aug_range or None,
        "ss_caption_dropout_rate": job.dataset.caption_dropout_rate,
        "ss_caption_dropout_every_n_epochs": job.dataset.caption_dropout_every_n_epochs,
        "ss_caption_tag_dropout_rate": job.dataset.caption_tag_dropout_rate,
        "ss_tag_frequency": {folder: dict(tags) for folder, tags in dataset.tag_frequency.items()},
    }


def _settings(job: Job) -> dict[str, Any]:
    """The whole job, so that a run can be repeated from its file."""
    return {"train_lora_job": _without_folders(job_to_dict(job))}


def _without_folders(value: Any) -> Any:
    """``value`` with every absolute path shortened to its last part: the file is shared, the folders are private."""
    if isinstance(value, Mapping):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, str) and (PurePosixPath(value).is_absolute() or PureWindowsPath(value).is_absolute()):
        return PureWindowsPath(value).name
    return value


def _modelspec(facts: TrainingFacts, job: Job, name: str) -> dict[str, Any]:
    width, height = job.dataset.size
    return {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"{facts.family.architecture}/lora",
        "modelspec.implementation": "diffusers",
        "modelspec.title": name,
        "modelspec.resolution": f"{width}x{height}",
        "modelspec.description": job.save.training_comment or None,
        "modelspec.usage_hint": f"Use <lora:{name}:1> and {job.dataset.activation_tag} in the prompt."
        if job.dataset.activation_tag else None,
        "modelspec.trigger_phrase": job.dataset.activation_tag or None,
        "modelspec.prediction_type": "v" if facts.prediction_type == "v_prediction" else "epsilon",
        "modelspec.encoder_layer": job.base.clip_skip if facts.family.follows_clip_skip else _LAST_BUT_ONE,
    }
