"""Finds the blocks of a LoRA file from its layer names. Free of torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import CheckpointError
from ..files.json_file import DamagedFileError
from ..files.safetensors_header import read_safetensors_header
from .names import FULL_SD1, FULL_SDXL, SHORT_SD1, SHORT_SDXL, WITHOUT_BASE, block_of

_ATTENTION = re.compile(r"_(?:transformer_blocks|proj_in|proj_out)_")
_DEEP = re.compile(r"_transformer_blocks_[1-9]\d*_")
_TWO_TEXT_ENCODERS = re.compile(r"(?:lora_|oft_)?te[12]_|text_encoder_2_|clip_g_|text_encoders_clip_g_|[01]_\w|"
                                r"\w*label_emb_|\w*add_embedding_")
_ONE_TEXT_ENCODER = re.compile(r"(?:lora_|oft_)?te_|transformer_text_model_|model_transformer_")
_COUNTED = re.compile(r"(?:lora|oft)_unet_(?:input|output)_blocks_|(?:lora|oft)_unet_middle_block_")
_ONLY_SD1 = frozenset(FULL_SD1) - frozenset(FULL_SDXL)
_ATTENTION_OF_SD1 = frozenset(SHORT_SD1) - frozenset(SHORT_SDXL)
_ATTENTION_OF_SDXL = frozenset(SHORT_SDXL) - frozenset(SHORT_SD1)


@dataclass(frozen=True)
class BlockSet:
    """The blocks of a LoRA file or a model: ``names`` in list order; ``sdxl`` selects the family's lists.

    SD 1.x and 2.x share their blocks, and so do SDXL and SSD-1B.
    """

    names: tuple[str, ...]
    sdxl: bool

    @property
    def short(self) -> tuple[str, ...]:
        """The family's list of blocks with attention."""
        return SHORT_SDXL if self.sdxl else SHORT_SD1

    @property
    def full(self) -> tuple[str, ...]:
        """The family's list of all blocks."""
        return FULL_SDXL if self.sdxl else FULL_SD1

    @property
    def listed(self) -> tuple[str, ...]:
        """The shortest of the family's lists that contains all of ``names``; used to write a list for the file."""
        return self.short if set(self.names) <= set(self.short) else self.full

    @property
    def lists(self) -> dict[int, tuple[str, ...]]:
        """The blocks of a list by its length, if it is meant for this family or this very file."""
        family = {len(self.short): self.short, len(self.full): self.full}
        if not self.sdxl:
            family[len(WITHOUT_BASE)] = WITHOUT_BASE
        return {len(self.names): self.names} | family

    @property
    def family(self) -> str:
        """The family in words."""
        return "SDXL" if self.sdxl else "SD 1.x and 2.x"


SD1_BLOCKS = BlockSet(FULL_SD1, sdxl=False)
SDXL_BLOCKS = BlockSet(FULL_SDXL, sdxl=True)


def blocks_of_keys(keys: Iterable[str], metadata: Mapping[str, str] | None = None) -> BlockSet:
    """The blocks of the layers or tensors ``keys``; ``metadata`` resolves ambiguous names."""
    names = [key.replace(".", "_") + "_" for key in keys]
    found = {name: block for name in names if (block := block_of(name))}
    blocks = set(found.values())
    return BlockSet(tuple(name for name in FULL_SD1 if name in blocks), _is_sdxl(names, found, metadata or {}))


def blocks_of_file(path: Path) -> BlockSet:
    """The blocks of the LoRA file ``path``; reads only its header.

    Raises ``CheckpointError`` if it is missing, damaged or not a .safetensors file.
    """
    try:
        header = read_safetensors_header(path)
    except FileNotFoundError:
        raise CheckpointError(f"There is no LoRA file {path}. Choose one that exists.") from None
    except (OSError, DamagedFileError) as problem:
        raise CheckpointError(f"The blocks of {path.name} cannot be read: it is damaged or not a .safetensors file "
                              f"({problem}). Choose another file.") from problem
    return blocks_of_keys(header.tensors, header.metadata)


def _is_sdxl(names: list[str], found: Mapping[str, str], metadata: Mapping[str, str]) -> bool:
    """Certain evidence takes precedence over likely evidence."""
    attention = {block for name, block in found.items() if block != "BASE" and _ATTENTION.search(name)}
    if _ONLY_SD1 & set(found.values()) or _ATTENTION_OF_SD1 & attention:
        return False
    if _ATTENTION_OF_SDXL & attention or any(_TWO_TEXT_ENCODERS.match(name) for name in names):
        return True
    if any(_ONE_TEXT_ENCODER.match(name) for name in names):
        return False
    version = f"{metadata.get('ss_base_model_version', '')} {metadata.get('modelspec.architecture', '')}"
    if version.strip():
        return "xl" in version or "ssd-1b" in version
    return any(_DEEP.search(name) or _COUNTED.match(name) for name in names)
