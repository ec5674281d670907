"""Routes of the Train tab: the content of the dataset folder and the totals of the settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from ...advice.applicable import not_applicable
from ...advice.choice_notes import choice_notes
from ...advice.memory import GB, estimate_memory, fit
from ...advice.notes import notes_on
from ...advice.of_job import advice_on, held_out_advice
from ...advice.size import blocks_of_network, is_sdxl, lora_file_bytes, read_shapes, same_file_bytes
from ...advice.steps import USUAL_IMAGES_SEEN
from ...advice.surroundings import PlanFacts
from ...batches.held_out import held_out_pictures
from ...batches.overview import overview
from ...batches.timeline import timeline_of
from ...blocks.lists import list_problem, read_blocks
from ...blocks.of_file import SD1_BLOCKS, SDXL_BLOCKS
from ...config.block_lists import BLOCK_LISTS, with_lists_for
from ...config.change import changed
from ...config.check import problems_of
from ...config.groups.dataset import DatasetSettings
from ...config.job import Job
from ...config.load import read_job
from ...config.phases.effective import network_of_all, with_each_network
from ...errors import ConfigError, TrainLoraError
from ...files.confine import open_inside
from ...pictures.listing import version_of
from ...pictures.problems import names_of
from ...pictures.scan import Dataset
from ...pictures.thumbnails import thumbnail
from ..access import dataset_folder, folders_of
from ..prediction import prediction_notice
from ..requests import JobRequest, OverviewRequest
from ..services import THUMBNAILS, Services
from .checkpoint_family import advice_of, surroundings
from .job_request import complete_job
from .phases import phase_facts, phase_notes, totals_of

THUMBNAIL_SIZE = 256
_NEEDED_TO_READ = ("dataset.resolution is", "dataset.caption_extension is", "dataset.concept_settings:")
_OF_PHASES = "training.phases"


def register(router: APIRouter, services: Services) -> None:
    """Add ``/dataset/overview``, ``/thumbnail`` and ``/job/check``."""

    def dataset_overview(request: OverviewRequest) -> dict[str, Any]:
        return overview_of(services, request)

    def picture(folder: str, path: str, size: int = THUMBNAIL_SIZE) -> Response:
        dataset = dataset_folder(services.host, folder)
        with open_inside(dataset, path) as file:
            small = thumbnail(dataset / path, file, size, services.cache_dir / THUMBNAILS)
        return FileResponse(small, media_type="image/webp", headers={"Cache-Control": "private, max-age=86400"})

    def check(request: JobRequest) -> dict[str, Any]:
        return check_job(services, request.job, request.difficulty, request.images_wanted, request.edited)

    router.add_api_route("/dataset/overview", dataset_overview, methods=["POST"])
    router.add_api_route("/thumbnail", picture, methods=["GET"])
    router.add_api_route("/job/check", check, methods=["POST"])


def overview_of(services: Services, request: OverviewRequest) -> dict[str, Any]:
    """Return ``overview.overview`` of the folder, each thumbnail with its ``url``, and its ``trigger_word``.

    Raises ``DatasetError`` if there are no images, ``ConfigError`` if the settings are invalid.
    """
    folder = dataset_folder(services.host, request.folder)
    values = {**folders_of(services.host, request.settings), "train_data_dir": str(folder)}
    job, problems = read_job({"dataset": values}, source="The form")
    if problems:
        raise ConfigError(problems)
    found = overview(folder, _readable(job).dataset)
    for item in found["thumbnails"]:
        item["url"] = thumbnail_url(folder, item["path"])
    names = [item["path"] for item in found["thumbnails"]]
    found["trigger_word"] = services.trigger_words.of(folder, found.pop("trigger_guesses"), names)
    return found


def thumbnail_url(folder: Path, relative: str, size: int = THUMBNAIL_SIZE) -> str:
    """Return the URL of a dataset image's thumbnail; it changes with the image."""
    try:
        version = version_of((folder / relative).stat())
    except OSError:
        version = ""
    query = {"folder": str(folder), "path": relative, "size": size, "v": version}
    return f"train-lora/thumbnail?{urlencode(query, errors='surrogateescape')}"


