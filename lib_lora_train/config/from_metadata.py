"""The settings that a LoRA was trained with, from its metadata: this program's own, or sd-scripts' ``ss_`` keys."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..files.json_file import DamagedFileError, parse
from .convert import converted
from .job import GROUPS
from .optimizer_facts import OPTIMIZERS
from .setting import SettingField, fields_of, problem_with
from .text_yaml import Unquoted

OWN = "train_lora_job"
_NOTHING = ("", "None", "null")
_OTHER_NAMES = {"training.max_train_epochs": "ss_num_epochs", "dataset.train_batch_size": "ss_batch_size_per_device",
                "save.output_name": "ss_output_name", "save.training_comment": ""}
_LEFT_OUT = ("network.", "optimizer.optimizer_type", "optimizer.optimizer_args", "training.max_train_steps",
             "dataset.resolution")
_OPTIMIZER = re.compile(r"([\w.]+)(?:\((.*)\))?", re.DOTALL)


@dataclass(frozen=True)
class SettingsOfFile:
    """``job`` is a partial job by groups; ``source`` ends the sentence "… as … says"; empty if nothing is known.

    ``unread`` are metadata keys that hold a setting whose value cannot be used here.
    """

    job: dict[str, dict[str, Any]]
    source: str
    unread: tuple[str, ...] = ()


def settings_of_metadata(metadata: Mapping[str, str], network: Mapping[str, Any] | None = None) -> SettingsOfFile:
    """What ``metadata`` say of the training; ``network`` are the network settings that the tensors show.

    What the file was trained with is taken, nothing is checked across settings.
    """
    own = _json(metadata.get(OWN))
    if isinstance(own, dict) and all(isinstance(group, dict) for group in own.values()):
        return SettingsOfFile({str(name): dict(group) for name, group in own.items()}, "the job in its metadata")
    job: dict[str, dict[str, Any]] = {"network": dict(network)} if network else {}
    unread: list[str] = []
    for group, group_type in GROUPS.items():
        for field in fields_of(group, group_type):
            if not field.key.startswith(_LEFT_OUT):
                _take(field, metadata, job, unread)
    _take_resolution(metadata, job)
    _take_optimizer(metadata, job, unread)
    said = any(name != "network" for name in job)
    return SettingsOfFile(job, "sd-scripts' metadata (ss_…)" if said else "its tensors" if job else "", tuple(unread))


def _take(field: SettingField, metadata: Mapping[str, str], job: dict[str, dict[str, Any]], unread: list[str]) -> None:
    name = _OTHER_NAMES.get(field.key, f"ss_{field.sd_scripts_name}")
    if name not in metadata and field.key not in _OTHER_NAMES:
        name = f"ss_{field.name}"
    text = metadata.get(name)
    if text is None or text in _NOTHING:
        return
    try:
        value = converted(field.type_name, Unquoted(text))
    except ValueError:
        unread.append(f"{name}={text[:60]}")
        return
    if problem_with(field, value):
        unread.append(f"{name}={text[:60]}")
        return
    job.setdefault(field.group, {})[field.name] = value


def _take_resolution(metadata: Mapping[str, str], job: dict[str, dict[str, Any]]) -> None:
    sides = re.findall(r"\d+", metadata.get("ss_resolution", ""))[:2]
    if sides:
        job.setdefault("dataset", {})["resolution"] = "x".join(dict.fromkeys(sides)) if len(set(sides)) == 1 \
            else "x".join(sides)


def _take_optimizer(metadata: Mapping[str, str], job: dict[str, dict[str, Any]], unread: list[str]) -> None:
    """``bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1,betas=(0.9, 0.99))``: a class and its arguments."""
    text = metadata.get("ss_optimizer", "")
    match = _OPTIMIZER.fullmatch(text.strip())
    if match is None or text in _NOTHING:
        return
    name = match[1].rpartition(".")[2].lower()
    known = next((optimizer for optimizer in OPTIMIZERS if optimizer.lower() == name), None)
    if known is None:
        unread.append(f"ss_optimizer={text[:60]}")
        return
    group = job.setdefault("optimizer", {})
    group["optimizer_type"] = known
    try:
        call = ast.parse(f"f({match[2] or ''})", mode="eval").body
        assert isinstance(call, ast.Call)
        group["optimizer_args"] = [f"{word.arg}={ast.unparse(word.value)}" for word in call.keywords if word.arg]
    except SyntaxError:
        unread.append(f"ss_optimizer={text[:60]}")


def _json(text: str | None) -> Any:
    try:
        return parse(text or "")
    except DamagedFileError:
        return None
