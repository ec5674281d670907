"""The jobs of the tools: extract, merge, mix, resize, inspect. Each is one flat YAML file, or ``key=value`` pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .check import name_problems
from .groups.network import LIERLA
from .groups.tools import ExtractJob, InspectJob, MergeJob, MixJob, ResizeJob
from .load import read_file, read_flat
from .text_yaml import read_typed, write_yaml

_ALIASES = {"model_org": "org", "model_tuned": "tuned", "dim": "network_dim", "new_rank": "network_dim",
            "new_conv_rank": "conv_dim", "rank": "network_dim", "conv_rank": "conv_dim", "model": "lora"}
_METHODS = ("sv_ratio", "sv_fro", "sv_cumulative")

ToolJob = ExtractJob | MergeJob | MixJob | ResizeJob | InspectJob
TOOL_JOBS: dict[str, type] = {"extract": ExtractJob, "merge": MergeJob, "mix": MixJob, "resize": ResizeJob,
                              "inspect": InspectJob}
"""The job type of each tool, by command."""
_NEEDED = {"extract": ("org", "tuned"), "merge": ("checkpoint", "loras"), "mix": ("loras",), "resize": ("lora",),
           "inspect": ("lora",)}
_PATHS = ("org", "tuned", "checkpoint", "lora", "output_dir", "block_presets")


def load_tool_job(command: str, path: Path | None, pairs: Sequence[str]) -> ToolJob:
    """The job of ``command`` from the optional YAML file ``path`` and ``key=value`` pairs, which win.

    Raises ``ConfigError`` that lists every problem.
    """
    values: Any = {} if path is None else read_file(path)
    if not isinstance(values, dict):
        raise ConfigError(f"The job file {path} has to hold settings such as output_name: penny, not {values!r}.")
    values = dict(values)
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"{pair!r} cannot be read. Write each setting as key=value, such as network_dim=16.")
        values[name.strip()] = read_typed(text)
    return tool_job_from(command, values, source="The command" if path is None else str(path))


def tool_job_from(command: str, values: Mapping[str, Any], *, source: str = "The job") -> ToolJob:
    """A checked job of ``command`` from plain values, with absolute paths.

    Raises ``ConfigError`` that lists every problem.
    """
    named = {_ALIASES.get(str(name), str(name)): value for name, value in values.items()}
    problems = _take_method(named)
    job: Any
    job, unread = read_flat(TOOL_JOBS[command], named, source=source)
    problems += unread or _problems_of(command, job)
    if problems:
        raise ConfigError(problems)
    return _with_absolute_paths(job)


def tool_job_yaml(job: ToolJob) -> str:
    """The job as YAML text, every setting included, so that it can be repeated."""
    return write_yaml(dataclasses.asdict(job))


def _take_method(values: dict[str, Any]) -> list[str]:
    """Replace sd-scripts' ``dynamic_method`` and ``dynamic_param`` with the setting they stand for."""
    method, number = values.pop("dynamic_method", None), values.pop("dynamic_param", None)
    if method in (None, ""):
        return []
    if method not in _METHODS or number is None:
        return [f"dynamic_method is {method!r} and dynamic_param {number!r}. Write one of {', '.join(_METHODS)} with a "
                "number, such as sv_fro=0.95."]
    values[str(method)] = number
    return []


def _problems_of(command: str, job: Any) -> list[str]:
    problems = [f"{name} is missing. Write {name}=…" for name in _NEEDED[command] if not _given(getattr(job, name))]
    if command == "inspect":
        return problems
    if not (getattr(job, "only_curve", False) and not job.output_name):
        problems += [text.replace("save.output_name", "output_name") for text in name_problems(job.output_name)]
    if command in ("merge", "mix"):
        problems += _list_problems(job)
    if command != "merge":
        problems += _rank_problems(command, job)
    if command == "extract" and job.conv_dim is not None and job.network_type == LIERLA:
        problems.append(f"conv_dim is {job.conv_dim}, but LoRA-LierLa has no 3x3 convolutions. Leave conv_dim empty, "
                        "or choose LoRA-C3Lier.")
    return problems


def _list_problems(job: MergeJob | MixJob) -> list[str]:
    problems = []
    if any(not path.strip() for path in job.loras):
        problems.append("loras has an empty entry. Take it out.")
    if job.strengths and len(job.strengths) != len(job.loras):
        problems.append(f"strengths has {len(job.strengths)} entries for {len(job.loras)} LoRAs. Give one for each, in "
                        "quotes where it has a comma, or none for 1.")
    return problems


def _rank_problems(command: str, job: ExtractJob | MixJob | ResizeJob) -> list[str]:
    rules = [name for name in _METHODS if getattr(job, name) is not None]
    if len(rules) > 1:
        return [f"{' and '.join(rules)} both decide the ranks. Give one of them."]
    if job.network_dim is None and not rules and command != "mix":
        convert = command == "resize" and isinstance(job, ResizeJob) and job.to_lora
        if not convert and not job.only_curve:
            return [f"network_dim is missing. Give the rank, or one of {', '.join(_METHODS)}."]
    return []


def _given(value: Any) -> bool:
    return bool(value.strip()) if isinstance(value, str) else bool(value)


def _with_absolute_paths(job: Any) -> ToolJob:
    changes: dict[str, Any] = {name: str(Path(value).expanduser().absolute())
                               for name in _PATHS if (value := getattr(job, name, ""))}
    if getattr(job, "loras", None):
        changes["loras"] = [str(Path(path).expanduser().absolute()) for path in job.loras]
    made: ToolJob = dataclasses.replace(job, **changes)
    return made
