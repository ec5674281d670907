"""Facts about a LoRA file, from its header alone: kind, ranks, alphas and metadata. Free of torch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.groups.network import C3LIER, DYLORA, IA3, LIERLA, LOCON, LOHA, LOKR
from ..errors import CheckpointError
from ..files.json_file import DamagedFileError, parse
from ..files.reading import reason
from ..files.safetensors_header import SafetensorsHeader, read_safetensors_header
from ..models.family import what_it_is

Shapes = Mapping[str, tuple[int, ...]]

_UP_AND_DOWN = frozenset(("lora_up.weight", "lora_down.weight"))
_LOHA = frozenset(("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"))
_LOKR = frozenset(("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b"))
_IA3 = frozenset(("weight", "on_input"))
_BESIDE = frozenset(("alpha", "dora_scale"))
_NOT_TRAINED_HERE = {
    "lora_mid.weight": "a Tucker decomposition", "hada_t1": "a Tucker decomposition",
    "hada_t2": "a Tucker decomposition", "lokr_t2": "a Tucker decomposition", "oft_blocks": "OFT", "oft_diag": "OFT",
    "diff": "whole weight differences", "diff_b": "differences of biases", "w_norm": "norm layers",
    "b_norm": "norm layers", "a1.weight": "GLoRA", "lora_A.weight": "the names of PEFT",
    "lora.up.weight": "the names of diffusers"}
# LoHa and LoKr flatten kernels, so 3x3 convolutions are recognized by name; the second half is SDXL's naming
_SPATIAL = re.compile(r"_(?:conv|conv1|conv2|conv_in|input_blocks_0_0|in_layers_2|out_layers_3|op)$")
_RANK_AXIS = {"lora_down.weight": 0, "hada_w1_b": 0, "lokr_w2_b": 0, "lokr_w1_b": 0}


@dataclass(frozen=True)
class LayerSize:
    """Rank and alpha of one layer; both ``None`` for network types without them. ``spatial``: a 3x3 kernel."""

    dim: int | None
    alpha: float | None
    spatial: bool


@dataclass(frozen=True)
class LoraFacts:
    """The kind and sizes of a LoRA file, from its tensors, and its metadata.

    ``dim``, ``alpha``, ``conv_dim`` and ``conv_alpha`` are those of most layers, separately for 3x3 convolutions;
    ``None`` if there are none. ``problem`` says why training cannot be continued, as the end of a sentence about the
    file.
    """

    network_type: str
    layers: Mapping[str, LayerSize]
    dora: bool
    metadata: Mapping[str, str]
    problem: str | None = None

    @property
    def dim(self) -> int | None:
        """Rank of most layers."""
        return _usual(layer.dim for layer in self.layers.values() if not layer.spatial)

    @property
    def alpha(self) -> float | None:
        """Alpha of most layers."""
        return _usual(layer.alpha for layer in self.layers.values() if not layer.spatial)

    @property
    def conv_dim(self) -> int | None:
        """Rank of most 3x3 convolutions."""
        return _usual(layer.dim for layer in self.layers.values() if layer.spatial)

    @property
    def conv_alpha(self) -> float | None:
        """Alpha of most 3x3 convolutions."""
        return _usual(layer.alpha for layer in self.layers.values() if layer.spatial)

    @property
    def dims(self) -> list[int]:
        """Every rank in the file, except those of 3x3 convolutions, ascending."""
        return sorted({layer.dim for layer in self.layers.values() if layer.dim is not None and not layer.spatial})

    @property
    def unet_layers(self) -> int:
        """The number of UNet layers it changes."""
        return sum(key.startswith("lora_unet_") for key in self.layers)

    @property
    def text_encoder_layers(self) -> int:
        """The number of text encoder layers it changes."""
        return sum(key.startswith("lora_te") for key in self.layers)

    @property
    def settings(self) -> dict[str, Any]:
        """The network settings for a network of this kind and size."""
        values: dict[str, Any] = {"network_type": self.network_type, "dora_wd": self.dora, "rs_lora": False}
        if self.network_type == IA3 or self.dim is None or self.alpha is None:
            return values
        # rs-LoRA is saved with an alpha above the rank
        rs_lora = self.alpha > self.dim
        values |= {"network_dim": self.dim, "network_alpha": _without_rs(self.alpha, self.dim, rs_lora),
                   "rs_lora": rs_lora, "conv_dim": None, "conv_alpha": None}
        if self.conv_dim and self.conv_alpha is not None and (self.conv_dim, self.conv_alpha) != (self.dim, self.alpha):
            values |= {"conv_dim": self.conv_dim, "conv_alpha": _without_rs(self.conv_alpha, self.conv_dim, rs_lora)}
        return values | self._of_kind()

    def _of_kind(self) -> dict[str, Any]:
        arguments = self.network_arguments
        if self.network_type == LOKR:
            return {"lokr_factor": _whole_number(arguments.get("factor"), -1),
                    "decompose_both": str(arguments.get("decompose_both", "")).lower() in ("true", "1")}
        if self.network_type == DYLORA:
            unit = _whole_number(arguments.get("unit") or arguments.get("block_size"), 4)
            fits = unit > 0 and all(layer.dim % unit == 0 for layer in self.layers.values() if layer.dim)
            return {"dylora_unit": unit if fits else 1}
        return {}

    @property
    def network_arguments(self) -> dict[str, Any]:
        """``ss_network_args`` of the metadata: the network's settings by sd-scripts' and LyCORIS' names."""
        found = from_json(self.metadata.get("ss_network_args"))
        return found if isinstance(found, dict) else {}


