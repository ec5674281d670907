"""Routes of the Test tab: the tests of a run, plots and their interpretation, test prompts and block presets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from ...advice.strength import StrengthAdvice, epoch_advice, strength_advice
from ...blocks.lora_tag import epoch_order
from ...blocks.presets import read_text
from ...config.bake_job import BakeJob
from ...config.job import Job
from ...config.text_yaml import write_yaml
from ...errors import RunError
from ...host.interface import WITHOUT
from ...runs.folder import BAKE, TRAIN, RunFolder, create_run, open_run
from ...runs.job import settings_of
from ...runs.names import lora_names, next_free_name
from ...runs.queue import enqueue
from ..prediction import prediction_notice
from ..runs.prompts import keep_prompts, lines_of, prompts_of, with_trigger
from ..services import Services
from .block_weights import (
    WeightsRequest,
    blocks_of_saved,
    file_weights,
    names_of_blocks,
    presets_answer,
    presets_file,
    saved_file,
    weight_lists,
    write_presets,
)
from .other_loras import trigger_of
from .plot_plans import PlotRequest
from .plots import PlotDesk


class MarkRequest(BaseModel):
    """The best image of a plot."""

    plot: str
    column: int
    row: int


class BakeRequest(BaseModel):
    """A LoRA file saved by the run, by name, and the weights to bake into a copy of it."""

    file: str
    blocks: str


class TextRequest(BaseModel):
    """Lines as typed."""

    text: str


def register(router: APIRouter, services: Services) -> None:
    """Add ``/runs/ID/test`` and its subroutes, ``/plots/stop`` and ``/block-presets``."""
    desk = services.plots

    def facts(run_id: str) -> dict[str, Any]:
        return test_facts(services, desk, open_run(services.runs_dir, run_id))

    def plots(run_id: str) -> dict[str, Any]:
        return {"plots": desk.all_of(open_run(services.runs_dir, run_id)), "drawing": desk.now(),
                "pace": desk.pace(services.runs_dir, _checkpoint_title(services))}

    def draw(run_id: str, request: PlotRequest) -> dict[str, Any]:
        run = open_run(services.runs_dir, run_id)
        services.host.refresh_loras()
        request.prompts = with_trigger(request.prompts, trigger_of(services, run))
        return desk.start(run, _with_blocks(services, run, request), _checkpoint_title(services))

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

    def blocks(run_id: str, file: str, preset: str = "", x: float = 0.5) -> dict[str, Any]:
        return file_weights(services, open_run(services.runs_dir, run_id), file, preset, x)

    def lists(run_id: str, request: WeightsRequest) -> dict[str, Any]:
        return weight_lists(services, open_run(services.runs_dir, run_id), request)

    def presets() -> dict[str, Any]:
        return presets_answer(read_text(presets_file(services)))

    def save_presets(request: TextRequest) -> dict[str, Any]:
        return write_presets(services, request.text)

    router.add_api_route("/runs/{run_id}/test", facts, methods=["GET"])
    router.add_api_route("/runs/{run_id}/plots", plots, methods=["GET"])
    router.add_api_route("/runs/{run_id}/plots", draw, methods=["POST"])
    router.add_api_route("/runs/{run_id}/plots/mark", mark, methods=["POST"])
    router.add_api_route("/runs/{run_id}/test-prompts", prompts, methods=["POST"])
    router.add_api_route("/runs/{run_id}/bake", bake, methods=["POST"])
    router.add_api_route("/runs/{run_id}/blocks", blocks, methods=["GET"])
    router.add_api_route("/runs/{run_id}/blocks", lists, methods=["POST"])
    router.add_api_route("/plots/stop", stop, methods=["POST"])
    router.add_api_route("/block-presets", presets, methods=["GET"])
    router.add_api_route("/block-presets", save_presets, methods=["POST"])


def _with_blocks(services: Services, run: RunFolder, request: PlotRequest) -> PlotRequest:
    """Return ``request`` with every block of its file if it tests blocks and names none."""
    files = [file for file in request.files if file != WITHOUT]
    if request.kind != "blocks" or not files:
        return request
    blocks = blocks_of_saved(services, run, files[-1]).names
    wrong = [block for block in request.columns if block not in blocks]
    if wrong:
        raise RunError(f"{files[-1]} has no block {', '.join(wrong)}. It has {', '.join(blocks)}.")
    request.columns = request.columns or list(blocks)
    return request


def test_facts(services: Services, desk: PlotDesk, run: RunFolder) -> dict[str, Any]:
    """Return the data for testing ``run``: its files, prompts and sizes, and the webui's options."""
    job = settings_of(run)
    width, height = job.dataset.size
    saved = {Path(event["path"]).stem: event for event in services.index.of(run).saved
             if Path(event["path"]).is_file()}
    files = [{"name": name, "epoch": saved[name].get("epoch"), "path": saved[name]["path"],
              "blocks": names_of_blocks(Path(saved[name]["path"]))}
             for name in sorted(saved, key=epoch_order)]
    tag = trigger_of(services, run)
    return {"files": files, "tag": tag, "prompts": prompts_of(run) or lines_of([tag]),
            "width": width, "height": height, "clip_skip": job.base.clip_skip, "samplers": desk.samplers,
            "negative": job.sample.negative_prompt, "seed": job.sample.sample_seed,
            "steps": job.sample.sample_steps,
            "cfg_scale": job.sample.cfg_scale,
            "checkpoint": _checkpoint_title(services),
            "prediction": _prediction(services, job),
            "checkpoints": [file.title for file in services.host.checkpoints()]}


