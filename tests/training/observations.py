"""What a job really does, as values that can be compared: the cheapest observation in which each setting shows."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from diffusers import DDPMScheduler
from diffusers.models.attention import BasicTransformerBlock
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from lib_lora_train.advice.optimizer_guards import with_d_coef
from lib_lora_train.batches.batches import Batch, load_batch
from lib_lora_train.batches.captions import BatchPosition
from lib_lora_train.batches.fresh_latents import FreshLatents
from lib_lora_train.batches.latents import Encoder, LatentSource, Posterior, Wanted, cache_folder_of, encode_all
from lib_lora_train.batches.plan import plan_of
from lib_lora_train.config.job import Job
from lib_lora_train.config.load import job_to_yaml
from lib_lora_train.diagnosis.budget import Budget
from lib_lora_train.models.load import BaseModel, load_base
from lib_lora_train.models.noise import noise_schedule
from lib_lora_train.models.stored_weights import stored_layers
from lib_lora_train.models.tokenizer import Tokenizer, find_vocabulary
from lib_lora_train.networks.create import create_network
from lib_lora_train.networks.from_file import network_from_file, settings_like
from lib_lora_train.networks.save import load_network_file
from lib_lora_train.pictures.augment import changes_pixels
from lib_lora_train.pictures.scan import scan_dataset
from lib_lora_train.runs.events import EventWriter, read_events
from lib_lora_train.runs.folder import create_run
from lib_lora_train.training.model import TrainedModel
from lib_lora_train.training.optimizers.create import RatedParameters, effective_rate, make_optimizer
from lib_lora_train.training.optimizers.fused import FusedSteps
from lib_lora_train.training.optimizers.plain import PlainSteps
from lib_lora_train.training.optimizers.schedules import make_schedule
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.run import TrainingRun
from lib_lora_train.training.setup import held_out_plan, make_learner, prepare
from lib_lora_train.training.step import Learner, train_step

STEPS = 1
RATED_STEPS = 20
LATENTS = 64
Observe = Callable[[Job], Any]


def digest(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.detach().contiguous().numpy().tobytes()).hexdigest()[:16]


def _pooled(pixels: Tensor) -> Posterior:
    mean = functional.avg_pool2d(pixels, 8)
    mean = torch.cat([mean, mean[:, :1]], dim=1)
    return Posterior(mean, torch.zeros_like(mean))


def observe_images(job: Job) -> Any:
    """Every batch of three epochs: latents, captions, frames, masks, weights; what is held out; what is on disk."""
    dataset = scan_dataset(job.dataset)
    plan = plan_of(job.dataset, dataset, job.training)
    encoder, cache = Encoder(_pooled, _pooled, "pooled", 1.0), cache_folder_of(Path(job.dataset.train_data_dir))
    latents: LatentSource
    if changes_pixels(job.dataset):
        latents = FreshLatents(plan, encoder, job.dataset)
    else:
        latents = encode_all(plan, encoder, cache_folder=cache if job.dataset.cache_latents_to_disk else None,
                             progress=lambda done, total: None,
                             wanted=Wanted.by(job.dataset))
    seen = []
    for epoch in range(1, 4):
        for number, indices in enumerate(plan.epoch_batches(job.training.seed, epoch)):
            position = BatchPosition(job.training.seed, epoch, number, (epoch - 1) * 10 + number, 30)
            batch = load_batch(plan, indices, latents, job.dataset, position)
            seen.append((digest(batch.latents), batch.captions, batch.frames,
                         None if batch.masks is None else digest(batch.masks),
                         tuple(picture.weight for picture in batch.pictures)))
    held_out = held_out_plan(job, dataset)
    kept = sorted(path.name for path in cache.rglob("*") if path.is_file()) if cache.is_dir() else []
    for path in cache.rglob("*") if cache.is_dir() else []:
        if path.is_file():
            path.unlink()
    return seen, None if held_out is None else [picture.path.name for picture in held_out.pictures], kept


def observe_diagnosis(job: Job) -> Any:
    """How long the diagnosis may measure before the first step of a run of 100 seconds; None without a diagnosis."""
    if not job.diagnosis.diagnose:
        return None
    return Budget(job.diagnosis.diagnosis_share / 100, 5, lambda: 0.0).allowance(100.0)


def observe_rates(job: Job) -> Any:
    """The rate of each part in each of twenty steps, and where they lead."""
    parts = {"unet": job.optimizer.unet_rate, "text_encoder": job.optimizer.text_encoder_rate,
             "text_encoder_2": job.optimizer.second_text_encoder_rate}
    if job.network.network_train_unet_only:
        parts = {"unet": parts["unet"]}
    elif job.network.network_train_text_encoder_only:
        del parts["unet"]
    parts.pop("text_encoder_2", None)  # as on SD 1.x
    values = {part: torch.nn.Parameter(torch.linspace(-2, 3, 12).view(3, 4)) for part in parts}
    optimizer = make_optimizer([RatedParameters(part, [values[part]], rate) for part, rate in parts.items()],
                               with_d_coef(job).optimizer, lambda text: None, job.scheduler)
    schedule = make_schedule(optimizer, job.scheduler, RATED_STEPS)
    rates = []
    for _ in range(RATED_STEPS):
        optimizer.zero_grad()
        sum(((value - 1) ** 2).sum() for value in values.values()).backward()
        if job.optimizer.max_grad_norm:
            torch.nn.utils.clip_grad_norm_(list(values.values()), job.optimizer.max_grad_norm)
        optimizer.step()
        rates.append([(group["part"], effective_rate(group, optimizer)) for group in optimizer.param_groups])
        schedule.step()
    return rates, {part: digest(value) for part, value in values.items()}


def observe_steps(base: BaseModel, v_base: BaseModel) -> Observe:
    """The network's values after a step on fixed latents."""
    tokenizer = Tokenizer(find_vocabulary())
    image = dataclasses.make_dataclass("Image", ["regularization", ("weight", float, 1.0)])

    def observe(job: Job) -> Any:
        model_base = v_base if job.base.v_parameterization else base
        settings = job.network
        if settings.network_weights:
            file = load_network_file(Path(settings.network_weights))
            network = network_from_file(file, settings, model_base.unet, model_base.text_encoders, base.checkpoint)
            job = dataclasses.replace(job, network=settings_like(file.facts, settings))
        else:
            network = create_network(settings, model_base.unet, model_base.text_encoders, job.training.seed)
        job = with_d_coef(job)
        model = TrainedModel(model_base, network, tokenizer, Accelerator(cpu=True), noise_schedule(
            "v_prediction" if job.base.v_parameterization else "epsilon",
            zero_terminal_snr=job.loss.zero_terminal_snr), 1, 75, network.trains_text_encoder)
        try:
            learner = make_learner(model, job, STEPS)
            for step in range(1, STEPS + 1):
                latents = 3 * torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(step)) + step
                batch = Batch(latents, ["penny"], (image(False),))  # type: ignore[arg-type]
                train_step(learner, [batch], job, step)
            return {name: digest(tensor.float()) for name, tensor in network.state_dict().items()}
        finally:
            network.detach()

    return observe