def facts_of(shapes: Shapes, alphas: Mapping[str, float], metadata: Mapping[str, str]) -> LoraFacts:
    """The facts about a file with tensors of ``shapes``; ``alphas`` by layer, a missing one equals the rank.

    The tensors decide; the metadata only distinguishes kinds with the same tensors, such as LoRA and DyLoRA.
    """
    parts: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, shape in shapes.items():
        layer, _, name = key.partition(".")
        parts.setdefault(layer, {})[name] = shape
    layers = {layer: _size_of(layer, tensors, alphas.get(layer)) for layer, tensors in sorted(parts.items())}
    dora = any("dora_scale" in tensors for tensors in parts.values())
    kinds = {_kind_of(tensors) for tensors in parts.values()}
    problem = _why_not(shapes, kinds)
    kind = next(iter(kinds)) if len(kinds) == 1 else None
    facts = LoraFacts(kind or LIERLA, layers, dora, dict(metadata), problem)
    if kind != LIERLA:
        return facts
    return LoraFacts(_plain_kind(facts), layers, dora, dict(metadata), problem)


def read_facts(path: Path) -> LoraFacts:
    """``facts_of`` the .safetensors file ``path``; reads only the header and the alphas.

    Raises ``CheckpointError`` if it is missing, damaged or not a LoRA.
    """
    header = read_lora_header(path)
    try:
        numbers = header.numbers([key for key in header.tensors if key.endswith(".alpha")])
    except (OSError, DamagedFileError) as problem:
        raise CheckpointError(_damaged(path, problem)) from problem
    alphas = {key.removesuffix(".alpha"): alpha for key, alpha in numbers.items()}
    return facts_of(header.shapes, alphas, header.metadata)


def read_lora_header(path: Path) -> SafetensorsHeader:
    """The header of the LoRA file ``path``. Raises ``CheckpointError`` if it is missing, damaged or not a LoRA."""
    try:
        header = read_safetensors_header(path)
    except FileNotFoundError:
        raise CheckpointError(f"There is no LoRA file {path}. Choose one that exists.") from None
    except (OSError, DamagedFileError) as problem:
        raise CheckpointError(_damaged(path, problem)) from problem
    if not looks_like_lora(header.shapes):
        raise CheckpointError(not_a_lora(path, header.shapes))
    return header


def looks_like_lora(keys: Iterable[str]) -> bool:
    """Whether tensors under ``keys`` are those of a LoRA or LyCORIS file of any kind."""
    names = {*_UP_AND_DOWN, *_LOHA, *_LOKR, "on_input", *_NOT_TRAINED_HERE} - {"diff", "diff_b"}
    return any(key.startswith(("lora_unet_", "lora_te")) or key.endswith(tuple(f".{name}" for name in names))
               for key in keys)


def not_a_lora(path: Path, shapes: Shapes) -> str:
    """The error message for a file with tensors of ``shapes`` that is not a LoRA, naming its actual type if known."""
    found = what_it_is(shapes)
    reason = f", but {found}" if found else ": it has no tensors such as …lora_down.weight"
    return f"{path} is not a LoRA{reason}. Choose a LoRA file."


