"""LoRA files as input of the tools: read, checked, and with the strengths that a prompt would give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ..blocks.lora_strength import Strength, read_strength
from ..blocks.of_file import blocks_of_keys
from ..blocks.presets import DEFAULT_TEXT, parse_presets, read_text
from ..errors import CheckpointError, ConfigError
from ..networks.lora_family import refuse_names
from ..networks.save import LoraFile, load_network_file
from .change import kind_of

_SHOWN = 3


@dataclass(frozen=True)
class Lora:
    """A LoRA file and its strength; ``layers`` are its tensors by layer."""

    file: LoraFile
    strength: Strength

    @property
    def path(self) -> Path:
        """The file's path."""
        return self.file.path

    @cached_property
    def layers(self) -> Mapping[str, Mapping[str, Tensor]]:
        """The tensors of each layer."""
        return {key: self.file.of_layer(key) for key in self.file.facts.layers if not key.startswith("bundle_emb")}


def embeddings_left_out(loras: Sequence[Lora]) -> str:
    """A sentence about textual inversion embeddings in the files; empty if there are none."""
    names = [lora.path.name for lora in loras if any(name.startswith("bundle_emb") for name in lora.file.tensors)]
    return f"{', '.join(names)} has embeddings in it, which the new file will not have." if names else ""


def read_loras(paths: Sequence[str], strengths: Sequence[str], block_presets: str) -> list[Lora]:
    """The files with their strengths, every number checked.

    Raises ``CheckpointError`` or ``ConfigError`` for an unusable file or strength.
    """
    given = strengths or ["1"] * len(paths)
    files = [read_lora(Path(path)) for path in paths]
    try:
        presets_text = read_text(Path(block_presets)) if block_presets else DEFAULT_TEXT
    except OSError as problem:
        raise ConfigError(f"block_presets is {block_presets}, which cannot be read ({problem.strerror}).") from problem
    presets = parse_presets(presets_text)[0]
    return [Lora(file, read_strength(file.path.stem, text, presets, blocks_of_keys(file.tensors, file.metadata)))
            for file, text in zip(files, given, strict=True)]


def read_lora(path: Path) -> LoraFile:
    """The LoRA file ``path``. Raises ``CheckpointError`` if it is damaged, contains NaN, or is of an unknown kind."""
    file = load_network_file(path)
    refuse_names(path, file.shapes)
    broken = [name for name, tensor in file.tensors.items()
              if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(f"{path} cannot be used: {len(broken)} of its {len(file.tensors)} tensors hold values "
                              f"that are not numbers (NaN or infinity), such as {_some(broken)}. Choose an earlier "
                              "epoch of it, or another LoRA.")
    unknown = [key for key in Lora(file, Strength()).layers if kind_of(file.of_layer(key)) is None]
    if unknown:
        first = file.of_layer(unknown[0])
        raise CheckpointError(f"{path} has {len(unknown)} layers of a kind that the webui does not know, such as "
                              f"{unknown[0]} ({', '.join(first)}). The file may be incomplete: download it again.")
    return file


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:_SHOWN]) + (" …" if len(texts) > _SHOWN else "")
