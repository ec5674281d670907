"""Routes of the tagging panel: list the taggers and run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter

from ...config.groups.dataset import DatasetSettings
from ...config.groups.tagger import TaggerDescription
from ...config.groups.tagging import CATEGORIES, INTERROGATOR
from ...config.setting import groups_of
from ...config.tag_job import TagJob
from ...config.taggers import FLORENCE_2, KNOWN_TAGGERS, find_captioner, taggers_in
from ...host.interface import NOT_DESCRIBED_HERE
from ...pictures.scan import survey
from ...runs.folder import TAG, RunFolder
from ..requests import JobRequest
from ..services import Services
from ..train.form import schema_of
from .describing import undescribed
from .folder_runs import latest_run, queue_run, resume_run
from .tagging_job import complete_tag_job, device_of, taggers_dir


def register(router: APIRouter, services: Services) -> None:
    """Add ``/tagging`` and its subroutes; runs are watched and stopped through ``/runs/<id>``."""

    def tagging() -> dict[str, Any]:
        return {**schema_of(groups_of(TagJob)), "taggers_dir": str(taggers_dir(services)),
                "taggers": known_and_found(taggers_dir(services)), "captioners": captioners(services),
                "run": latest_run(services, TAG)}

    def start(request: JobRequest) -> dict[str, Any]:
        return {"id": describe_and_tag(services, request.job)}

    def first(request: JobRequest) -> dict[str, Any]:
        return {"image": first_image(services, request.job)}

    def stop_describing() -> dict[str, Any]:
        services.describing.stop()
        return services.describing.state()

    def resume(run_id: str) -> dict[str, Any]:
        return {"id": resume_run(services, run_id, TAG, "tagging").id}

    router.add_api_route("/tagging", tagging, methods=["GET"])
    router.add_api_route("/tagging/runs", start, methods=["POST"])
    router.add_api_route("/tagging/first", first, methods=["POST"])
    router.add_api_route("/tagging/describing", services.describing.state, methods=["GET"])
    router.add_api_route("/tagging/describing/stop", stop_describing, methods=["POST"])
    router.add_api_route("/tagging/runs/{run_id}/continue", resume, methods=["POST"])


def known_and_found(folder: Path) -> list[dict[str, Any]]:
    """Return every available tagger: the known ones, downloaded or not, then others found in ``folder``."""
    here = {files.name: files.description for files in taggers_in(folder)}
    known = [{"name": tagger.name, "about": tagger.about, "repository": tagger.repository, "here": tagger.name in here,
              "balanced_threshold": tagger.balanced_threshold, **_knows(here.get(tagger.name) or tagger.description)}
             for tagger in KNOWN_TAGGERS]
    others = sorted(here.keys() - {tagger.name for tagger in KNOWN_TAGGERS})
    return known + [{"name": name, "about": "your own", "repository": None, "here": True, "balanced_threshold": None,
                     **_knows(here[name])} for name in others]


def _knows(description: TaggerDescription | None) -> dict[str, Any]:
    """The kinds of tags of a tagger, their thresholds, and its licence; empty if only the worker can tell."""
    if description is None:
        return {"categories": [], "thresholds": {}, "licence": ""}
    meant = {*description.tags.categories.values(), description.tags.default_category}
    thresholds = {name: description.threshold(name) for name in CATEGORIES}
    return {"categories": [name for name in CATEGORIES if name in meant],
            "thresholds": {name: value for name, value in thresholds.items() if value is not None},
            "licence": description.source.licence}


def first_image(services: Services, values: dict[str, Any]) -> str:
    """Return the first image of the set, by its path in the folder. Raises ``ConfigError`` or ``DatasetError``."""
    job = complete_tag_job(services, values)
    folder = Path(job.dataset.train_data_dir).resolve()
    found = survey(DatasetSettings(train_data_dir=str(folder), caption_extension=job.dataset.caption_extension))
    return found.pictures[0].path.relative_to(folder).as_posix()


def captioners(services: Services) -> list[dict[str, Any]]:
    """Return what can describe images: ``name``, ``about``, ``missing`` (a sentence on what would be downloaded) and
    ``refused`` (why it cannot be used here); both empty if it is ready.
    """
    describer = services.host.describer()
    here = find_captioner(taggers_dir(services)) is not None
    florence = FLORENCE_2
    would = f"It is downloaded from huggingface.co/{florence.repository} ({florence.megabytes} MB)."
    return [{"name": florence.name, "about": "Florence-2, one or more sentences on any kind of image",
             "missing": "" if here else would, "refused": ""},
            {"name": INTERROGATOR, "about": "the webui's own interrogator (BLIP), one short sentence",
             "missing": describer.missing() if describer is not None else "",
             "refused": "" if describer is not None else NOT_DESCRIBED_HERE}]


def describe_and_tag(services: Services, values: dict[str, Any]) -> str:
    """Queue a tagging run with the panel's ``values``; returns its id.

    If the webui's interrogator has to describe images first, that begins, the run is queued when it is finished, and
    the returned id is empty. Raises ``ConfigError`` with every problem, ``WorkerEnvironmentError`` if the worker could
    not run, and ``RunError`` if other images are being described.
    """
    job = complete_tag_job(services, values)
    services.environment.command([TAG])
    describer = services.host.describer() if job.prose.captioner == INTERROGATOR else None
    pictures = undescribed(job) if describer is not None else {}
    if describer is None or not pictures:
        return _queued(services, job).id
    folder = Path(job.dataset.train_data_dir).resolve()
    services.describing.start(folder, pictures, describer, lambda: _queued(services, job).id)
    return ""


def _queued(services: Services, job: TagJob) -> RunFolder:
    return queue_run(services, job, TAG, "tags", device_of(services, job.tagger.provider))
