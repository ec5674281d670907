"""Routes of the Test tab: what a run can be tested with, plots, their reading, test prompts and block presets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from ...advice.strength import strength_advice
from ...blocks.lists import FULL_SD1, FULL_SDXL, SHORT_SD1, SHORT_SDXL
from ...blocks.lora_tag import epoch_order
from ...blocks.presets import DEFAULT_TEXT, FILE_NAME, parse_presets, read_text, weights_of
from ...config.bake_job import BakeJob
from ...config.text_yaml import write_yaml
from ...errors import ConfigError, RunError
from ...files.atomic import write_atomically
from ...host.interface import DATA_FOLDER, WITHOUT
from ...runs.folder import BAKE, RunFolder, create_run, open_run
from ...runs.job import settings_of
from ...runs.names import lora_names, next_free_name
from ...runs.queue import enqueue
from ..runs.prompts import keep_prompts, prompts_of
from ..services import Services
from .plot_plans import PlotRequest
from .plots import PlotDesk


class MarkRequest(BaseModel):
    """The picture of a plot that looks best."""

    plot: str
    column: int
    row: int


class BakeRequest(BaseModel):
    """A LoRA file that the run has saved, by name, and the weights that a copy of it is to have."""

    file: str
    blocks: str


class TextRequest(BaseModel):
    """Lines as they were typed."""

    text: str


def register(router: APIRouter, services: Services) -> None:
    """Add ``/runs/ID/test`` and what is below it, ``/plots/stop`` and ``/block-presets``."""
    desk = services.plots

    def facts(run_id: str) -> dict[str, Any]:
        return test_facts(services, desk, open_run(services.runs_dir, run_id))

    def plots(run_id: str) -> dict[str, Any]:
        return {"plots": desk.all_of(open_run(services.runs_dir, run_id)), "drawing": desk.now()}

    def draw(run_id: str, request: PlotRequest) -> dict[str, Any]:
        services.host.refresh_loras()
        return desk.start(open_run(services.runs_dir, run_id), request)

    def stop() -> dict[str, Any]:
        desk.stop()
        return {}

    def mark(run_id: str, request: MarkRequest) -> dict[str, Any]:
        run = open_run(services.runs_dir, run_id)
        return read_mark(services, run, desk.mark(run, request.plot, request.column, request.row))

    def prompts(run_id: str, request: TextRequest) -> dict[str, Any]:
        keep_prompts(open_run(services.runs_dir, run_id), request.text)
        return {}

    def bake(run_id: str, request: BakeRequest) -> dict[str, Any]:
        baking, name = start_baking(services, open_run(services.runs_dir, run_id), request)
        return {"id": baking.id, "name": name}

    def presets() -> dict[str, Any]:
        return presets_answer(read_text(_presets_file(services)))

    def save_presets(request: TextRequest) -> dict[str, Any]:
        return write_presets(services, request.text)

    router.add_api_route("/runs/{run_id}/test", facts, methods=["GET"])
    router.add_api_route("/runs/{run_id}/plots", plots, methods=["GET"])
    router.add_api_route("/runs/{run_id}/plots", draw, methods=["POST"])
    router.add_api_route("/runs/{run_id}/plots/mark", mark, methods=["POST"])
    router.add_api_route("/runs/{run_id}/test-prompts", prompts, methods=["POST"])
    router.add_api_route("/runs/{run_id}/bake", bake, methods=["POST"])
    router.add_api_route("/plots/stop", stop, methods=["POST"])
    router.add_api_route("/block-presets", presets, methods=["GET"])
    router.add_api_route("/block-presets", save_presets, methods=["POST"])


def test_facts(services: Services, desk: PlotDesk, run: RunFolder) -> dict[str, Any]:
    """What ``run`` can be tested with: its files, prompts and sizes, and what the webui has to offer."""
    job = settings_of(run)
    width, height = job.dataset.size
    saved = {Path(event["path"]).stem: event for event in services.index.of(run).saved
             if Path(event["path"]).is_file()}
    files = [{"name": name, "epoch": saved[name].get("epoch"), "path": saved[name]["path"]}
             for name in sorted(saved, key=epoch_order)]
    tag = job.dataset.activation_tag.strip()
    checkpoint = services.host.checkpoint()
    return {"files": files, "tag": tag, "prompts": prompts_of(run), "width": width, "height": height,
            "clip_skip": job.base.clip_skip, "samplers": desk.samplers,
            "negative": job.sample.negative_prompt,
            "steps": job.sample.sample_steps,
            "cfg_scale": job.sample.cfg_scale,
            "checkpoint": checkpoint.title if checkpoint else "",
            "checkpoints": [file.title for file in services.host.checkpoints()]}


def read_mark(services: Services, run: RunFolder, plot: dict[str, Any]) -> dict[str, Any]:
    """The marked plot and, of a strength grid, what its best picture says about the next run."""
    answer: dict[str, Any] = {"plot": plot, "changes": {}, "sentences": []}
    if plot["kind"] != "strengths":
        return answer
    column, row = plot["best"]
    unet, text = float(plot["columns"]["values"][column]), float(plot["rows"]["values"][row])
    job = settings_of(run)
    epochs = [event.get("epoch") for event in services.index.of(run).saved if Path(event["path"]).stem == plot["file"]]
    advice = strength_advice(unet, text, job.optimizer, job.training.max_train_epochs, next(iter(epochs), None))
    return {**answer, "changes": advice.changes, "sentences": list(advice.sentences)}


def presets_answer(text: str) -> dict[str, Any]:
    """``text`` with its presets: weights for each of the 26 blocks, ``None`` where X stands; and what is no preset."""
    presets, problems = parse_presets(text)
    weights = {}
    for name, entries in presets.items():
        marked = weights_of(tuple("1" if entry.startswith("X") else "0" for entry in entries), 0)
        plain = weights_of(entries, 0)
        weights[name] = [None if marked[block] and block in _named(len(entries)) else plain[block]
                         for block in FULL_SD1]
    return {"text": text, "default": DEFAULT_TEXT, "problems": problems, "blocks": list(FULL_SD1),
            "short": list(SHORT_SD1), "presets": weights, "none": WITHOUT}


def _named(count: int) -> tuple[str, ...]:
    lists = {len(names): names for names in (SHORT_SDXL, SHORT_SD1, FULL_SDXL, FULL_SD1)}
    return lists.get(count, FULL_SD1[1:])


def write_presets(services: Services, text: str) -> dict[str, Any]:
    """Keep the presets, if every line is one. Raises ``ConfigError`` with each line that is none."""
    problems = parse_presets(text)[1]
    if problems:
        raise ConfigError(problems)
    file = _presets_file(services)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text.rstrip() + "\n")
    except OSError as problem:
        raise RunError(f"{file} cannot be written: {problem.strerror or problem}.") from problem
    return presets_answer(text)


def start_baking(services: Services, run: RunFolder, request: BakeRequest) -> tuple[RunFolder, str]:
    """Begin to bake weights into a copy of a file of ``run``: that run of its own, and the name of the copy.

    Raises ``RunError`` if the run has no such file, ``ConfigError`` if the weights are no list.
    """
    paths = {Path(event["path"]).stem: Path(event["path"]) for event in services.index.of(run).saved}
    path = paths.get(request.file)
    if path is None or not path.is_file():
        raise RunError(f"The run {run.id} has no file {request.file!r}.")
    name = next_free_name(f"{request.file}-blocks", lora_names(services.host.lora_dir))
    job = BakeJob(str(path), request.blocks, name)
    _ = job.weights
    services.environment.command([BAKE])
    baking = create_run(services.runs_dir, f"bake-{name}", write_yaml(asdict(job)), BAKE)
    enqueue(baking, "cpu")
    services.supervisor.wake()
    return baking, name


def _presets_file(services: Services) -> Path:
    return services.host.data_dir / DATA_FOLDER / FILE_NAME
