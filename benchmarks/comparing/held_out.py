"""The loss of LoRA files on held-out images, measured by neither of the programs that made them.

Each file is put on the same base model in float32, and asked for the same noise at the same timesteps.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from lib_lora_train.batches.batches import load_batch
from lib_lora_train.batches.plan import validation_plan_of
from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.config.job import Job
from lib_lora_train.models.load import load_base
from lib_lora_train.models.noise import noise_schedule
from lib_lora_train.models.tokenizer import Tokenizer, find_vocabulary
from lib_lora_train.networks.create import create_network
from lib_lora_train.networks.from_file import network_from_file
from lib_lora_train.networks.save import load_network_file
from lib_lora_train.pictures.scan import scan_dataset
from lib_lora_train.runs.events import EventWriter
from lib_lora_train.training.encoding import encode, unchanged
from lib_lora_train.training.model import TrainedModel
from lib_lora_train.training.precision import NONE, Computing, resolve_device
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.validation import validation_loss

_SEED = 1


def held_out_losses(job: Job, pictures: Path, files: Sequence[Path | None]) -> list[float]:
    """The mean loss on ``pictures`` with each of ``files``; ``None`` is the base model alone.

    Raises ``TrainLoraError`` if the pictures or a file cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder, EventWriter(Path(folder) / "events.jsonl") as events:
        reporter = Reporter(events, terminal=False)
        return [_loss(job, pictures, file, reporter) for file in files]


def _loss(job: Job, pictures: Path, file: Path | None, reporter: Reporter) -> float:
    settings = unchanged(dataclasses.replace(job.dataset, train_data_dir=str(pictures), reg_data_dir=None))
    plan = validation_plan_of(settings, scan_dataset(settings).pictures, job.training)
    accelerator = Computing(resolve_device(job.training.device), NONE).accelerator()
    checkpoint = Path(job.base.checkpoint)
    base = load_base(checkpoint, Path(job.base.vae) if job.base.vae else None, dtype=torch.float32, device="cpu")
    if file is None:
        network = create_network(NetworkSettings(network_dim=1), base.unet, base.text_encoders, 0)
    else:
        network = network_from_file(load_network_file(file), NetworkSettings(), base.unet, base.text_encoders,
                                    checkpoint)
    model = TrainedModel(base, network, Tokenizer(find_vocabulary()), accelerator,
                         noise_schedule(base.prediction_type), job.base.clip_skip, job.base.max_token_length,
                         trains_text_encoder=False)
    latents = encode(plan, model, settings, reporter, "Encoding the held-out images", lambda done, total: None)
    model.bring()
    batches = [load_batch(plan, indices, latents, settings, None) for indices in plan.batches_in_order()]
    return validation_loss(model, batches, _SEED)
