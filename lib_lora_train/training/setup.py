"""Everything a run needs before its first step, ordered so that mistakes are found early."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator
from diffusers import DDPMScheduler

from ..advice.optimizer_guards import with_d_coef
from ..advice.surroundings import plan_facts
from ..batches.batches import Batch, load_batch
from ..batches.captions import plain_caption
from ..batches.latents import LatentSource, LatentStore
from ..batches.plan import TrainingPlan, fits_of, held_out_pictures, plan_of, validation_plan_of
from ..batches.summary import summarize
from ..config.groups.dataset import DatasetSettings
from ..config.job import Job
from ..config.optimizer_args import has_one_rate
from ..models.agreement import Remembered
from ..models.hashes import ModelHashes, hashes_of
from ..models.load import BaseModel
from ..models.noise import noise_schedule
from ..models.prediction import VELOCITY
from ..models.tokenizer import Tokenizer, find_vocabulary
from ..networks.create import Network, create_network
from ..networks.from_file import network_from_file, settings_like
from ..networks.lora_facts import in_words
from ..networks.save import load_network_file
from ..pictures.problems import names_of
from ..pictures.scan import Dataset, scan_dataset
from ..runs.events import read_events
from ..runs.folder import RunFolder
from ..runs.names import lora_names, next_free_name
from .base_model import fitted_base, with_fitted_lists, with_known_captions
from .base_weights import load_weights, proven
from .encoding import encode, latents_of, progress_until_stop, unchanged
from .holding import Boundary
from .memory import checkpoint_gradients, dry_step, limit_gpu, prove, store_base
from .model import TrainedModel
from .notes import report_notes
from .optimizers.create import RatedParameters, make_optimizer
from .optimizers.fused import FusedSteps
from .optimizers.plain import Descent, PlainSteps
from .optimizers.schedules import make_schedule
from .precision import Computing, resolve_computing
from .reporting.outputs import Outputs, check_output_folder
from .reporting.report import Reporter
from .state import Progress, load_state
from .step import Learner


@dataclass(frozen=True)
class Prepared:
    """A run that is ready for its first step. ``job`` is the requested one, with a free name."""

    job: Job
    plan: TrainingPlan
    latents: LatentSource
    learner: Learner
    outputs: Outputs
    validation: list[Batch]
    progress: Progress
    boundary: Boundary


def prepare(job: Job, run: RunFolder, reporter: Reporter, memory_advice: str = "",
            proofs: Path | None = None) -> Prepared:
    """Read the images and the model, encode the latents, and create network and optimizer.

    ``memory_advice`` is called if the job does not fit on the GPU. ``proofs`` is the file of ``Remembered``. Raises a
    ``TrainLoraError`` for anything that would make the run fail later, before any file is written, and
    ``StoppedEarly`` if a stop is requested.
    """
    reporter.phase("dataset", "Reading the images")
    dataset = scan_dataset(job.dataset)
    plan = plan_of(job.dataset, dataset, job.training)
    held_out = held_out_plan(job, dataset)
    _report_problems(dataset, reporter)
    job = with_free_name(job, run, reporter)

    reporter.phase("model", f"Loading {Path(job.base.checkpoint).name}")
    computing = resolve_computing(job.training, plan.smallest_side)
    boundary = Boundary(run, reporter, computing.device)
    loaded, accelerator = _loaded(job, run, computing, boundary, reporter, proofs)
    base = fitted_base(job, loaded, reporter)
    asked, job = job, with_fitted_lists(job, base)
    hashes = _hashes_in_background(base)
    limit_gpu(job.training, accelerator.device)
    store_base(base, job.training, accelerator.device)
    tokenizer = Tokenizer(find_vocabulary())
    longest = _report_long_captions(dataset, job.dataset, tokenizer, job.base.max_token_length, reporter)
    facts = plan_facts(plan, 0 if held_out is None else len(held_out.pictures),
                       lambda settings: fits_of(settings, plan.pictures), longest)
    job, network = _network(job, base, reporter)
    report_notes(asked, job.network, loaded, facts, plan.smallest_side, accelerator.device.type, run, reporter)
    job = with_d_coef(job)
    check_output_folder(Path(job.save.output_dir), _bytes_of(network, job.save.save_precision))
    model = TrainedModel(base, network, tokenizer, accelerator, _schedule_of(base, job), job.base.clip_skip,
                         job.base.max_token_length, network.trains_text_encoder)
    encoded = progress_until_stop(run.control, boundary, reporter)
    if job.training.cache_text_encoder_outputs:
        plans = [plan] if held_out is None else [plan, held_out]
        model = with_known_captions(model, job, plans, reporter, encoded)
    del base, loaded  # their text encoders may no longer be needed
    if job.training.gradient_checkpointing:
        checkpoint_gradients(model, job.training.checkpointing_blocks)
    begins = schedule_begins(run)
    learner = make_learner(model, job, plan.total_steps - begins)

    latents = latents_of(plan, model, job.dataset, reporter, encoded)
    validation = [] if held_out is None else _validation_batches(held_out, model, job, reporter, encoded)
    if isinstance(latents, LatentStore):  # nothing is encoded in training
        model.base.drop_encoder()
    outputs = Outputs(job, run, model.base, hashes, plan, summarize(dataset, plan, job.dataset), reporter)
    model.bring()
    if accelerator.device.type == "cuda":
        reporter.phase("memory", "Testing whether a step fits into GPU memory")
        job = prove(model, job, lambda: dry_step(learner, plan, job), reporter, memory_advice)
    progress = load_state(run.state, learner, job, begins, plan.fingerprint, reporter.warning) or Progress()
    _report_start(job, plan, model, progress, reporter)
    return Prepared(job, plan, latents, learner, outputs, validation, progress, boundary)


def _validation_batches(held_out: TrainingPlan, model: TrainedModel, job: Job, reporter: Reporter,
                        progress: Callable[[int, int], None]) -> list[Batch]:
    latents = encode(held_out, model, unchanged(job.dataset), reporter, "Encoding the held-out images", progress)
    return [load_batch(held_out, indices, latents, job.dataset, None) for indices in held_out.batches_in_order()]


def _loaded(job: Job, run: RunFolder, computing: Computing, boundary: Boundary, reporter: Reporter,
            proofs: Path | None) -> tuple[BaseModel, Accelerator]:
    """The base model, and accelerate's handle for the precision that was finally chosen."""
    base = load_weights(job, run, computing, boundary, reporter)
    computing, base = proven(job, run, base, computing, boundary, reporter, Remembered(proofs))
    if not job.sample.sample_prompts:
        base.drop_decoder()
    return base, computing.accelerator()


