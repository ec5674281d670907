"""Builds a tool's job from its form: only files of the webui, and a free output name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...config.setting import fields_of
from ...config.tool_jobs import TOOL_JOBS, ToolJob, tool_job_from
from ...errors import ConfigError, DatasetError, RunError, TrainLoraError
from ...files.confine import is_inside, local_path
from ...host.interface import Host
from ...runs.folder import EXTRACT, MERGE
from ...runs.names import next_free_name
from ..lora_files import lora_file
from ..services import Services
from ..testing.block_weights import presets_file
from ..train.job_request import listed, taken_names
from .file_checks import file_problems

_CHECKPOINTS = ("org", "tuned", "checkpoint")
_REFUSED = "refused"  # replaces a forbidden path, so that it is not reported as missing too
_LONGEST_SHOWN = 200


def complete_tool_job(services: Services, command: str, values: Mapping[str, Any]) -> ToolJob:
    """Return the checked job of the form's ``values``; LoRAs are named by their path in the webui's folder.

    Raises ``RunError`` if there is no tool ``command``, ``ConfigError`` that lists every problem, including files
    outside the webui's folders and a name that is taken.
    """
    if command not in TOOL_JOBS:
        raise RunError(f"There is no tool {command[:_LONGEST_SHOWN]!r}. There are: {', '.join(TOOL_JOBS)}.")
    known = {field.name: field for field in fields_of("", TOOL_JOBS[command])}
    unknown = [f"{str(name)[:_LONGEST_SHOWN]!r} is not a setting of {command}." for name in values if name not in known]
    filled = {name: value for name, value in values.items() if name in known}
    problems: list[str] = []
    host = services.host
    for name in _CHECKPOINTS:
        _take(filled, name, lambda path, key: listed(path, host.checkpoints(), key, "checkpoint"), problems)
    _take(filled, "lora", lambda name, key: str(lora_file(host.lora_dir, str(name), key)), problems)
    _take_loras(host, filled, problems)
    _take(filled, "output_dir", lambda path, key: _output_dir(host, command, path, key), problems)
    if command == EXTRACT and not filled.get("output_dir"):
        filled["output_dir"] = str(host.lora_dir)
    if "block_presets" in known:
        own = presets_file(services)
        filled["block_presets"] = str(own) if own.is_file() else ""
    _fill_device(host, filled, "device" in known)
    try:
        job = tool_job_from(command, filled, source="The form")
    except ConfigError as problem:
        raise ConfigError([*unknown, *problems, *problem.problems]) from problem
    problems += _name_problems(services, command, job) + file_problems(job)
    if unknown or problems:
        raise ConfigError([*unknown, *problems])
    return job


def _take(filled: dict[str, Any], name: str, allowed: Callable[[Any, str], str], problems: list[str]) -> None:
    """Replace the path ``name`` by the result of ``allowed``, or report why it cannot be used."""
    value = filled.get(name)
    if not isinstance(value, str) or not value.strip():
        if value is not None and not isinstance(value, str):
            problems.append(f"{name} is {str(value)[:_LONGEST_SHOWN]!r}, which is not a file. Choose one of the list.")
            filled[name] = _REFUSED
        return
    try:
        filled[name] = allowed(value, name)
    except TrainLoraError as problem:
        problems.append(str(problem))
        filled[name] = _REFUSED


def _take_loras(host: Host, filled: dict[str, Any], problems: list[str]) -> None:
    names = filled.get("loras")
    if not isinstance(names, list):
        return  # missing, or of another type, which the job's checks report
    taken = []
    for number, name in enumerate(names, 1):
        given = {"loras": name}
        _take(given, "loras", lambda name, key: str(lora_file(host.lora_dir, str(name), key)), problems)
        if given["loras"] in ("", None) or not str(given["loras"]).strip():
            problems.append(f"loras: number {number} is not chosen. Choose a LoRA, or take the line out.")
            given["loras"] = _REFUSED
        taken.append(given["loras"])
    filled["loras"] = taken


def _output_dir(host: Host, command: str, given: str, key: str) -> str:
    """Return the folder for the output: the webui's LoRA folder, or for a checkpoint one that has checkpoints."""
    folders = {file.path.parent for file in host.checkpoints()} if command == MERGE else {host.lora_dir}
    try:
        path = local_path(given)
        belongs = any(is_inside(folder, path) for folder in folders)
    except (DatasetError, OSError, ValueError):  # on another machine, too long, or a null byte
        belongs = False
    if not belongs:
        raise ConfigError(f"{key} is {given[:_LONGEST_SHOWN]!r}, but the webui reads its "
                          f"{'checkpoints' if command == MERGE else 'LoRA files'} from "
                          f"{' and '.join(sorted(map(str, folders)))}. Choose a folder in there, or leave it empty.")
    return str(path)


def _fill_device(host: Host, filled: dict[str, Any], has_device: bool) -> None:
    device = host.device()
    if has_device and filled.get("device") in (None, "", "auto"):
        filled["device"] = device if device.startswith("cuda:") else "auto"  # from --device-id


def _name_problems(services: Services, command: str, job: ToolJob) -> list[str]:
    name = getattr(job, "output_name", "")
    if not name or getattr(job, "only_curve", False):
        return []
    if command == MERGE:
        folder = Path(getattr(job, "output_dir", "") or Path(getattr(job, "checkpoint", "")).parent)
        taken = {file.stem.lower() for file in folder.iterdir()} if folder.is_dir() else set()
    else:
        taken = taken_names(services)
    free = next_free_name(name, taken)
    kind = "checkpoint" if command == MERGE else "LoRA"
    return [] if free == name else [f"output_name is {name!r}, but there is a {kind} of that name, and it is never "
                                    f"overwritten. {free!r} is free."]
