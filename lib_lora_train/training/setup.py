"""Everything a run needs before its first step, ordered so that mistakes are found early."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from accelerate import Accelerator
from diffusers import DDPMScheduler

from ..advice.optimizer_guards import with_d_coef
from ..advice.surroundings import plan_facts
from ..batches.batches import Batch, load_batch
from ..batches.captions import plain_caption
from ..batches.held_out import held_out_pictures, trained_on_already
from ..batches.plan import TrainingPlan, fits_of, validation_plan_of
from ..batches.summary import summarize_phases
from ..batches.timeline import Timeline, timeline_of
from ..config.groups.dataset import DatasetSettings
from ..config.groups.network import NetworkSettings
from ..config.job import Job
from ..config.optimizer_args import has_one_rate
from ..config.phases.effective import network_of_all, phases_of
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
from ..pictures.buckets import Fit
from ..pictures.problems import names_of
from ..pictures.scan import Dataset, scan_dataset
from ..runs.events import read_events
from ..runs.folder import RunFolder
from ..runs.names import lora_names, next_free_name
from .base_model import fitted_base, with_fitted_lists, with_known_captions
from .base_weights import load_weights, proven
from .encoding import encode, progress_until_stop, unchanged
from .holding import Boundary
from .memory import checkpoint_gradients, dry_step, limit_gpu, prove, store_base
from .model import TrainedModel
from .notes import report_notes
from .optimizers.create import RatedParameters, make_optimizer
from .optimizers.fused import FusedSteps
from .optimizers.plain import Descent, PlainSteps
from .optimizers.schedules import make_schedule
from .phases.latents import PhaseLatents, latents_of_phases
from .phases.report import begun, phases_as_event, prefix_of, report_phases
from .phases.switch import PhaseSwitch
from .precision import Computing, resolve_computing
from .reporting.noise_bands import noise_facts
from .reporting.observing import Observer
from .reporting.outputs import Outputs, check_output_folder
from .reporting.report import Reporter
from .state import Progress, load_state
from .step import Learner


@dataclass(frozen=True)
class Prepared:
    """A run that is ready for its first step. ``job`` is the requested one, with a free name.

    ``switch`` applies training phases; ``None`` if there is only one.
    """

    job: Job
    timeline: Timeline
    latents: PhaseLatents
    learner: Learner
    switch: PhaseSwitch | None
    outputs: Outputs
    validation: list[Batch]
    progress: Progress
    boundary: Boundary

    @property
    def plan(self) -> TrainingPlan:
        """The plan of the first phase."""
        return self.timeline.first.plan


def prepare(job: Job, run: RunFolder, reporter: Reporter, memory_advice: str = "",
            proofs: Path | None = None, observers: Sequence[Observer] = ()) -> Prepared:
    """Read the images and the model, encode the latents, and create network and optimizer.

    ``memory_advice`` is called if the job does not fit on the GPU. ``proofs`` is the file of ``Remembered``. Captions
    that ``observers`` will use are encoded too, if captions are encoded before the first step. Raises a
    ``TrainLoraError`` for anything that would make the run fail later, before any file is written, and
    ``StoppedEarly`` if a stop is requested.
    """
    reporter.phase("dataset", "Reading the images")
    dataset = scan_dataset(job.dataset)
    timeline = timeline_of(job, scan_dataset, dataset, schedule_begins(run))
    plan = timeline.first.plan
    held_out = held_out_plan(job, dataset, reporter.warning)
    _report_problems(timeline, reporter)
    job = with_free_name(job, run, reporter)

    reporter.phase("model", f"Loading {Path(job.base.checkpoint).name}")
    computing = resolve_computing(job.training, min(phase.plan.smallest_side for phase in timeline.phases))
    boundary = Boundary(run, reporter, computing.device)
    loaded, accelerator = _loaded(job, run, computing, boundary, reporter, proofs)
    base = fitted_base(job, loaded, reporter)
    asked, job = job, with_fitted_lists(job, base)
    hashes = _hashes_in_background(base)
    limit_gpu(job.training, accelerator.device)
    store_base(base, job.training, accelerator.device)
    tokenizer = Tokenizer(find_vocabulary())
    longest = _report_long_captions(timeline, tokenizer, job.base.max_token_length, reporter)
    job, network = _network(job, base, reporter)
    _report_notes(timeline.with_jobs(asked), job.network, loaded, 0 if held_out is None else len(held_out.pictures),
                  longest, accelerator.device.type, run, reporter)
    job = with_d_coef(job)
    timeline = timeline.with_jobs(job)
    check_output_folder(Path(job.save.output_dir), _bytes_of(network, job.save.save_precision))
    model = TrainedModel(base, network, tokenizer, accelerator, schedule_of(base, job), job.base.clip_skip,
                         job.base.max_token_length, network.trains_text_encoder)
    encoded = progress_until_stop(run.control, boundary, reporter)
    if job.training.cache_text_encoder_outputs:
        plans = [(phase.job, phase.plan) for phase in timeline.phases] + ([(job, held_out)] if held_out else [])
        further = [caption for observer in observers for caption in observer.captions(job, plan)]
        model = with_known_captions(model, plans, reporter, encoded, further)
    del base, loaded  # their text encoders may no longer be needed
    if job.training.gradient_checkpointing:
        checkpoint_gradients(model, job.training.checkpointing_blocks)
    switch = PhaseSwitch(network, job) if job.training.phases else None
    learner = make_learner(model, job, timeline.first.curve_steps, groups=switch.groups if switch else None)

    latents = latents_of_phases(timeline, run.state, model, reporter, encoded, keep_first=bool(observers))
    validation = [] if held_out is None else _validation_batches(held_out, model, job, reporter, encoded)
    if latents.all_encoded:  # nothing is encoded in training
        model.base.drop_encoder()
    outputs = Outputs(job, run, model.base, hashes, timeline, summarize_phases(timeline.phases), reporter)
    model.bring()
    job = _fitted_job(model, job, learner, timeline, reporter, memory_advice)
    timeline = timeline.with_jobs(job)
    progress = _restored(run, learner, job, timeline, switch, reporter)
    _report_start(job, timeline, model, progress, reporter)
    return Prepared(job, timeline, latents, learner, switch, outputs, validation, progress, boundary)


def _report_notes(timeline: Timeline, network: NetworkSettings, base: BaseModel, held_out: int, longest: int,
                  device: str, run: RunFolder, reporter: Reporter) -> None:
    """Report the notes on each phase of ``timeline``, once, and the phases if there are several.

    ``network`` is the one that is trained; ``held_out`` counts images, ``longest`` is a caption's length in tokens.
    """
    known: set[str] = set()
    for phase in timeline.phases:
        plan = phase.plan
        facts = dataclasses.replace(
            plan_facts(plan, held_out, partial(_fits_with, plan), longest, phase.dataset.pictures),
            total_steps=timeline.total_steps, epochs=timeline.epochs)
        trained = phase.job.network if phase.number > 1 else network
        known |= report_notes(phase.job, trained, base, facts, plan.smallest_side, device, run, reporter,
                              known=known, prefix=prefix_of(phase.settings))
    report_phases(timeline, reporter)


def _fits_with(plan: TrainingPlan, settings: DatasetSettings) -> tuple[Fit, ...]:
    return fits_of(settings, plan.pictures)


def _fitted_job(model: TrainedModel, job: Job, learner: Learner, timeline: Timeline, reporter: Reporter,
                advice: str) -> Job:
    """``job`` with whatever it takes that a step of its biggest phase fits on the GPU; see ``memory.prove``."""
    if model.device.type != "cuda":
        return job
    reporter.phase("memory", "Testing whether a step fits into GPU memory")
    biggest = timeline.biggest
    return prove(model, job, lambda: dry_step(learner, biggest.plan, biggest.job), reporter, advice)


def _restored(run: RunFolder, learner: Learner, job: Job, timeline: Timeline, switch: PhaseSwitch | None,
              reporter: Reporter) -> Progress:
    """The progress of an earlier part of the run, with ``learner`` as it was then, in the phase of the next step."""
    progress = load_state(run.state, learner, job, timeline.first.curve_first, timeline.fingerprint, reporter.warning,
                          begun(timeline, timeline.epochs)) or Progress()
    if switch is not None:
        switch.apply(learner, timeline.of_epoch(progress.next_epoch), progress.step)
    return progress


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


def held_out_plan(job: Job, dataset: Dataset, warn: Callable[[str], object] = lambda _: None) -> TrainingPlan | None:
    """The validation images in buckets, each once: from a folder, or a share of ``dataset``; ``None`` without any.

    Images of the folder that are copies of training images are left out, and named to ``warn``.
    """
    if job.dataset.validation_data_dir:
        settings = dataclasses.replace(job.dataset, train_data_dir=job.dataset.validation_data_dir, reg_data_dir=None,
                                       conditioning_data_dir=None)
        pictures = scan_dataset(settings).pictures
        seen = trained_on_already(pictures, dataset.pictures)
        if seen:
            warn("Not held out, since nearly the same as a training image: "
                 f"{names_of([picture.path for picture in seen])} in {settings.train_data_dir}.")
        pictures = tuple(picture for picture in pictures if picture not in seen)
    else:
        pictures = held_out_pictures(job.dataset, dataset)
    return validation_plan_of(job.dataset, pictures, job.training) if pictures else None


def _network(job: Job, base: BaseModel, reporter: Reporter) -> tuple[Job, Network]:
    """The network, new or continued from a LoRA file; the job then has the type and sizes of that file."""
    scaled = has_one_rate(job.optimizer)
    if not job.network.network_weights:
        return job, create_network(network_of_all(job), base.unet, base.text_encoders, job.training.seed,
                                   scaled_alphas=scaled)
    file = load_network_file(Path(job.network.network_weights))
    network = network_from_file(file, network_of_all(job), base.unet, base.text_encoders, base.checkpoint,
                                scaled_alphas=scaled)
    settings = settings_like(file.facts, job.network)
    if settings != job.network:
        reporter.warning(f"{file.path.name} is {in_words(file.facts)}: its type, rank and alpha override the settings.")
    kept = sum(not module.is_trained for module in network.loras())
    left = f"; {kept} of its layers are copied unchanged" if kept else ""
    reporter.say(f"Continuing from {file.path.name}: {in_words(file.facts)}, {len(file.facts.layers)} layers{left}.")
    return dataclasses.replace(job, network=settings), network


def _report_problems(timeline: Timeline, reporter: Reporter) -> None:
    """Report the problems with the images: once each, though a later phase reads some of them again."""
    known: set[str] = set()
    for phase in timeline.phases:
        for problem in phase.dataset.problems:
            if problem.text not in known:
                known.add(problem.text)
                text = f"{prefix_of(phase.settings)}{problem.text}"
                (reporter.say if problem.level == "note" else reporter.warning)(text)
    by_reason: dict[str, list[Path]] = defaultdict(list)
    for item in dict.fromkeys(item for phase in timeline.phases for item in phase.dataset.left_out):
        if item.pictures:
            by_reason[item.reason].append(item.path)
    for reason, paths in by_reason.items():
        reporter.warning(f"Left out, since {reason}: {names_of(paths)}.")


def _report_long_captions(timeline: Timeline, tokenizer: Tokenizer, limit: int, reporter: Reporter) -> int:
    """Warn of captions with more tokens than ``limit``; returns the token count of the longest."""
    counts: dict[str, int] = {}
    known: set[str] = set()
    for phase in timeline.phases:
        long = []
        for picture in (*phase.dataset.pictures, *phase.dataset.regularization):
            caption = plain_caption(picture, phase.job.dataset)
            if caption not in counts:
                counts[caption] = tokenizer.count_tokens(caption)
            if counts[caption] > limit and caption not in known:
                long.append((picture.path.name, caption))
        known.update(caption for _, caption in long)
        if long:
            shown = ", ".join(name for name, _ in long[:3]) + (" …" if len(long) > 3 else "")
            reporter.warning(f"{prefix_of(phase.settings)}{len(long)} captions have more than {limit} tokens and are "
                             f"cut there: {shown}. Raise base.max_token_length or shorten them.")
    return max(counts.values())


def _hashes_in_background(base: BaseModel) -> Future[ModelHashes]:
    """Start hashing the base files in the background; it takes seconds, and the first save needs the hashes."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="hashes")
    future = pool.submit(hashes_of, base.checkpoint, base.vae_file)
    pool.shutdown(wait=False)
    return future


