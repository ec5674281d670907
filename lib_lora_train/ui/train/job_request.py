"""Builds a training job from the form; settings left open are filled in from the webui."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...advice.size import is_sdxl, read_shapes
from ...blocks.of_file import SD1_BLOCKS, SDXL_BLOCKS
from ...config.block_lists import list_problems
from ...config.check import problems_of
from ...config.job import Job
from ...config.load import read_job
from ...config.phases.effective import phases_of
from ...errors import ConfigError, DatasetError, TrainLoraError
from ...files.confine import is_inside, local_path
from ...host.interface import Host, ModelFile
from ...runs.folder import TRAIN, RunFolder, open_run
from ...runs.job import settings_of, values_of
from ...runs.names import lora_names, next_free_name
from ..access import dataset_folder
from ..lora_files import is_for_sdxl, lora_file, why_not_trained
from ..services import Services
from .checkpoint_family import fill_defaults


def complete_job(services: Services, values: Mapping[str, Any], edited: str = "") -> tuple[Job, list[str]]:
    """Return the job of the form's ``values`` and a list of every problem with it, one sentence each.

    If missing, ``base.checkpoint``, ``base.vae`` and ``base.clip_skip`` are the webui's current ones (the VAE only with
    the current checkpoint; an empty text means the checkpoint's own), ``save.output_dir`` is its LoRA folder, and
    ``save.output_name`` becomes the next free name. Defaults of the checkpoint's family apply. A path that may not be
    used is removed from the job. ``edited`` is the id of a queued run whose settings these are, which keeps its name.
    """
    filled = {group: dict(content) if isinstance(content, Mapping) else content for group, content in values.items()}
    base, save = filled.setdefault("base", {}), filled.setdefault("save", {})
    dataset, network = filled.setdefault("dataset", {}), filled.setdefault("network", {})
    if not all(isinstance(group, dict) for group in (base, save, dataset, network)):
        return read_job(values)
    refused = _refusals({
        "base.checkpoint": lambda: _fill_checkpoint(services.host, base),
        "base.vae": lambda: _fill_vae(services.host, base),
        "save.output_dir": lambda: _fill_output_dir(services.host, save),
        "dataset.train_data_dir": lambda: _fill_folder(services.host, dataset, "train_data_dir"),
        "dataset.validation_data_dir": lambda: _fill_folder(services.host, dataset, "validation_data_dir"),
        "dataset.reg_data_dir": lambda: _fill_folder(services.host, dataset, "reg_data_dir"),
        "dataset.conditioning_data_dir": lambda: _fill_folder(services.host, dataset, "conditioning_data_dir"),
        "network.network_weights": lambda: _fill_lora(services.host, network)})
    _fill_device(services.host, filled)
    if base.get("checkpoint"):
        fill_defaults(Path(base["checkpoint"]), filled)
    if base.get("clip_skip") is None:
        base["clip_skip"] = services.host.clip_skip()
    if save.get("output_name"):
        save["output_name"] = next_free_name(str(save["output_name"]).strip(), taken_names(services, edited))
    job, unreadable = read_job(filled)
    if job.sample.sample_by != "worker" and services.host.plot_drawer() is None:
        refused["sample.sample_by"] = (f"sample.sample_by is {job.sample.sample_by}, but only AUTOMATIC1111's webui "
                                       "can generate images from this tab. Choose worker.")
    refused_by_base = _base_problems(job)
    contradictions = [problem for problem in problems_of(job) if problem.split(" is empty")[0] not in refused]
    return job, [*refused.values(), *unreadable, *contradictions, *refused_by_base]


def _base_problems(job: Job) -> list[str]:
    """Return the problems with the checkpoint, worded as in a run: block lists and LoRA files of another family."""
    shapes = (read_shapes(Path(job.base.checkpoint)) if job.base.checkpoint else None) or {}
    if not shapes:
        return []
    blocks = SDXL_BLOCKS if is_sdxl(shapes) else SD1_BLOCKS
    problems = list(dict.fromkeys(problem for phase in phases_of(job)
                                  for problem in list_problems(phase.job.network, blocks)))
    weights = job.network.network_weights
    if weights and is_for_sdxl(Path(weights)) not in (None, is_sdxl(shapes)):
        made_for, loaded = ("SD 1.x or 2.x", "SDXL") if is_sdxl(shapes) else ("SDXL", "SD 1.x or 2.x")
        problems.append(f"network.network_weights is {Path(weights).stem!r}, which was made for {made_for}, but the "
                        f"checkpoint is {loaded}. Choose another LoRA, or the checkpoint that it was trained on.")
    return problems


def _refusals(fills: Mapping[str, Callable[[], None]]) -> dict[str, str]:
    """Run ``fills`` and return the problems by the setting's key."""
    refused = {}
    for key, fill in fills.items():
        try:
            fill()
        except TrainLoraError as problem:
            refused[key] = str(problem)
    return refused


