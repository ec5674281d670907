"""The size of a LoRA file, computed from the checkpoint's header alone."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..blocks.names import FULL_SD1
from ..config.groups.network import C3LIER, IA3, LIERLA, LOHA, LOKR, NetworkSettings
from ..files.json_file import DamagedFileError
from ..files.safetensors_header import SafetensorsHeader, read_safetensors_header
from ..files.swap import Stamp

_BYTES = {"fp16": 2, "bf16": 2, "float": 4}
_ALPHA_BYTES = 4
_ON_INPUT_BYTES = 8
_HEADER_BYTES_PER_TENSOR = 62  # besides its name: dtype, shape and offsets
_METADATA_BYTES = 6_000
_UNET = re.compile(r"^model\.diffusion_model\.(?:(input|output)_blocks\.(\d+)|middle_block)\.\d+\.(?:(.+)\.)?weight$")
_TEXT = re.compile(r"^(?:cond_stage_model|conditioner\.embedders\.0)\.transformer\.(?:text_model\.)?encoder\.layers\."
                   r"\d+\.(self_attn\.[qkv]_proj|self_attn\.out_proj|mlp\.fc\d)\.weight$")
_OPEN_CLIP = re.compile(r"^(conditioner\.embedders\.1|cond_stage_model)\.model\.transformer\.resblocks\.(\d+)\."
                        r"(attn\.in_proj_weight|attn\.out_proj\.weight|mlp\.c_fc\.weight|mlp\.c_proj\.weight)$")
_ATTENTION = re.compile(r"(?:transformer_blocks\.\d+\.(?:attn\d\.to_(?:q|k|v|out\.0)|ff\.net\.(?:0\.proj|2))"
                        r"|proj_in|proj_out)$")
_CONVOLUTIONS = {"in_layers.2": "conv1", "out_layers.3": "conv2", "emb_layers.1": "time_emb_proj",
                 "skip_connection": "conv_shortcut", "op": "downsamplers_0_conv", "conv": "upsamplers_0_conv"}
_IA3_OUTPUT = (".to_k", ".to_v", "k_proj", "v_proj")
_IA3_INPUT = ("ff.net.2", "mlp.fc2", "mlp.c_proj.weight")
_SIDES = {"input": ("IN", len("lora_unet_down_blocks_0_attentions_0_")),
          "output": ("OUT", len("lora_unet_up_blocks_0_attentions_0_"))}
_MIDDLE_NAME_CHARACTERS = len("lora_unet_mid_block_attentions_0_")
_LONGER_THAN_SDXL = len("model.diffusion_model..weight") - len("lora_unet_")  # SDXL's keys use the original names
_TEXT_NAME_CHARACTERS = len("lora_te_text_model_encoder_layers_00_")


@dataclass(frozen=True)
class _Layer:
    """A layer of the checkpoint that some network type changes. ``group`` is attention, convolution, first or text.

    ``name`` is the end of its name in the checkpoint, ``name_characters`` the length of its key in a LoRA file.
    """

    group: str
    block: str
    name: str
    out: int
    into: int
    kernel: int
    name_characters: int


def read_shapes(checkpoint: Path) -> dict[str, list[int]] | None:
    """Names and shapes of the tensors in a .safetensors file; ``None`` if it is not one."""
    header = read_header(checkpoint)
    return None if header is None else header[0]


def read_header(checkpoint: Path) -> tuple[dict[str, list[int]], dict[str, str]] | None:
    """The same with the file's metadata."""
    try:
        header = _header(checkpoint, Stamp.of(checkpoint.stat()))
    except (OSError, DamagedFileError):
        return None
    shapes = {name: list(shape) for name, shape in header.shapes.items()}
    return (shapes, dict(header.metadata)) if shapes else None


@functools.lru_cache(maxsize=4)
def _header(checkpoint: Path, stamp: Stamp) -> SafetensorsHeader:
    """Kept for the few checkpoints in use: the form asks three times at each change, a test strip each second."""
    return read_safetensors_header(checkpoint, whole=False)


