"""The base model of a check: draws the missing images, and measures the loss of the set's images with each word."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..batches.batches import Batch, load_batch
from ..batches.plan import TrainingPlan, validation_plan_of
from ..captions.traits import has_tag
from ..config.groups.knows import KnowsJob
from ..config.groups.sample import SampleSettings
from ..files.atomic import write_atomically
from ..models.tokenizer import Tokenizer, find_vocabulary
from ..networks.create import create_network
from ..pictures.scan import Dataset
from ..runs.diagnosis.knows import TRAIT, Drawing, drawings_of, words_of
from ..runs.folder import RunFolder
from ..training.base_model import fitted_base
from ..training.base_weights import load_weights
from ..training.encoding import StoppedEarly, encode, progress_until_stop, unchanged
from ..training.holding import Boundary
from ..training.memory import store_base
from ..training.model import TrainedModel
from ..training.precision import resolve_computing
from ..training.reporting.report import Reporter
from ..training.reporting.sampling import draw_samples
from ..training.setup import schedule_of
from ..training.validation import TIMESTEPS
from .losses import losses_of
from .verdicts import Gain, gain_of

_MIDDLE = slice(1, -1)
_OF_WORDS: Sequence[int] = list(TIMESTEPS)[_MIDDLE]
"""The timesteps that words are measured at: the others say more of details and of brightness than of the subject."""
_LEAST_BATCH = 2
"""Without gradients, this many images at once need less memory than one in training."""


@dataclass(frozen=True)
class Measured:
    """Losses, float64, (images, timesteps): with the image's caption, and with an empty one.

    ``words`` are the losses (images,) with each word alone at the middle timesteps, NaN where it was not measured;
    ``plan`` has the images.
    """

    plan: TrainingPlan
    captions: tuple[str, ...]
    with_caption: NDArray[np.float64]
    empty: NDArray[np.float64]
    words: NDArray[np.float64]

    def gain_of(self, word: int) -> Gain | None:
        """The gain of a word, by its index."""
        there = ~np.isnan(self.words[word])
        return gain_of(self.empty[:, _MIDDLE].mean(1)[there], self.words[word][there])

    def images(self, folder: Path) -> list[dict[str, Any]]:
        """Every image, the most surprising first: ``path``, ``caption``, ``loss``, ``empty`` and ``surprise``.

        ``surprise`` is the geometric mean over timesteps of its loss divided by the set's median at that timestep, so
        that each timestep counts the same: 1 is usual.
        """
        usual = np.median(self.with_caption, axis=0)
        surprises = np.exp(np.log(np.maximum(self.with_caption, 1e-12) / np.maximum(usual, 1e-12)).mean(1))
        return [{"path": self.plan.pictures[place].path.relative_to(folder).as_posix(),
                 "caption": self.captions[place], "loss": round(float(self.with_caption[place].mean()), 6),
                 "empty": round(float(self.empty[place].mean()), 6), "surprise": round(float(surprises[place]), 4)}
                for place in np.argsort(-surprises, kind="stable")]


def measure(job: KnowsJob, run: RunFolder, reporter: Reporter, dataset: Dataset) -> Measured:
    """Load the base, draw the images that are missing in ``run``, and measure.

    Raises ``TrainLoraError``, and ``StoppedEarly`` if a stop is requested.
    """
    settings = dataclasses.replace(unchanged(job.dataset),
                                   train_batch_size=max(_LEAST_BATCH, job.dataset.train_batch_size))
    plan = validation_plan_of(settings, dataset.pictures, job.training)
    model, boundary = _model(job, run, reporter, plan)
    progress = progress_until_stop(run.control, boundary, reporter)
    latents = encode(plan, model, settings, reporter, "Encoding the images", progress)
    model.bring()
    between = _between(model, boundary, run)
    _draw(job, run, model, reporter, between)
    order = plan.batches_in_order()
    batches = [(indices, load_batch(plan, indices, latents, settings, None)) for indices in order]
    work = _Work(model, job, plan, batches, between, reporter)
    found = work.everything()
    model.put_away()
    return found


def _model(job: KnowsJob, run: RunFolder, reporter: Reporter, plan: TrainingPlan) -> tuple[TrainedModel, Boundary]:
    asked = job.as_training
    reporter.phase("model", f"Loading {Path(job.base.checkpoint).name}")
    computing = resolve_computing(job.training, plan.smallest_side)
    if computing.unproven:
        computing = computing.in_full_precision()  # nothing is trained, so proving bf16 would take longer than it saves
    boundary = Boundary(run, reporter, computing.device)
    base = fitted_base(asked, load_weights(asked, run, computing, boundary, reporter), reporter)
    accelerator = computing.accelerator()
    store_base(base, job.training, accelerator.device)
    network = create_network(asked.network, base.unet, base.text_encoders, job.training.seed)
    network.multiplier = 0.0  # the base alone; an addition of zero would cost a fifth of each prediction
    model = TrainedModel(base, network, Tokenizer(find_vocabulary()), accelerator, schedule_of(base, asked),
                         job.base.clip_skip, job.base.max_token_length, trains_text_encoder=False)
    return model, boundary


def _between(model: TrainedModel, boundary: Boundary, run: RunFolder) -> Callable[[], None]:
    """What is done between two predictions: leave the GPU while the webui needs it, and stop if that is requested."""
    @contextmanager
    def away() -> Iterator[None]:
        model.put_away()
        yield
        model.bring()

    def wait() -> None:
        boundary.wait(away)
        if run.control.asked("stop"):
            raise StoppedEarly

    return wait


def _draw(job: KnowsJob, run: RunFolder, model: TrainedModel, reporter: Reporter, between: Callable[[], None]) -> None:
    missing = [drawing for drawing in drawings_of(job, run) if not drawing.file.is_file()]
    if not missing:
        return
    reporter.phase("draw", "Generating images of each word", total=len(missing))
    for done, drawing in enumerate(missing, 1):
        _draw_one(job, model, drawing, between)
        reporter.progress(done, len(missing))


def _draw_one(job: KnowsJob, model: TrainedModel, drawing: Drawing, between: Callable[[], None]) -> None:
    knows = job.knows
    sample = SampleSettings(sample_prompts=[drawing.prompt], negative_prompt=knows.negative_prompt,
                            sample_steps=knows.sample_steps, cfg_scale=knows.cfg_scale, sample_seed=drawing.seed)
    for drawn in draw_samples(model, dataclasses.replace(job.as_training, sample=sample), between):
        data = io.BytesIO()
        drawn.picture.save(data, "PNG")
        drawing.file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(drawing.file, data.getvalue())


@dataclass(frozen=True)
class _Work:
    """The batches of all images, and what measures them."""

    model: TrainedModel
    job: KnowsJob
    plan: TrainingPlan
    batches: Sequence[tuple[list[int], Batch]]
    between: Callable[[], None]
    reporter: Reporter

    def everything(self) -> Measured:
        """The losses of all images with caption and without, and of some with each word."""
        words, images = words_of(self.job), range(len(self.plan.pictures))
        chosen = [self._chosen(word.text if word.kind == TRAIT else "") for word in words]
        captions = [caption for _, caption in sorted(
            pair for indices, batch in self.batches for pair in zip(indices, batch.captions, strict=True))]
        wanted: list[tuple[Sequence[str], set[int], Sequence[int]]] = [
            (captions, set(images), TIMESTEPS), ([""] * len(images), set(images), TIMESTEPS),
            *[([word.text] * len(images), own, _OF_WORDS) for word, own in zip(words, chosen, strict=True)]]
        total = sum(len(places) * len(timesteps) for _, places, timesteps in wanted)
        self.reporter.phase("loss", "Measuring the loss of the images", total=total)
        done = 0

        def measured(count: int) -> None:
            nonlocal done
            done += count
            self.reporter.progress(done, total)

        rows = [self._losses(*one, measured) for one in wanted]
        of_words = np.array([row.mean(1) for row in rows[2:]]).reshape(len(words), len(captions))
        return Measured(self.plan, tuple(captions), rows[0], rows[1], of_words)

    def _chosen(self, tag: str) -> set[int]:
        """Images to measure a word on, evenly chosen from all, or from those with ``tag``."""
        own = [place for place, picture in enumerate(self.plan.pictures)
               if not tag or has_tag(picture, tag, self.job.dataset)]
        most = self.job.knows.loss_images
        return {own[round(place)] for place in np.linspace(0, len(own) - 1, min(most, len(own)))} if own else set()

    def _losses(self, texts: Sequence[str], images: set[int], timesteps: Sequence[int],
                measured: Callable[[int], None]) -> NDArray[np.float64]:
        """(images, timesteps), NaN for those not in ``images``; reports the number of predictions for an image."""
        found = np.full((len(texts), len(timesteps)), np.nan)
        for indices, batch in self.batches:
            places = [place for place, index in enumerate(indices) if index in images]
            if not places:
                continue
            part, own = _part(batch, places), [indices[place] for place in places]
            losses = losses_of(self.model, part, [texts[index] for index in own], timesteps, self.job.training.seed,
                               self.between)
            found[own] = losses.to(torch.float64).numpy()
            measured(len(places) * len(timesteps))
        return found


def _part(batch: Batch, places: Sequence[int]) -> Batch:
    """The images ``places`` of ``batch``."""
    rows = list(places)
    return Batch(batch.latents[rows], [batch.captions[place] for place in rows],
                 tuple(batch.pictures[place] for place in rows), None if batch.masks is None else batch.masks[rows],
                 tuple(batch.frames[place] for place in rows) if batch.frames else ())