def check_job(services: Services, values: dict[str, Any], difficulty: str = "",
              images_wanted: int = 0, edited: str = "") -> dict[str, Any]:
    """Return the totals of the form's ``values`` and every problem with them; unknown totals are ``None``.

    ``difficulty`` is the guide's letter for the subject, empty if unknown; ``images_wanted`` is a plan's, 0
    without; ``edited`` is the queued run being edited.
    """
    job, problems = complete_job(services, values, edited)
    shapes = (read_shapes(Path(job.base.checkpoint)) if job.base.checkpoint else None) or {}
    answer: dict[str, Any] = {
        "steps_per_epoch": None, "total_steps": None, "epochs": None, "schedule": [],
        "steps_hint": "", "advice": [], "output_name_final": job.save.output_name, "file_size_bytes": None,
        "memory": None, "seconds": None, "notes": [], "schedule_text": "", "phases": [],
        "held_out": 0, "blocks": "sdxl" if is_sdxl(shapes) else "sd1",
        "network_blocks": blocks_of_network(shapes, job.network), "block_lists": _block_lists(job, shapes)}
    asked = job
    if any(problem.startswith(_OF_PHASES) for problem in problems_of(job)):
        job = changed(job, {"training.phases": []})  # the first phase can be planned nevertheless
    if shapes:
        blocks = SDXL_BLOCKS if is_sdxl(shapes) else SD1_BLOCKS
        job = with_each_network(job, partial(with_lists_for, blocks=blocks))
    if not any(problem.startswith("network.") for problem in problems):
        answer |= {"file_size_bytes": _file_size(job, shapes), "memory": _memory(services, job, shapes)}
    facts: tuple[PlanFacts, ...] = ()
    if job.dataset.train_data_dir:
        try:
            dataset = _dataset(services, job)
            timeline = timeline_of(job, partial(_survey, services, job), dataset)
            plan = timeline.first.plan
            answer.update(totals_of(services, timeline))
            held_out = held_out_pictures(job.dataset, dataset)
            facts = phase_facts(timeline, len(held_out))
            answer["held_out"] = len(held_out)
            answer["advice"] = advice_on(job, plan.training_images_per_epoch, plan.steps_per_epoch,
                                         timeline.steps_of_first_kind, difficulty, advice_of(job),
                                         images_wanted or USUAL_IMAGES_SEEN)
            trained = sum(not picture.regularization for picture in plan.pictures)
            answer["advice"] += held_out_advice(job.dataset, trained, len(held_out),
                                                names_of([picture.path for picture in held_out]))
        except TrainLoraError as problem:
            problems += [line for line in str(problem).splitlines() if line not in problems]
    around = surroundings(job, services.host, shapes, facts[0] if facts else None)
    known = [] if any(problem.startswith(_NEEDED_TO_READ) for problem in problems_of(job)) or any(
        problem.startswith("network.") for problem in problems) else choice_notes(
            job, advice_of(job), shapes)
    prediction = prediction_notice(services.host, Path(job.base.checkpoint), said=job.base.v_parameterization)
    if prediction is not None:
        around = dataclasses.replace(around, yaml_beside=None)  # covered by the warning
    notes = [{"key": note.key, "text": note.text} for note in (*notes_on(asked, around), *known,
                                                               *phase_notes(job, around, facts))]
    return {**answer, "notes": notes, "idle": not_applicable(asked, around), "problems": problems,
            "prediction": prediction}


def _block_lists(job: Job, shapes: Mapping[str, Sequence[int]]) -> dict[str, dict[str, Any]]:
    """Return for each list of block values the given ``text`` and its ``values``, ``None`` if invalid."""
    blocks = SDXL_BLOCKS if is_sdxl(shapes) else SD1_BLOCKS
    lists = with_lists_for(job.network, blocks)
    found = {}
    for name in BLOCK_LISTS:
        text: str = getattr(job.network, name)
        try:
            values = None if list_problem(text, blocks.full) else read_blocks(getattr(lists, name))
        except ValueError:
            values = None  # reported with the problems
        found[f"network.{name}"] = {"text": text, "values": values}
    return found


def _dataset(services: Services, job: Job) -> Dataset:
    dataset = services.datasets.survey(_readable(job).dataset)
    errors = [problem.text for problem in dataset.problems if problem.level == "error"]
    if errors:
        raise ConfigError(errors)
    return dataset


def _survey(services: Services, job: Job, settings: DatasetSettings) -> Dataset:
    return _dataset(services, dataclasses.replace(job, dataset=settings))


def _readable(job: Job) -> Job:
    """Return ``job`` if its settings suffice to read a folder. Raises ``ConfigError`` if not."""
    problems = [problem for problem in problems_of(job) if problem.startswith(_NEEDED_TO_READ)]
    if problems:
        raise ConfigError(problems)
    return job


def _file_size(job: Job, shapes: Mapping[str, Sequence[int]]) -> int | None:
    if job.network.network_weights:
        tensors = read_shapes(Path(job.network.network_weights))
        return None if tensors is None else same_file_bytes(tensors, job.save.save_precision)
    return lora_file_bytes(shapes, network_of_all(job), job.save.save_precision)


def _memory(services: Services, job: Job, shapes: Mapping[str, Sequence[int]]) -> dict[str, Any] | None:
    """Return the memory use by part, with the switches that ``fit_in_gb`` turns on; ``None`` if unknown."""
    if any(problem.startswith(_NEEDED_TO_READ) for problem in problems_of(job)):
        return None
    on_gpu = services.host.device() != "cpu" and job.training.device != "cpu"
    if not on_gpu and job.training.mixed_precision == "auto":
        job = changed(job, {"training.mixed_precision": "no"})  # the worker's choice on the CPU
    fitted, switched = fit(shapes, job) if on_gpu else (job, [])
    estimate = estimate_memory(shapes, fitted)
    if estimate is None:
        return None
    parts = [{"name": name, "bytes": size} for name, size in (
        ("UNet", estimate.unet), ("text encoder", estimate.text_encoder), ("LoRA and optimizer", estimate.network),
        ("work of a step", estimate.activations), ("driver and libraries", estimate.libraries)) if size]
    return {"total_bytes": estimate.total, "parts": parts, "on_gpu": on_gpu, "switched": switched,
            "limit_bytes": None if job.training.fit_in_gb is None else int(job.training.fit_in_gb * GB)}