class _OneLayer:
    """A model with all that the training step asks of one, so that nothing but the loss differs."""

    def __init__(self, schedule: DDPMScheduler) -> None:
        self.network = torch.nn.Conv2d(4, 4, 1)
        torch.nn.init.dirac_(self.network.weight)
        torch.nn.init.zeros_(self.network.bias)  # type: ignore[arg-type]
        self.noise_schedule, self.accelerator, self.device = schedule, Accelerator(cpu=True), torch.device("cpu")

        self.alone = False

    def predict(self, noisy_latents: Tensor, timesteps: Tensor, captions: Sequence[str], *_: Any) -> Tensor:
        said = sum(map(len, captions)) / 100
        return noisy_latents + said if self.alone else self.network(noisy_latents) + 2 * said

    @contextmanager
    def base_alone(self) -> Iterator[None]:
        self.alone = True
        with torch.no_grad():
            yield
        self.alone = False


def observe_loss(job: Job) -> Any:
    """Loss and weights of two real training steps of one layer, over timesteps from the whole range."""
    model = _OneLayer(noise_schedule("v_prediction" if job.base.v_parameterization else "epsilon",
                                     zero_terminal_snr=job.loss.zero_terminal_snr))
    optimizer = torch.optim.SGD(model.network.parameters(), lr=0.1)
    descent = PlainSteps(model.accelerator, optimizer, list(model.network.parameters()), job.optimizer.max_grad_norm)
    learner = Learner(model, optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer),  # type: ignore[arg-type]
                      descent)
    latents = 3 * torch.randn(LATENTS, 4, 8, 8, generator=torch.Generator().manual_seed(1)) + 1
    image = dataclasses.make_dataclass("Image", ["regularization", ("weight", float, 1.0)])
    of_class = job.dataset.reg_data_dir is not None
    images = tuple(image(of_class and number % 2 == 1) for number in range(LATENTS))
    pictures = scan_dataset(job.dataset).pictures
    masks = None
    if job.dataset.masked_loss and any(picture.mask for picture in pictures):
        masks = torch.rand(LATENTS, 1, 8, 8, generator=torch.Generator().manual_seed(2)).round()
    batch = Batch(latents, [pictures[0].caption] * LATENTS, images, masks)  # type: ignore[arg-type]
    result = [train_step(learner, [batch], job, step) for step in (1, 2)]
    return result, [digest(parameter) for parameter in model.network.parameters()]