def in_words(facts: LoraFacts) -> str:
    """Kind and sizes for a sentence: ``LyCORIS-LoCon, dim 8 and alpha 4, convolutions 4 and 2``."""
    kind = facts.network_type + (" with DoRA" if facts.dora else "")
    if facts.alpha is None or not facts.dims:
        return kind
    sizes = f"dim {facts.dim}" if len(facts.dims) == 1 else f"dims from {facts.dims[0]} to {facts.dims[-1]}"
    convolutions = ""
    if facts.conv_alpha is not None and (facts.conv_dim, facts.conv_alpha) != (facts.dim, facts.alpha):
        convolutions = f", convolutions {facts.conv_dim} and {facts.conv_alpha:g}"
    return f"{kind}, {sizes} and alpha {facts.alpha:g}{convolutions}"


def from_json(text: str | None) -> Any:
    """A JSON value of the metadata; ``None`` if it is missing or not JSON."""
    try:
        return parse(text or "")
    except DamagedFileError:
        return None


def _damaged(path: Path, problem: Exception) -> str:
    return (f"{path} is damaged or no .safetensors file ({reason(problem)}). Download or copy it again, or choose "
            "another.")


def _size_of(layer: str, tensors: Shapes, alpha: float | None) -> LayerSize:
    rank = next((tensors[name][axis] for name, axis in _RANK_AXIS.items() if name in tensors), None)
    spatial = bool(_SPATIAL.search(layer))
    if rank is None and "lokr_w2" in tensors:
        # both factors whole: LyCORIS saves the requested rank as alpha
        rank = int(alpha) if alpha else max(tensors["lokr_w2"][:2])
    if rank is None:
        return LayerSize(None, None, spatial)
    return LayerSize(rank, float(rank) if alpha is None else alpha, spatial)


def _kind_of(tensors: Shapes) -> str | None:
    names = frozenset(tensors) - _BESIDE
    if names == _UP_AND_DOWN:
        return LIERLA
    if names == _LOHA:
        return LOHA
    if names == _IA3:
        return IA3
    return LOKR if names and names <= _LOKR else None


def _why_not(shapes: Shapes, kinds: set[str | None]) -> str | None:
    for name, what in _NOT_TRAINED_HERE.items():
        key = next((key for key in shapes if key.endswith(f".{name}")), None)
        if key:
            return f"has {what} in it ({key}), which is not trained here"
    if None in kinds:
        return f"has layers of a kind that is not known here, such as {min(shapes)}"
    if len(kinds) > 1:
        return f"mixes layers of several kinds ({', '.join(sorted(str(kind) for kind in kinds))}), which is not " \
               "trained here"
    return None


def _plain_kind(facts: LoraFacts) -> str:
    """LierLa, C3Lier, LoCon or DyLoRA, whose tensors have the same names."""
    algorithm = str(facts.network_arguments.get("algo", "")).lower()
    if algorithm == "dylora" or facts.metadata.get("ss_network_module") == "networks.dylora":
        return DYLORA
    if "lora_unet_conv_in" in facts.layers or (algorithm and facts.conv_dim):
        return LOCON
    return C3LIER if facts.conv_dim else LIERLA


def _without_rs(alpha: float, dim: int, rs_lora: bool) -> float:
    value = min(alpha / dim ** 0.5, float(dim)) if rs_lora else alpha
    return float(f"{value:.6g}")  # 0.3 is stored as 0.30000001


def _usual(values: Iterable[Any]) -> Any:
    """The most common value, the higher one on a tie; ``None`` if there is none."""
    counted = Counter(value for value in values if value is not None)
    return max(counted, key=lambda value: (counted[value], value)) if counted else None


def _whole_number(value: Any, fallback: int) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return fallback


def frequent_tags(facts: LoraFacts, most: int) -> Sequence[str]:
    """The most frequent caption tags, by ``ss_tag_frequency``, at most ``most``."""
    counted: Counter[str] = Counter()
    folders = from_json(facts.metadata.get("ss_tag_frequency"))
    for tags in folders.values() if isinstance(folders, dict) else ():
        if isinstance(tags, dict):
            counted.update({str(tag).strip(): count for tag, count in tags.items() if isinstance(count, int)})
    return [tag for tag, _ in counted.most_common(most)]
