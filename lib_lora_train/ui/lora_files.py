"""The LoRA files in the webui's folder: names and metadata."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..files.confine import is_named_inside
from ..files.json_file import DamagedFileError, read_object
from ..files.walk import files_below
from ..networks.lora_facts import LoraFacts, frequent_tags, from_json, in_words, read_facts

_ENDING = ".safetensors"
_MOST_FILES = 5000
_MOST_TAGS = 8
_LONGEST_VALUE = 300
_ONLY_IN_SDXL = ("lora_te1_", "lora_te2_", "lora_unet_input_blocks_", "lora_unet_output_blocks_")
_FAMILIES = {"sd_v1": "SD 1.x", "sd_v2": "SD 2.x", "sd_v2_v": "SD 2.x", "sdxl_base_v1-0": "SDXL"}


def lora_names_in(folder: Path) -> list[str]:
    """Return the paths of all .safetensors files below ``folder``, relative and without suffix, newest first."""
    found: list[tuple[float, str]] = []
    for entry in files_below(folder):
        path = Path(entry.path)
        if path.suffix.lower() == _ENDING and not entry.name.startswith("."):
            found.append((_changed(path), path.relative_to(folder).with_suffix("").as_posix()))
    return [name for _, name in sorted(found, reverse=True)[:_MOST_FILES]]


def lora_file(folder: Path, name: str, key: str = "network.network_weights") -> Path:
    """Return the file of ``folder`` named ``name``: a relative path with or without suffix, or the full path.

    ``key`` is the setting that names it. Raises ``CheckpointError`` if there is none or it is outside ``folder``.
    """
    cleaned = name.strip().strip('"')
    try:
        given = folder / cleaned if cleaned else None
        ways = [] if given is None else [given, given.with_name(given.name + _ENDING)]
        path = next((way for way in ways if is_named_inside(folder, way) and way.is_file()), None)
    except (OSError, ValueError):  # too long, or contains a null byte
        path = None
    if path is None:
        raise CheckpointError(f"{key} is {name[:200]!r}, but there is no such LoRA in {folder}. "
                              "Choose one of the list, or put the file into that folder.")
    return path


def lora_info(path: Path, folder: Path) -> dict[str, Any]:
    """Return type and training metadata of the LoRA file ``path`` for the form.

    Raises ``CheckpointError`` if it is damaged, not a LoRA, or not a .safetensors file.
    """
    if path.suffix.lower() != _ENDING:
        raise CheckpointError(f"{path.name} is an old kind of file that is only looked into when training starts. "
                              "You can use it all the same.")
    facts = read_facts(path)
    metadata = facts.metadata
    return {"name": path.relative_to(folder).with_suffix("").as_posix(), "bytes": path.stat().st_size,
            "words": in_words(facts), "network_type": facts.network_type, "dim": facts.dim, "alpha": facts.alpha,
            "conv_dim": facts.conv_dim, "conv_alpha": facts.conv_alpha, "dims": facts.dims, "dora": facts.dora,
            "unet_layers": facts.unet_layers, "text_encoder_layers": facts.text_encoder_layers,
            "base_model": metadata.get("ss_sd_model_name", ""), "family": _family(facts),
            "activation_tag": _activation_tag(path, facts), "tags": frequent_tags(facts, _MOST_TAGS),
            "epochs": _number(metadata.get("ss_epoch")), "steps": _number(metadata.get("ss_steps")),
            "comment": metadata.get("ss_training_comment", ""), "settings": facts.settings,
            "problem": facts.problem, "metadata": {key: _short(value) for key, value in sorted(metadata.items())}}


def activation_tag(path: Path) -> str:
    """Return the trigger word of the LoRA file ``path``, empty if unknown. Raises ``CheckpointError`` if damaged."""
    return _activation_tag(path, read_facts(path)) if path.suffix.lower() == _ENDING else ""


def why_not_trained(path: Path) -> str | None:
    """Return why training cannot continue from the LoRA file ``path``, as the end of a sentence; ``None`` if it can.

    Legacy files (.ckpt, .pt) are only checked when training starts. Raises ``CheckpointError`` as ``lora_info`` does.
    """
    return read_facts(path).problem if path.suffix.lower() == _ENDING else None


def is_for_sdxl(path: Path) -> bool | None:
    """Whether the LoRA file ``path`` is for SDXL rather than SD 1.x or 2.x; ``None`` if its keys do not show it."""
    if path.suffix.lower() != _ENDING:
        return None
    keys = read_facts(path).layers
    if any(key.startswith(_ONLY_IN_SDXL) for key in keys):
        return True
    return False if any(key.startswith("lora_te_") for key in keys) else None


def _family(facts: LoraFacts) -> str:
    """The model family, from the keys first; empty if unknown."""
    if any(key.startswith(_ONLY_IN_SDXL) for key in facts.layers):
        return "SDXL"
    version = facts.metadata.get("ss_base_model_version", "")
    return _FAMILIES.get(version, version)


def _activation_tag(path: Path, facts: LoraFacts) -> str:
    """The value from the webui's card, otherwise from the file."""
    try:
        card = read_object(path.with_suffix(".json"))
    except (OSError, DamagedFileError):
        card = {}  # no card, or another program's file of that name
    job = from_json(facts.metadata.get("train_lora_job"))
    dataset = job.get("dataset") if isinstance(job, dict) else None
    trained = dataset.get("activation_tag") if isinstance(dataset, dict) else None
    said = card.get("activation text")
    return str(said or facts.metadata.get("modelspec.trigger_phrase") or trained or "")


def _short(value: str) -> str:
    return value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + " …"


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,15}", text) else None


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