def _fill_checkpoint(host: Host, base: dict[str, Any]) -> None:
    given, current = base.pop("checkpoint", None), host.checkpoint()
    if not given and current is None:
        raise ConfigError("The webui has no checkpoint loaded. Choose one at the top of the page.")
    path = given if given or current is None else str(current.path)
    base["checkpoint"] = listed(path, host.checkpoints(), "base.checkpoint", "checkpoint")


def _fill_vae(host: Host, base: dict[str, Any]) -> None:
    given, current = base.pop("vae", None), host.checkpoint()
    if given:
        base["vae"] = listed(given, host.vaes(), "base.vae", "VAE")
    elif given is None and current is not None and base.get("checkpoint") == str(current.path):
        vae = host.vae()
        base["vae"] = None if vae is None else str(vae.path)


def listed(path: Any, known: list[ModelFile], key: str, what: str) -> str:
    """Return ``path`` if it is one of the webui's ``known`` files. Raises ``ConfigError`` if it is not."""
    for file in known:
        if str(file.path) == path:
            return str(file.path)
    raise ConfigError(f"{key} is {path!r}, which is not in the webui's list of {what}s. Choose one of that list, "
                      "or press the refresh button beside it if the file is new.")


def _fill_output_dir(host: Host, save: dict[str, Any]) -> None:
    given, lora_dir = str(save.pop("output_dir", None) or host.lora_dir), host.lora_dir
    try:
        belongs = Path(given) == lora_dir or is_inside(lora_dir, local_path(given))
    except (DatasetError, OSError, ValueError):  # on another machine, too long, or a null byte
        belongs = False
    if not belongs:
        raise ConfigError(f"save.output_dir is {given[:200]!r}, but the webui reads LoRA files from {lora_dir}. "
                          "Choose that folder or one in it.")
    save["output_dir"] = given


def _fill_folder(host: Host, dataset: dict[str, Any], name: str) -> None:
    given = dataset.pop(name, None)
    if given:
        dataset[name] = str(dataset_folder(host, str(given)))


def _fill_lora(host: Host, network: dict[str, Any]) -> None:
    given = network.pop("network_weights", None)
    if given:
        path = lora_file(host.lora_dir, str(given))
        why = why_not_trained(path)
        if why:
            raise ConfigError(f"network.network_weights is {given!r}, which cannot be trained further: it {why}. "
                              "Choose another LoRA.")
        network["network_weights"] = str(path)


def _fill_device(host: Host, filled: dict[str, Any]) -> None:
    training = filled.setdefault("training", {})
    device = host.device()
    if isinstance(training, dict) and training.get("device") in (None, "", "auto") and device.startswith("cuda:"):
        training["device"] = device  # the webui was started with --device-id; the worker would take the first GPU


def device_of(services: Services, wanted: str) -> str:
    """Return the device that a run with ``training.device`` ``wanted`` is queued for."""
    if wanted != "auto":
        return "cuda:0" if wanted == "cuda" else wanted
    device = services.host.device()
    return {"cpu": "auto", "cuda": "cuda:0"}.get(device, device)


def taken_names(services: Services, edited: str = "") -> set[str]:
    """Return the names of all LoRAs in the webui's folder and of all queued and running runs except ``edited``."""
    return lora_names(services.host.lora_dir) | promised_names(services, edited)


def promised_names(services: Services, edited: str = "") -> set[str]:
    """Return the names under which queued and running runs except ``edited`` will save."""
    active = [run.id for run in services.index.all() if (run.alive or run.state == "waiting") and run.id != edited]
    return {_output_name(open_run(services.runs_dir, run_id)) for run_id in active}


def _output_name(run: RunFolder) -> str:
    if run.command == TRAIN:
        return settings_of(run).save.output_name
    return str(values_of(run).get("output_name") or "")