def is_sdxl(shapes: Mapping[str, Sequence[int]]) -> bool:
    """Whether the checkpoint has two text encoders and SDXL's blocks."""
    return any(key.startswith("conditioner.embedders.1.") for key in shapes)


def lora_file_bytes(shapes: Mapping[str, Sequence[int]], settings: NetworkSettings, precision: str) -> int | None:
    """The file size of a network with ``settings``, trained on a checkpoint with ``shapes``.

    ``None`` if no layer of the checkpoint would be trained.
    """
    total = 0
    for layer in _layers(shapes):
        if not _has(settings, layer):
            continue
        tensors, fixed_bytes = _tensors(settings, layer)
        total += sum(tensors.values()) * _BYTES[precision] + fixed_bytes
        total += sum(layer.name_characters + len(name) + _HEADER_BYTES_PER_TENSOR for name in tensors)
        total += layer.name_characters + len(".alpha") + _HEADER_BYTES_PER_TENSOR if fixed_bytes else 0
    return total + _METADATA_BYTES if total else None


def trained_values(shapes: Mapping[str, Sequence[int]], settings: NetworkSettings) -> int:
    """The number of values of a network with ``settings`` on a checkpoint with ``shapes``."""
    return sum(sum(_tensors(settings, layer)[0].values()) for layer in _layers(shapes) if _has(settings, layer))


def lokr_layers(shapes: Mapping[str, Sequence[int]], settings: NetworkSettings) -> Iterator[dict[str, int]]:
    """The tensors of each LoKR layer with their number of values: ``_a`` and ``_b`` for a split factor."""
    yield from (_tensors(settings, layer)[0] for layer in _layers(shapes) if _has(settings, layer))


def blocks_of_network(shapes: Mapping[str, Sequence[int]], settings: NetworkSettings) -> list[str]:
    """The blocks of a network of that type on a checkpoint with ``shapes``, ignoring the block lists."""
    every = dataclasses.replace(settings, block_lr_weight="", block_dims="", block_alphas="")
    found = {layer.block for layer in _layers(shapes) if _has(every, layer)}
    return [name for name in FULL_SD1 if name in found]


def same_file_bytes(shapes: Mapping[str, Sequence[int]], precision: str) -> int:
    """The size of a file with the same tensors as another one, whose ``shapes`` are given."""
    return _METADATA_BYTES + sum(math.prod(shape) * _BYTES[precision] + len(name) + _HEADER_BYTES_PER_TENSOR
                                 for name, shape in shapes.items())


def _layers(shapes: Mapping[str, Sequence[int]]) -> tuple[_Layer, ...]:
    return _layers_of(tuple((key, tuple(shape)) for key, shape in shapes.items()))


