"""Starts a check of what the base knows, and says beforehand what it does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....captions.traits import context_of, traits_of
from ....config.groups.knows import KnowsJob, knows_problems_of
from ....config.job import Job
from ....config.load import job_to_dict, job_to_yaml, read_settings
from ....config.taggers import taggers_in
from ....errors import ConfigError
from ....host.interface import PictureSettings
from ....pictures.scan import Dataset
from ....runs.diagnosis.knows import drawings_of, words_of
from ....runs.folder import KNOWS, TRAIN, create_run
from ....runs.queue import enqueue
from ...access import dataset_folder
from ...captions.tagging_job import taggers_dir
from ...host_routes import busy
from ...services import Services
from ..job_request import complete_job, device_of
from ..pace import expected_seconds

MOST_TRAITS = 8
_NEEDED = ("base.", "dataset.train_data_dir", "dataset.resolution", "dataset.caption", "dataset.min_bucket",
           "dataset.max_bucket", "dataset.bucket", "dataset.train_batch", "training.device",
           "training.mixed_precision")
_TIMESTEPS, _WORD_TIMESTEPS = 5, 3
_STEP_IS = 3
"""A training step takes about three predictions' time for each of its images: forward once, backward twice."""


def plan_of_check(services: Services, values: Mapping[str, Any], images_per_word: int) -> dict[str, Any]:
    """What a check of the form's ``values`` would try and do, for the panel.

    Raises ``ConfigError`` or ``DatasetError`` if it cannot be made.
    """
    job = _training_job(services, values)
    dataset = services.datasets.survey(job.dataset)
    traits = traits_of(dataset.pictures, job.dataset, MOST_TRAITS)
    taggers = [files.name for files in taggers_in(taggers_dir(services))]
    words = max(0, min(images_per_word, 16)) * (1 + bool(job.dataset.activation_tag) + len(traits))
    held = busy(services)
    waits = _what_waits(services) or ("" if held is None else held["text"])
    return {"trigger": job.dataset.activation_tag.strip(), "traits": traits,
            "prompt": context_of(dataset.pictures, job.dataset), "images": len(dataset.pictures), "taggers": taggers,
            "checkpoint": Path(job.base.checkpoint).name, "drawn": words,
            "seconds": expected_seconds(services, job, _steps(job, dataset, len(traits) + 1, words)),
            "notes": _notes(services, job, dataset, traits, taggers, waits)}


def _steps(job: Job, dataset: Dataset, words: int, drawn: int) -> int:
    """The training steps that take as long."""
    measured = _TIMESTEPS * 2 * len(dataset.pictures) + _WORD_TIMESTEPS * words * min(12, len(dataset.pictures))
    sampled = drawn * job.sample.sample_steps * 2
    return round((measured + sampled) / _STEP_IS / job.dataset.train_batch_size)


def _notes(services: Services, job: Job, dataset: Dataset, traits: list[str], taggers: list[str],
           waits: str) -> list[str]:
    """What is missing, and what happens without it, one sentence each."""
    notes = []
    why = _why_not_drawn_by_webui(services, job)
    if why:
        notes.append(f"{why} The trainer generates the images instead.")
    if not taggers:
        notes.append("No tagger is installed, so the images are for your eyes and the loss alone decides. Tag once in "
                     f"Captions to download one, or put one into {taggers_dir(services)}.")
    if not traits:
        captions = sum(picture.caption_source == "file" for picture in dataset.pictures)
        notes.append("No image has a caption, so only the trigger word and the candidates are tried." if not captions
                     else "The captions share no tags that describe the subject. Type some to try them.")
    if waits:
        notes.append(waits)
    return notes


def _what_waits(services: Services) -> str:
    """What the loss is not measured before, as a sentence; empty if it can begin at once."""
    runs = [run for run in services.index.all() if run.command == TRAIN]
    running = next((run.name for run in runs if run.alive), "")
    queued = sum(run.state == "waiting" for run in runs)
    if not running and not queued:
        return ""
    others = f"{queued} queued {'run' if queued == 1 else 'runs'}"
    what = f"{running} and {others}" if running and queued else running or others
    return (f"The measurement begins after {what}, since runs take turns. In Runs, queued runs can be put on hold, so "
            "that the check comes first.")


def _why_not_drawn_by_webui(services: Services, job: Job) -> str:
    """Why the webui cannot generate the images, as a sentence; empty if it can."""
    loaded = services.host.checkpoint()
    if services.host.plot_drawer() is None:
        return "This webui cannot generate images from the tab."
    if loaded is None or Path(job.base.checkpoint) != loaded.path:
        return f"The webui has loaded {'nothing' if loaded is None else loaded.path.name}, and the form trains on " \
               f"{Path(job.base.checkpoint).name}."
    return ""


def start_check(services: Services, values: Mapping[str, Any], knows: Mapping[str, Any], tagger: str) -> str:
    """Start a check with the panel's settings ``knows``; returns the run's id.

    Raises ``ConfigError`` with every problem, ``DatasetError``, ``WorkerEnvironmentError`` or ``RunError``.
    """
    training = _training_job(services, values)
    job = _check_job(services, training, knows, tagger)
    services.datasets.survey(job.dataset)
    services.environment.command([KNOWS])
    run = create_run(services.runs_dir, f"knows-{Path(job.dataset.train_data_dir).name}", job_to_yaml(job), KNOWS)

    def measure() -> None:
        enqueue(run, device_of(services, job.training.device))
        services.supervisor.wake()

    drawings = drawings_of(job, run)
    if not drawings or _why_not_drawn_by_webui(services, training):
        measure()
    else:
        picture = PictureSettings(*job.dataset.size, job.knows.sample_steps, job.knows.cfg_scale, job.knows.seed,
                                  job.base.clip_skip, negative_prompt=job.knows.negative_prompt)
        services.knows.draw(run, drawings, picture, measure)
    return run.id


def _training_job(services: Services, values: Mapping[str, Any]) -> Job:
    """The form's job. Raises ``ConfigError`` with the problems that concern a check, and ``DatasetError``."""
    dataset = values.get("dataset")
    dataset_folder(services.host, str((dataset.get("train_data_dir") if isinstance(dataset, Mapping) else "") or ""))
    job, problems = complete_job(services, values)
    problems = [problem for problem in problems if problem.startswith(_NEEDED) or "checkpoint" in problem]
    if problems:
        raise ConfigError(problems)
    return job


def _check_job(services: Services, training: Job, knows: Mapping[str, Any], tagger: str) -> KnowsJob:
    folder = taggers_dir(services)
    if tagger and tagger not in [files.name for files in taggers_in(folder)]:
        raise ConfigError(f"There is no tagger {tagger[:100]!r} in {folder}. Choose an installed one.")
    groups = {group: job_to_dict(training)[group] for group in ("base", "dataset", "training")}
    sample = training.sample
    asked = {**knows, "negative_prompt": sample.negative_prompt, "sample_steps": sample.sample_steps,
             "cfg_scale": sample.cfg_scale}
    job, problems = read_settings(KnowsJob, {
        **groups, "tagger": {"model": tagger, "models_dir": str(folder)}, "knows": asked}, source="The check")
    problems += knows_problems_of(job)
    if not words_of(job):
        problems.append("There is no word to try. Type a trigger word or a candidate, or write captions.")
    if problems:
        raise ConfigError(problems)
    return job