def with_free_name(job: Job, run: RunFolder, reporter: Reporter) -> Job:
    """The job under a name that no LoRA in its folder has, so that none is overwritten; a new name is reported.

    A resumed run keeps its original name, which was free then.
    """
    begun = ""
    for event in read_events(run.events_file)[0]:
        if event["event"] == "started":
            begun = event["name"]
        elif event["event"] == "finished" or event.get("kind") == "diverged":
            begun = ""  # finished and diverged runs keep their files; continuing one takes a new name
    name = begun or next_free_name(job.save.output_name, lora_names(Path(job.save.output_dir)))
    if name != job.save.output_name and not begun:
        reporter.warning(f"There is a LoRA {job.save.output_name} already, so this one is called {name}.")
    return dataclasses.replace(job, save=dataclasses.replace(job.save, output_name=name))


def schedule_begins(run: RunFolder) -> int:
    """The step after which the learning rate schedule begins: training on top of a finished run starts its own.

    Otherwise a schedule that has decayed to zero would leave nothing to train with.
    """
    if not run.state_file.is_file():
        return 0
    finished = [event["steps"] for event in read_events(run.events_file)[0] if event["event"] == "finished"]
    return finished[-1] if finished else 0


def held_out_plan(job: Job, dataset: Dataset) -> TrainingPlan | None:
    """The validation images in buckets, each once: from a folder, or a share of ``dataset``; ``None`` without any."""
    if job.dataset.validation_data_dir:
        settings = dataclasses.replace(job.dataset, train_data_dir=job.dataset.validation_data_dir, reg_data_dir=None,
                                       conditioning_data_dir=None)
        pictures = scan_dataset(settings).pictures
    else:
        pictures = held_out_pictures(job.dataset, dataset)
    return validation_plan_of(job.dataset, pictures, job.training) if pictures else None


def _network(job: Job, base: BaseModel, reporter: Reporter) -> tuple[Job, Network]:
    """The network, new or continued from a LoRA file; the job then has the type and sizes of that file."""
    scaled = has_one_rate(job.optimizer)
    if not job.network.network_weights:
        return job, create_network(job.network, base.unet, base.text_encoders, job.training.seed, scaled_alphas=scaled)
    file = load_network_file(Path(job.network.network_weights))
    network = network_from_file(file, job.network, base.unet, base.text_encoders, base.checkpoint,
                                scaled_alphas=scaled)
    settings = settings_like(file.facts, job.network)
    if settings != job.network:
        reporter.warning(f"{file.path.name} is {in_words(file.facts)}: its type, rank and alpha override the settings.")
    kept = sum(not module.is_trained for module in network.loras())
    left = f"; {kept} of its layers are copied unchanged" if kept else ""
    reporter.say(f"Continuing from {file.path.name}: {in_words(file.facts)}, {len(file.facts.layers)} layers{left}.")
    return dataclasses.replace(job, network=settings), network