@functools.lru_cache(maxsize=4)
def _layers_of(shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> tuple[_Layer, ...]:
    """Kept for the few checkpoints in use: a plan asks a hundred times."""
    return tuple(_found(dict(shapes)))


def _found(shapes: Mapping[str, Sequence[int]]) -> Iterator[_Layer]:
    # SD 2.x uses the text encoder's penultimate layer, so its last is not even loaded
    unused = max((int(match[2]) for key in shapes if (match := _OPEN_CLIP.match(key))), default=0)
    original_names = is_sdxl(shapes)
    for key, shape in shapes.items():
        if match := _UNET.match(key):
            block, before = "M00", _MIDDLE_NAME_CHARACTERS
            if match[1]:
                side, before = _SIDES[match[1]]
                block = f"{side}{int(match[2]):02d}"
            name = match[3] or ""
            group, end = _group_of(block, name)
            characters = len(key) - _LONGER_THAN_SDXL if original_names else before + len(end)
            if group:
                yield _Layer(group, block, name, shape[0], shape[1], math.prod(shape[2:]), characters)
        elif match := _TEXT.match(key):
            yield _Layer("text", "BASE", match[1], shape[0], shape[1], 1, _TEXT_NAME_CHARACTERS + len(match[1]))
        elif (match := _OPEN_CLIP.match(key)) and not (match[1] == "cond_stage_model" and int(match[2]) == unused):
            parts = ("q_proj", "k_proj", "v_proj") if match[3] == "attn.in_proj_weight" else (match[3],)
            for name in parts:  # query, key and value are stored in one tensor there
                yield _Layer("text", "BASE", name, shape[0] // len(parts), shape[1], 1,
                             _TEXT_NAME_CHARACTERS + len("1self_attn_q_proj"))


def _group_of(block: str, name: str) -> tuple[str, str]:
    """The group of a UNet layer, empty for none, and the end of its key in a LoRA file."""
    if (block, name) == ("IN00", ""):
        return "first", ""
    if _ATTENTION.match(name):
        return "attention", name
    if name in _CONVOLUTIONS:
        return "convolution", _CONVOLUTIONS[name]
    return "", ""


def _has(settings: NetworkSettings, layer: _Layer) -> bool:
    """Whether a network with ``settings`` trains ``layer``."""
    if settings.network_train_unet_only if layer.group == "text" else settings.network_train_text_encoder_only:
        return False
    if settings.size_of(layer.block, spatial=layer.kernel > 1) is None:
        return False
    if settings.network_type == IA3:
        return layer.group in ("attention", "text") and layer.name.endswith(_IA3_OUTPUT + _IA3_INPUT)
    if settings.network_type == LIERLA:
        return layer.group in ("attention", "text")
    return layer.group != "first" or settings.network_type != C3LIER


def _tensors(settings: NetworkSettings, layer: _Layer) -> tuple[dict[str, int], int]:
    """The number of values of each tensor of one layer, and the bytes that do not depend on the precision."""
    if settings.network_type == IA3:
        return {".weight": layer.into if layer.name.endswith(_IA3_INPUT) else layer.out}, _ON_INPUT_BYTES
    size = settings.size_of(layer.block, spatial=layer.kernel > 1)
    assert size is not None
    dim, into = size[0], layer.into * layer.kernel
    if settings.network_type == LOHA:
        tensors = {f".hada_w{number}_{side}": dim * (layer.out if side == "a" else into)
                   for number in (1, 2) for side in "ab"}
    elif settings.network_type == LOKR:
        tensors = _lokr_tensors(settings, layer, dim)
    else:
        tensors = {".lora_down.weight": dim * into, ".lora_up.weight": dim * layer.out}
    if settings.dora_wd:
        tensors[".dora_scale"] = layer.into
    return tensors, _ALPHA_BYTES


def _lokr_tensors(settings: NetworkSettings, layer: _Layer, dim: int) -> dict[str, int]:
    """Two factors, each whole or, if the rank is less than half its longer side, a product of two matrices."""
    (small_out, large_out), (small_into, large_into) = (_split(side, settings.lokr_factor)
                                                        for side in (layer.out, layer.into))
    tensors = {".lokr_w1": small_out * small_into}
    if settings.decompose_both and dim < max(small_out, small_into) / 2:
        tensors = {".lokr_w1_a": small_out * dim, ".lokr_w1_b": dim * small_into}
    if dim < max(large_out, large_into) / 2:
        return tensors | {".lokr_w2_a": large_out * dim, ".lokr_w2_b": dim * large_into * layer.kernel}
    return tensors | {".lokr_w2": large_out * large_into * layer.kernel}


def _split(side: int, factor: int) -> tuple[int, int]:
    """Split ``side`` into two factors, the lower first: ``factor`` if it divides, else as close to it as possible.

    LyCORIS' rule: a factor of -1 splits as evenly as possible.
    """
    if factor > 0 and side % factor == 0:
        return min(factor, side // factor), max(factor, side // factor)
    highest = min(math.isqrt(side), factor if factor > 0 else side)
    lower = next(number for number in range(highest, 0, -1) if side % number == 0)
    return lower, side // lower