def _bytes_of(network: Network, precision: str) -> int:
    return sum(tensor.numel() for tensor in network.state_dict().values()) * (4 if precision == "float" else 2)


def schedule_of(base: BaseModel, job: Job) -> DDPMScheduler:
    """The noise schedule of the base model; a file may be marked as zero terminal SNR."""
    pure_at_end = job.loss.zero_terminal_snr or (base.zero_terminal_snr and base.prediction_type == VELOCITY)
    return noise_schedule(base.prediction_type, zero_terminal_snr=pure_at_end)


def _noted(text: str) -> None:
    """Discard the warnings of ``make_optimizer``, which are already among the notes on the job."""


def make_learner(model: TrainedModel, job: Job, scheduled_steps: int,
                 warn: Callable[[str], None] = _noted, groups: Sequence[RatedParameters] | None = None) -> Learner:
    """``model`` with the optimizer and the schedule of ``job``; ``warn`` is called for unused rates.

    ``groups`` are the parameters to train, by default those of the network at the rates of ``job``.
    """
    if groups is None:
        rates = {"unet": job.optimizer.unet_rate, "text_encoder": job.optimizer.text_encoder_rate,
                 "text_encoder_2": job.optimizer.second_text_encoder_rate}
        groups = [RatedParameters(group.part, list(group.parameters), rates[group.part], group.rate_factor)
                  for group in model.network.parameter_groups()]
    model.network.to(model.device)
    scheduler = next((phase.job.scheduler for phase in phases_of(job) if phase.job.scheduler.has_warmup), job.scheduler)
    optimizer = make_optimizer(groups, job.optimizer, warn, scheduler, joins=not job.training.fused_backward_pass)
    schedule = make_schedule(optimizer, job.scheduler, scheduled_steps)
    prepared = model.accelerator.prepare_optimizer(optimizer)
    descent: Descent
    if job.training.fused_backward_pass:
        descent = FusedSteps(optimizer, scaled=model.accelerator.scaler is not None)
    else:
        descent = PlainSteps(model.accelerator, prepared, list(model.network.parameters()), job.optimizer.max_grad_norm)
    return Learner(model, prepared, schedule, descent)


def _report_start(job: Job, timeline: Timeline, model: TrainedModel, progress: Progress,
                  reporter: Reporter) -> None:
    plan = timeline.first.plan
    parameters = sum(parameter.numel() for parameter in model.network.parameters() if parameter.requires_grad)
    reporter.event("started", {
        "name": job.save.output_name, "pictures": len(plan.pictures), "total_steps": timeline.total_steps,
        "steps_per_epoch": timeline.phases[-1].plan.steps_per_epoch, "total_epochs": timeline.epochs,
        "parameters": parameters, "from_step": progress.step,
        "noise": noise_facts(model.noise_schedule, job.loss, model.base.family.name),
        "device": str(model.device), "precision": model.accelerator.mixed_precision,
        **({"training_phases": phases_as_event(timeline)} if job.training.phases else {})})
    reporter.say(f"{job.save.output_name}: {len(plan.pictures)} images, {timeline.total_steps} steps in "
                 f"{timeline.epochs} epochs, {parameters / 1e6:.2f} M values to train, on {model.device}.")
    if progress.step:
        reporter.say(f"Resuming after step {progress.step}.")
