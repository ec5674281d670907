"""From what the form sends to a job that can be run: what is left open is filled in from the webui."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from ..config.job import Job
from ..config.load import read_job
from ..errors import ConfigError, TrainLoraError
from ..host.interface import ModelFile
from ..runs.folder import open_run
from ..runs.names import lora_names, next_free_name
from .access import dataset_folder
from .services import Services


def complete_job(services: Services, values: Mapping[str, Any]) -> tuple[Job, list[str]]:
    """The job of the form's ``values`` and what is wrong with its values alone, one sentence each.

    Left out, ``base.checkpoint``, ``base.vae`` and ``base.clip_skip`` are the webui's current ones (the VAE only with
    the current checkpoint; an empty text means the checkpoint's own), ``save.output_dir`` is its LoRA folder, and
    ``save.output_name`` becomes the next free name.
    """
    filled = {group: dict(content) if isinstance(content, Mapping) else content for group, content in values.items()}
    problems: list[str] = []
    base, save = filled.setdefault("base", {}), filled.setdefault("save", {})
    dataset = filled.setdefault("dataset", {})
    if not all(isinstance(group, dict) for group in (base, save, dataset)):
        return read_job(values)
    for fill in (lambda: _fill_base(services, base), lambda: _fill_save(services, save),
                 lambda: _fill_dataset(services, dataset)):
        try:
            fill()
        except TrainLoraError as problem:
            problems.append(str(problem))
    _fill_device(services, filled)
    job, wrong = read_job(filled)
    return job, problems + wrong


def _fill_base(services: Services, base: dict[str, Any]) -> None:
    host = services.host
    current = host.checkpoint()
    if base.get("clip_skip") is None:
        base["clip_skip"] = host.clip_skip()
    if not base.get("checkpoint"):
        if current is None:
            raise ConfigError("The webui has no checkpoint loaded. Choose one at the top of the page.")
        base["checkpoint"] = str(current.path)
    on_current = current is not None and base["checkpoint"] == str(current.path)
    if base.get("vae") is None:
        vae = host.vae() if on_current else None
        base["vae"] = None if vae is None else str(vae.path)
    elif base["vae"] == "":
        base["vae"] = None
    _listed(base["checkpoint"], host.checkpoints(), "base.checkpoint", "checkpoint")
    if base["vae"] is not None:
        _listed(base["vae"], host.vaes(), "base.vae", "VAE")


def _listed(path: Any, known: list[ModelFile], key: str, what: str) -> None:
    if not any(str(file.path) == path for file in known):
        raise ConfigError(f"{key} is {path!r}, which is not in the webui's list of {what}s. Choose one of that list, "
                          "or press the refresh button beside it if the file is new.")


def _fill_save(services: Services, save: dict[str, Any]) -> None:
    lora_dir = services.host.lora_dir
    save["output_dir"] = given = save.get("output_dir") or str(lora_dir)
    if not Path(given).resolve().is_relative_to(lora_dir.resolve()):
        raise ConfigError(f"save.output_dir is {given!r}, but the webui reads LoRA files from {lora_dir}. "
                          "Choose that folder or one in it.")
    name = str(save.get("output_name") or "").strip()
    if name:
        save["output_name"] = next_free_name(name, taken_names(services))


def _fill_dataset(services: Services, dataset: dict[str, Any]) -> None:
    folder = dataset.get("train_data_dir")
    if folder:
        dataset["train_data_dir"] = str(dataset_folder(services.host, str(folder)))
    validation = dataset.get("validation_data_dir")
    if validation:
        dataset["validation_data_dir"] = str(dataset_folder(services.host, str(validation)))


def _fill_device(services: Services, filled: dict[str, Any]) -> None:
    training = filled.setdefault("training", {})
    device = services.host.device()
    if isinstance(training, dict) and training.get("device") in (None, "", "auto") and device.startswith("cuda:"):
        training["device"] = device  # the webui was started with --device-id; the worker would take the first GPU


def taken_names(services: Services) -> set[str]:
    """The names of every LoRA in the webui's folder, and of every run that waits or goes on."""
    active = [run.id for run in services.index.all() if run.alive or run.state == "waiting"]
    promised = {_output_name(open_run(services.runs_dir, run_id).job_file) for run_id in active}
    return lora_names(services.host.lora_dir) | promised


def _output_name(job_file: Path) -> str:
    return str(OmegaConf.select(OmegaConf.load(job_file), "save.output_name", default=""))
