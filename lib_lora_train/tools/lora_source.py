"""LoRA files as the tools take them: read, checked, and with the strengths that a prompt would give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ..blocks.names import block_of
from ..blocks.of_file import blocks_of_keys
from ..blocks.presets import DEFAULT_TEXT, parse_presets, read_text
from ..blocks.prompt_weights import BlockSpec, read_arguments
from ..errors import CheckpointError, ConfigError
from ..models.family import SD1, SD2, SD2_V, SDXL, SSD, Family
from ..networks.save import LoraFile, load_network_file
from .change import kind_of

_BY_VERSION = {family.model_version: family for family in (SD1, SD2, SD2_V, SDXL, SSD)}
_BY_ARCHITECTURE = {family.architecture: family for family in (SD1, SD2, SD2_V, SDXL, SSD)}
_BY_WIDTH: dict[int | None, Family] = {768: SD1, 1024: SD2}
_READS_TEXT = ("attn2_to_k", "self_attn_q_proj")
_SHOWN = 3


@dataclass(frozen=True)
class Strength:
    """What a prompt says of a LoRA: strengths of text encoder and UNet, block weights, and where it is cut off."""

    text_encoder: float = 1.0
    unet: float = 1.0
    spec: BlockSpec | None = None
    dyn: int | None = None

    def of(self, key: str, *, text_encoder: bool) -> float:
        """What the change of the layer ``key`` is multiplied with."""
        strength = self.text_encoder if text_encoder else self.unet
        return strength if self.spec is None else strength * self.spec.of("BASE" if text_encoder else block_of(key))

    @property
    def in_words(self) -> str:
        """For the recipe, as a prompt has it."""
        blocks = f":lbw={self.spec.text()}" if self.spec is not None else ""
        return f"{self.text_encoder:g}:{self.unet:g}{f':dyn={self.dyn}' if self.dyn else ''}{blocks}"


@dataclass(frozen=True)
class Lora:
    """A LoRA file and how strong it is; ``layers`` are its tensors by layer."""

    file: LoraFile
    strength: Strength

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.file.path

    @cached_property
    def layers(self) -> Mapping[str, Mapping[str, Tensor]]:
        """The tensors of each layer."""
        return {key: self.file.of_layer(key) for key in self.file.facts.layers if not key.startswith("bundle_emb")}


def embeddings_left_out(loras: Sequence[Lora]) -> str:
    """A sentence about textual inversion embeddings that lie in the files; empty if there are none."""
    names = [lora.path.name for lora in loras if any(name.startswith("bundle_emb") for name in lora.file.tensors)]
    return f"{', '.join(names)} has embeddings in it, which the new file will not have." if names else ""


def read_loras(paths: Sequence[str], strengths: Sequence[str], block_presets: str) -> list[Lora]:
    """The files with their strengths, every number checked.

    Raises ``CheckpointError`` or ``ConfigError`` that says what cannot be used.
    """
    given = strengths or ["1"] * len(paths)
    files = [read_lora(Path(path)) for path in paths]
    try:
        presets_text = read_text(Path(block_presets)) if block_presets else DEFAULT_TEXT
    except OSError as problem:
        raise ConfigError(f"block_presets is {block_presets}, which cannot be read ({problem.strerror}).") from problem
    return [Lora(file, _strength(file, text, presets_text)) for file, text in zip(files, given, strict=True)]


def read_lora(path: Path) -> LoraFile:
    """The LoRA file ``path``. Raises ``CheckpointError`` if it is damaged, holds NaN, or is of no known kind."""
    file = load_network_file(path)
    broken = [name for name, tensor in file.tensors.items()
              if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(f"{path} cannot be used: {len(broken)} of its {len(file.tensors)} tensors hold values "
                              f"that are not numbers (NaN or infinity), such as {_some(broken)}. Choose an earlier "
                              "epoch of it, or another LoRA.")
    dotted = [name for name in file.tensors if not name.startswith(("lora_", "oft_", "bundle_emb"))]
    if dotted:
        raise CheckpointError(f"{path} has the names of another program (diffusers or PEFT), such as {_some(dotted)}, "
                              "which the webui does not read either. Convert it to kohya's names first.")
    unknown = [key for key in Lora(file, Strength()).layers if kind_of(file.of_layer(key)) is None]
    if unknown:
        first = file.of_layer(unknown[0])
        raise CheckpointError(f"{path} has {len(unknown)} layers of a kind that the webui does not know, such as "
                              f"{unknown[0]} ({', '.join(first)}). The file may be incomplete: download it again.")
    return file


def family_of_lora(file: LoraFile) -> Family | None:
    """The family of the base model, as the metadata or else the layers have it; ``None`` if neither does."""
    version = file.metadata.get("ss_base_model_version", "")
    architecture = file.metadata.get("modelspec.architecture", "").removesuffix("/lora")
    said = _BY_VERSION.get(version) or _BY_ARCHITECTURE.get(architecture)
    if said is not None:
        return said
    if version.startswith("sdxl"):
        return SDXL
    if blocks_of_keys(file.facts.layers, file.metadata).sdxl:
        return SDXL
    width = next((shape[1] for key in file.facts.layers if key.endswith(_READS_TEXT)
                  for name, tensor in file.of_layer(key).items() if name.endswith(("lora_down.weight", "diff"))
                  and len(shape := tensor.shape) > 1), None)
    return _BY_WIDTH.get(width)


def other_family(file: LoraFile, family: Family) -> str | None:
    """What ``file`` is for, in words, if that is surely not ``family``; else ``None``."""
    made_for = family_of_lora(file)
    if made_for is not None:
        return None if same_kind_of_base(made_for, family) else made_for.name
    one_text_encoder = any(key.startswith("lora_te_") for key in file.facts.layers)
    return f"{SD1.name} or {SD2.name}" if one_text_encoder and len(family.text_encoders) > 1 else None


def same_kind_of_base(one: Family, other: Family) -> bool:
    """Whether LoRAs of both fit the same layers; SD 2.x and its 768-v do."""
    return one.architecture.replace("768-v", "512") == other.architecture.replace("768-v", "512")


def check_same_family(files: Sequence[LoraFile]) -> Family | None:
    """The family of all ``files``. Raises ``CheckpointError`` that names both if there are two."""
    known = [(file, family) for file in files if (family := family_of_lora(file)) is not None]
    for file, family in known[1:]:
        if not same_kind_of_base(family, known[0][1]):
            raise CheckpointError(f"{known[0][0].path.name} is for {known[0][1].name}, {file.path.name} for "
                                  f"{family.name}. Choose LoRAs of one family.")
    return known[0][1] if known else None


def _strength(file: LoraFile, text: str, presets_text: str) -> Strength:
    name = file.path.stem
    items = [item for item in text.split(":") if item.strip()]
    presets = parse_presets(presets_text)[0]
    read = read_arguments([name.replace(":", " "), *items], presets, blocks_of_keys(file.tensors, file.metadata))
    wrong = [problem for problem in read.problems if "cannot be used" in problem or "There is no" in problem
             or "is skipped" in problem or "is not a number" in problem]
    if read.spec is not None and read.spec.stepped:
        wrong.append("start=, stop= and step= need sampling steps, which a merge does not have.")
    if wrong:
        raise ConfigError([f"The strength {text!r} of {file.path.name} cannot be used. {problem}" for problem in wrong])
    return _numbers(file, text, read.plain[1:], read.spec)


def _numbers(file: LoraFile, text: str, items: Sequence[str], spec: BlockSpec | None) -> Strength:
    """Positional numbers and ``te=``, ``unet=``, ``dyn=`` as the webui reads them."""
    positional = [item for item in items if "=" not in item]
    named = dict(item.split("=", 1) for item in items if "=" in item)
    try:
        text_encoder = float(named.get("te", positional[0] if positional else 1))
        unet = float(named.get("unet", positional[1] if len(positional) > 1 else text_encoder))
        dyn = named.get("dyn", positional[2] if len(positional) > 2 else None)
        strength = Strength(text_encoder, unet, spec, None if dyn is None else int(dyn))
    except ValueError:
        raise ConfigError(f"The strength {text!r} of {file.path.name} cannot be read. Write 0.8, 0.8:0.6 (text encoder "
                          "and UNet) or 1:lbw=OUTALL.") from None
    if not (-1e4 < strength.text_encoder < 1e4 and -1e4 < strength.unet < 1e4):
        raise ConfigError(f"The strength {text!r} of {file.path.name} is out of range. Use numbers around 1.")
    return strength


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:_SHOWN]) + (" …" if len(texts) > _SHOWN else "")
