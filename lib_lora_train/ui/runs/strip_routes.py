"""Routes of a run's test strip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from ...config.job import Job
from ...config.sample_prompt import read_prompt
from ...errors import RunError
from ...host.interface import NOT_DRAWN_HERE
from ...runs.continuing import job_of
from ...runs.folder import RunFolder, open_run
from ...runs.job import settings_of
from ...runs.state import DAMAGED
from ..prediction import prediction_notice
from ..services import Services
from .prompts import lines_of, prompts_of, with_trigger
from .strip_settings import Txt2img, in_words, picture_settings
from .strip_store import Strip, read_strip


class StripRequest(BaseModel):
    """Whether the strip is on, and its new prompts or its new settings from txt2img, if any."""

    on: bool
    prompts: list[str] | None = None
    txt2img: Txt2img | None = None


def register(router: APIRouter, services: Services) -> None:
    """Add ``/runs/ID/strip``."""

    def strip(run_id: str) -> dict[str, Any]:
        return strip_facts(services, open_run(services.runs_dir, run_id))

    def change(run_id: str, request: StripRequest) -> dict[str, Any]:
        run = open_run(services.runs_dir, run_id)
        change_strip(services, run, request)
        return strip_facts(services, run)

    router.add_api_route("/runs/{run_id}/strip", strip, methods=["GET"])
    router.add_api_route("/runs/{run_id}/strip", change, methods=["POST"])


def strip_facts(services: Services, run: RunFolder) -> dict[str, Any]:
    """Return the strip for the page.

    ``columns`` are the saved files, starting with none, each with its ``pictures`` by prompt, ``None`` where missing;
    ``drawing`` is the image being generated; ``about`` lists the settings, ``waits_for`` says why nothing is generated
    now, ``prediction`` why the images may look burnt.
    """
    strip = read_strip(run)
    facts = services.strips.facts(run, strip)
    return {**facts, "possible": services.host.plot_drawer() is not None,
            "prompts": facts["prompts"] or prompts_of(run), "about": in_words(strip.picture) if strip else "",
            "prediction": _prediction(services, run, strip)}


def _prediction(services: Services, run: RunFolder, strip: Strip | None) -> dict[str, Any] | None:
    """Return the v-prediction warning for images of ``run``, which are generated with the strip's checkpoint."""
    if services.index.of(run).state == DAMAGED:
        return None
    base = settings_of(run).base
    checkpoint = strip.checkpoint if strip is not None and strip.checkpoint else base.checkpoint
    return prediction_notice(services.host, Path(checkpoint) if checkpoint else None,
                             said=base.v_parameterization and checkpoint == base.checkpoint)


def change_strip(services: Services, run: RunFolder, request: StripRequest) -> None:
    """Switch the strip on or off, or change its settings. Raises ``RunError`` if it cannot be generated."""
    before = read_strip(run)
    if not request.on:
        if before is not None:
            services.strips.change(run, Strip(False, before.prompts, before.picture, before.checkpoint))
        return
    given = request.prompts if request.prompts is not None else before.prompts if before else prompts_of(run)
    services.strips.change(run, new_strip(services, job_of(run), given, request.txt2img, before))


def new_strip(services: Services, job: Job, prompts: list[str] | tuple[str, ...], txt2img: Txt2img | None,
              before: Strip | None = None) -> Strip:
    """Return a strip that is on, with the settings of ``before`` if ``txt2img`` is ``None``.

    Raises ``RunError`` if it cannot be generated here, or there is no prompt.
    """
    checkpoint = services.host.checkpoint()
    lines = tuple(lines_of(with_trigger(prompts, job.dataset.activation_tag)))
    if services.host.plot_drawer() is None:
        raise RunError(NOT_DRAWN_HERE)
    if not lines:
        raise RunError("Write at least one prompt.")
    for line in lines:
        try:
            read_prompt(line)
        except ValueError as problem:
            raise RunError(f"The prompt {line!r} cannot be used: {problem}") from problem
    if before is not None and txt2img is None:
        return Strip(True, lines, before.picture, before.checkpoint)
    return Strip(True, lines, picture_settings(txt2img, job), str(checkpoint.path) if checkpoint else "")
