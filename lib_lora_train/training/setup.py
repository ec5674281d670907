"""Everything a run needs before its first step, in the order in which mistakes are cheapest to find."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch

from ..config.groups.dataset import DatasetSettings
from ..config.job import Job
from ..dataset.batches import Batch, batch_of
from ..dataset.latents import LatentStore, encode_all
from ..dataset.plan import TrainingPlan, plan_of
from ..dataset.scan import Dataset, scan_dataset
from ..dataset.summary import summarize
from ..models.load import BaseModel, load_base
from ..models.tokenizer import Tokenizer
from ..networks.lora import Network, create_network
from ..networks.save import file_bytes
from ..runs.folder import RunFolder
from ..runs.names import next_free_name
from .model import TrainedModel
from .optimizers import RatedParameters, make_optimizer
from .outputs import Outputs, check_output_folder
from .precision import make_accelerator, weight_dtype
from .randomness import seed_for
from .report import Reporter
from .schedules import make_schedule
from .step import Learner


@dataclass(frozen=True)
class Prepared:
    """A run that is ready for its first step. ``job`` is the one asked for, with the name that was free."""

    job: Job
    plan: TrainingPlan
    latents: LatentStore
    learner: Learner
    outputs: Outputs
    validation: list[Batch]


def prepare(job: Job, run: RunFolder, reporter: Reporter) -> Prepared:
    """Read the pictures and the model, encode the latents, and build network and optimizer.

    Raises a ``TrainLoraError`` for whatever would make the run fail later, before any file is written.
    """
    reporter.phase("dataset", "Looking at the pictures")
    dataset = scan_dataset(job.dataset)
    held_out = _validation_dataset(job)
    plan = plan_of(job.dataset, dataset, job.training)
    _report_left_out(dataset, reporter)
    job = with_free_name(job, reporter)

    reporter.phase("model", f"Loading {Path(job.base.checkpoint).name}")
    accelerator = make_accelerator(job.training)
    base = load_base(Path(job.base.checkpoint), Path(job.base.vae) if job.base.vae else None,
                     dtype=weight_dtype(accelerator.mixed_precision), device=torch.device("cpu"))
    tokenizer = Tokenizer.load()
    network = _network(job, base)
    check_output_folder(Path(job.save.output_dir), file_bytes(network, job.save.save_precision))
    _report_long_captions(dataset, tokenizer, job.base.max_token_length, reporter)
    learner = _learner(job, base, tokenizer, network, accelerator, plan.total_steps)

    latents = _encode(job, dataset, base, accelerator.device, reporter)
    validation = []
    if held_out is not None:
        held_out_plan = plan_of(_validation_settings(job), held_out, job.training)
        held_out_latents = _encode(job, held_out, base, accelerator.device, reporter)
        validation = [batch_of(held_out_plan, indices, held_out_latents, None)
                      for indices in held_out_plan.batches_in_order()]
    outputs = Outputs(job, run, base, summarize(dataset, plan, job.dataset), reporter)
    learner.model.move(accelerator.device)
    return Prepared(job, plan, latents, learner, outputs, validation)