def observe_run(folder: Path) -> Observe:
    """A whole short run: its files, rates, losses and samples, and how the model was kept in memory."""
    number = iter(range(10_000))

    def observe(job: Job) -> Any:
        AcceleratorState._reset_state(reset_partial_state=True)  # a run has a process of its own
        run = create_run(folder / "runs", f"{next(number)}", job_to_yaml(job))
        with EventWriter(run.events_file) as events:
            reporter = Reporter(events, terminal=False)
            prepared = prepare(job, run, reporter)
            kept = _how_it_is_kept(prepared.learner.model, isinstance(prepared.learner.descent, FusedSteps))
            TrainingRun(prepared, run, reporter).execute()
        reported = read_events(run.events_file)[0]
        output = Path(job.save.output_dir)
        files: dict[str, Any] = {}
        for path in sorted(output.iterdir()):
            if path.suffix == ".safetensors":
                with safe_open(path, "pt") as file:
                    comment = file.metadata().get("ss_training_comment")
                files[path.name] = (comment, {name: (str(tensor.dtype), digest(tensor.float()))
                                              for name, tensor in load_file(path).items()})
            elif path.suffix == ".json":
                files[path.name] = path.read_text()
            path.unlink()
        steps = [(event["step"], event["epoch"], event["loss"]) for event in reported if event["event"] == "step"]
        samples = [(event["step"], event["index"], hashlib.sha256((run.path / event["path"]).read_bytes()).hexdigest())
                   for event in reported if event["event"] == "sample"]
        losses = [event["loss"] for event in reported if event["event"] == "validation"]
        return kept, output.name, files, steps, samples, losses

    return observe


def _how_it_is_kept(model: TrainedModel, fused: bool) -> Any:
    checkpointed = [name for name, module in model.base.unet.named_modules()
                    if getattr(module, "gradient_checkpointing", False)]
    return (checkpointed, len(model.base.text_encoders), fused, model.accelerator.mixed_precision, model.device.type,
            [type(layer).__name__ for layer in stored_layers(model.base.unet)][:3])


class _Nothing(torch.nn.Module):
    """A part of a transformer block that adds nothing."""

    def forward(self, hidden: Tensor, *_: Any, **__: Any) -> Tensor:
        return torch.zeros_like(hidden)


def lean(base: BaseModel) -> BaseModel:
    """``base`` with nothing but attention to the text in its transformer blocks, and two layers of its text encoder.

    Every block of the UNet and every kind of layer that a network knows is still there: what a setting does shows in
    these as in all, in a third of the time.
    """
    for module in base.unet.modules():
        if isinstance(module, BasicTransformerBlock):
            module.attn1, module.ff = _Nothing(), _Nothing()
    for encoder in base.text_encoders:
        layers = encoder.get_submodule("text_model.encoder").layers
        del layers[2:]
    return base


def load(checkpoint: Path) -> BaseModel:
    return lean(load_base(checkpoint, None, dtype=torch.float32, device="cpu"))