def _report_problems(dataset: Dataset, reporter: Reporter) -> None:
    for problem in dataset.problems:
        if problem.level == "note":
            reporter.say(problem.text)
        else:
            reporter.warning(problem.text)
    by_reason: dict[str, list[Path]] = defaultdict(list)
    for item in dataset.left_out:
        if item.pictures:
            by_reason[item.reason].append(item.path)
    for reason, paths in by_reason.items():
        reporter.warning(f"Left out, since {reason}: {names_of(paths)}.")


def _report_long_captions(dataset: Dataset, settings: DatasetSettings, tokenizer: Tokenizer, limit: int,
                          reporter: Reporter) -> int:
    """Warn of captions with more tokens than ``limit``; returns the token count of the longest."""
    counts = {picture: tokenizer.count_tokens(plain_caption(picture, settings))
              for picture in (*dataset.pictures, *dataset.regularization)}
    long = [picture.path.name for picture, count in counts.items() if count > limit]
    if long:
        shown = ", ".join(long[:3]) + (" …" if len(long) > 3 else "")
        reporter.warning(f"{len(long)} captions have more than {limit} tokens and are cut there: {shown}. Raise "
                         "base.max_token_length or shorten them.")
    return max(counts.values())


def _hashes_in_background(base: BaseModel) -> Future[ModelHashes]:
    """Start hashing the base files in the background; it takes seconds, and the first save needs the hashes."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="hashes")
    future = pool.submit(hashes_of, base.checkpoint, base.vae_file)
    pool.shutdown(wait=False)
    return future


def _bytes_of(network: Network, precision: str) -> int:
    return sum(tensor.numel() for tensor in network.state_dict().values()) * (4 if precision == "float" else 2)


def _schedule_of(base: BaseModel, job: Job) -> DDPMScheduler:
    """The noise schedule of the base model; a file may be marked as zero terminal SNR."""
    pure_at_end = job.loss.zero_terminal_snr or (base.zero_terminal_snr and base.prediction_type == VELOCITY)
    return noise_schedule(base.prediction_type, zero_terminal_snr=pure_at_end)


def _noted(text: str) -> None:
    """Discard the warnings of ``make_optimizer``, which are already among the notes on the job."""


def make_learner(model: TrainedModel, job: Job, scheduled_steps: int,
                 warn: Callable[[str], None] = _noted) -> Learner:
    """``model`` with the optimizer and the schedule of ``job``; ``warn`` is called for unused rates."""
    rates = {"unet": job.optimizer.unet_rate, "text_encoder": job.optimizer.text_encoder_rate,
             "text_encoder_2": job.optimizer.second_text_encoder_rate}
    groups = [RatedParameters(group.part, list(group.parameters), rates[group.part], group.rate_factor)
              for group in model.network.parameter_groups()]
    model.network.to(model.device)
    optimizer = make_optimizer(groups, job.optimizer, warn, job.scheduler, joins=not job.training.fused_backward_pass)
    schedule = make_schedule(optimizer, job.scheduler, scheduled_steps)
    prepared = model.accelerator.prepare_optimizer(optimizer)
    descent: Descent
    if job.training.fused_backward_pass:
        descent = FusedSteps(optimizer, scaled=model.accelerator.scaler is not None)
    else:
        descent = PlainSteps(model.accelerator, prepared, list(model.network.parameters()), job.optimizer.max_grad_norm)
    return Learner(model, prepared, schedule, descent)


def _report_start(job: Job, plan: TrainingPlan, model: TrainedModel, progress: Progress,
                  reporter: Reporter) -> None:
    parameters = sum(parameter.numel() for parameter in model.network.parameters() if parameter.requires_grad)
    reporter.event("started", {
        "name": job.save.output_name, "pictures": len(plan.pictures), "total_steps": plan.total_steps,
        "steps_per_epoch": plan.steps_per_epoch, "total_epochs": plan.epochs, "parameters": parameters,
        "from_step": progress.step,
        "device": str(model.device), "precision": model.accelerator.mixed_precision})
    reporter.say(f"{job.save.output_name}: {len(plan.pictures)} images, {plan.total_steps} steps in {plan.epochs} "
                 f"epochs, {parameters / 1e6:.2f} M values to train, on {model.device}.")
    if progress.step:
        reporter.say(f"Resuming after step {progress.step}.")
