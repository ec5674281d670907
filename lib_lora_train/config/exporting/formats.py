"""Exports a job as text in the supported formats."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..job import Job, all_settings
from ..load import job_to_yaml
from ..text_yaml import write_yaml
from .dataset_config import DatasetConfig, Folders
from .sd_scripts import SD1, Exported, export_job

COMMAND, POWERSHELL, TOML, YAML = "sd-scripts", "powershell", "toml", "yaml"
FORMATS = (COMMAND, POWERSHELL, TOML, YAML)
_ENDINGS = {COMMAND: ".sh", POWERSHELL: ".ps1", TOML: ".toml", YAML: ".yaml"}


@dataclass(frozen=True)
class ExportedText:
    """``text`` for a file named ``file_name``, and sentences about settings that the format cannot express.

    ``files`` are the texts of the files that ``text`` names, by file name: the dataset configuration, if one is needed.
    """

    text: str
    file_name: str
    notes: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


def export_text(job: Job, wanted: str, family: str = SD1, folders: Folders | None = None) -> ExportedText:
    """``job`` in the format ``wanted``, one of ``FORMATS``; ``folders`` are those with images, ``None`` if unreadable.

    Raises ``ValueError`` for an unknown format, or if the job's resolution, block lists or concept settings are
    invalid.
    """
    if wanted not in FORMATS:
        raise ValueError(f"There is no format {wanted!r}. There are: {', '.join(FORMATS)}.")
    name = f"{job.save.output_name or 'job'}{_ENDINGS[wanted]}"
    if wanted == YAML:
        return ExportedText(job_to_yaml(job), name)
    exported = export_job(job, family, folders)
    written = {COMMAND: lambda: _command(exported, " \\", shlex.quote),
               POWERSHELL: lambda: _command(exported, " `", _powershell_quote), TOML: lambda: _toml(exported)}[wanted]()
    files = {} if exported.dataset is None else {exported.dataset_file: _dataset_toml(exported.dataset)}
    return ExportedText(written, name, tuple(exported.notes), files)


def preset_text(values: Mapping[str, Mapping[str, Any]]) -> str:
    """A preset as an importable YAML file with the settings it sets."""
    known = {setting.key for setting in all_settings()}
    kept = {group: {name: value for name, value in settings.items() if f"{group}.{name}" in known}
            for group, settings in values.items()}
    return write_yaml({group: settings for group, settings in kept.items() if settings})


def _command(exported: Exported, joint: str, quote: Callable[[str], str]) -> str:
    lines = [f"accelerate launch --num_cpu_threads_per_process 1 {exported.script}"]
    for name, value in exported.options.items():
        if value is True:
            lines.append(f"  --{name}")
        elif isinstance(value, list):
            lines.append(" ".join([f"  --{name}", *(quote(_plain(item)) for item in value)]))
        else:
            lines.append(f"  --{name}={quote(_plain(value))}")
    return f"{joint}\n".join(lines) + "\n"


def _powershell_quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _plain(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _toml(exported: Exported) -> str:
    lines = [f"# for {exported.script} --config_file"]
    return "\n".join([*lines, *_toml_lines(exported.options)]) + "\n"


def _dataset_toml(config: DatasetConfig) -> str:
    lines = ["# for --dataset_config; the command has the settings that all folders share"]
    if config.general:
        lines += ["[general]", *_toml_lines(config.general), ""]
    lines.append("[[datasets]]")
    for subset in config.subsets:
        lines += ["", "[[datasets.subsets]]", *_toml_lines(subset)]
    return "\n".join(lines) + "\n"


def _toml_lines(values: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {_toml_value(value)}" for name, value in values.items()]


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    if isinstance(value, float):
        text = f"{value:.12g}"
        return text if "." in text or "e" in text else f"{text}.0"
    if isinstance(value, int):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007F")