def _checkpoint_title(services: Services) -> str:
    checkpoint = services.host.checkpoint()
    return checkpoint.title if checkpoint else ""


def _prediction(services: Services, job: Job) -> dict[str, Any] | None:
    """Return the v-prediction warning for plots, which are generated with the webui's checkpoint."""
    checkpoint = services.host.checkpoint()
    return prediction_notice(services.host, checkpoint.path if checkpoint else None,
                             said=job.base.v_parameterization and checkpoint is not None
                             and str(checkpoint.path) == job.base.checkpoint)


def read_mark(services: Services, run: RunFolder, plot: dict[str, Any]) -> dict[str, Any]:
    """Return the marked plot and, for a strength grid, the advice for the next run."""
    answer: dict[str, Any] = {"plot": plot, "changes": {}, "sentences": []}
    column, row = plot["best"]
    if run.command != TRAIN:
        return answer
    if plot["kind"] == "epochs":
        advice = _epoch_advice(services, run, plot["columns"]["values"][column])
        return {**answer, "changes": advice.changes, "sentences": list(advice.sentences)}
    if plot["kind"] != "strengths":
        return answer
    unet, text = float(plot["columns"]["values"][column]), float(plot["rows"]["values"][row])
    job = settings_of(run)
    epochs = [event.get("epoch") for event in services.index.of(run).saved if Path(event["path"]).stem == plot["file"]]
    advice = strength_advice(unet, text, job.optimizer, job.training.max_train_epochs, next(iter(epochs), None))
    return {**answer, "changes": advice.changes, "sentences": list(advice.sentences)}


def _epoch_advice(services: Services, run: RunFolder, file: str) -> StrengthAdvice:
    """Return advice for the next run from an epoch plot's best ``file``; none if that is the image without a LoRA."""
    job = settings_of(run)
    saved = next((event for event in services.index.of(run).saved if Path(event["path"]).stem == file), None)
    if saved is None:
        return StrengthAdvice({}, ())
    between = "-step" in file.removeprefix(job.save.output_name) or job.training.max_train_steps is not None
    return epoch_advice(saved.get("epoch"), saved.get("step") if between else None, job.training.max_train_epochs,
                        job.scheduler)


def start_baking(services: Services, run: RunFolder, request: BakeRequest) -> tuple[RunFolder, str]:
    """Start baking weights into a copy of a file of ``run``; returns the baking run and the name of the copy.

    Raises ``RunError`` if the run has no such file, ``ConfigError`` if the weights are not a list.
    """
    path = saved_file(services, run, request.file)
    name = next_free_name(f"{request.file}-blocks", lora_names(services.host.lora_dir))
    job = BakeJob(str(path), request.blocks, name)
    job.fitted(blocks_of_saved(services, run, request.file))
    services.environment.command([BAKE])
    baking = create_run(services.runs_dir, f"bake-{name}", write_yaml(asdict(job)), BAKE)
    enqueue(baking, "cpu")
    services.supervisor.wake()
    return baking, name
