"""The output file of a tool: its path, obstacles to saving it, and its metadata."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

import torch
from torch import Tensor

from ..config.groups.network import LIERLA
from ..config.groups.network import NetworkSettings as Settings
from ..errors import CheckpointError, RunError
from ..models.family import Family
from ..networks.metadata import network_metadata
from ..networks.save import write_tensors

_MARGIN_BYTES = 50_000_000  # free space to leave on the disk


def output_path(name: str, folder: str, source: Path) -> Path:
    """The new file's path, in ``folder`` or beside ``source``.

    Raises ``RunError`` if the name exists, ignoring case, or ``folder`` is not a folder.
    """
    place = Path(folder) if folder else source.parent
    path = place / f"{name}.safetensors"
    if place.exists() and not place.is_dir():
        raise RunError(f"output_dir is {place}, which is a file. Give a folder.")
    taken = [other.name for other in place.iterdir() if other.name.lower() == path.name.lower()] \
        if place.is_dir() else []
    if taken:
        raise RunError(f"{place / taken[0]} exists already and is never overwritten. Choose another output_name.")
    return path


def check_room(path: Path, needed_bytes: int) -> None:
    """Raises ``RunError`` if there is no disk space at ``path`` for a file of ``needed_bytes``."""
    folder = next(parent for parent in path.parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + _MARGIN_BYTES:
        raise RunError(f"The disk has no room for {path}: the file needs {needed_bytes / 1e6:.0f} MB, and "
                       f"{free / 1e6:.0f} MB are free. Free some space or choose another output_dir.")


def device_of(text: str) -> torch.device:
    """The device that ``text`` names; ``auto`` is the GPU if there is one.

    Raises ``RunError`` if it is not available.
    """
    if text.strip().lower() == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(text.strip())
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, ValueError) as problem:
        raise RunError(f"device is {text!r}, which does not exist here. Use auto or cpu.") from problem
    return device


def save_lora(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a LoRA file. Raises ``CheckpointError`` if a value is not finite, ``RunError`` as ``write_tensors``."""
    broken = next((name for name, tensor in tensors.items() if not torch.isfinite(tensor.float()).all()), None)
    if broken:
        raise CheckpointError(f"{path.name} was not saved: {broken} holds values too large for the number format. Use "
                              "save_precision=float.")
    check_room(path, sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()))
    write_tensors(path, tensors, metadata)


def lora_metadata(name: str, family: Family | None, network_type: str, dims: tuple[int, int | None],
                  tool: Mapping[str, str]) -> dict[str, str]:
    """The metadata of a LoRA that was not trained; ``dims`` are those of most layers and of 3x3 convolutions."""
    dim, conv_dim = dims
    settings = Settings(network_type=network_type, network_dim=dim, network_alpha=float(dim),
                        conv_dim=conv_dim if network_type != LIERLA else None,
                        conv_alpha=float(conv_dim) if conv_dim and network_type != LIERLA else None)
    now = datetime.now(timezone.utc).replace(microsecond=0).isoformat()
    values = network_metadata(settings) | {"ss_output_name": name, "modelspec.sai_model_spec": "1.0.1",
                                           "modelspec.title": name, "modelspec.date": now,
                                           "modelspec.implementation": "diffusers"}
    if family is not None:
        values |= {"ss_base_model_version": family.model_version, "ss_v2": str(family.webui_version == "SD2"),
                   "modelspec.architecture": f"{family.architecture}/lora",
                   "modelspec.prediction_type": "v" if family.model_version.endswith("_v") else "epsilon"}
    return values | {f"train_lora_{key}": value for key, value in tool.items()}
