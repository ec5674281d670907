"""Converts OpenCLIP's text encoder to transformers' names, sharing its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_PARTS = {
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
}
_IN_A_LAYER = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj",
               "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
_LAYER = re.compile(r"transformer\.resblocks\.(\d+)\.(.+?)(?:\.|_)(weight|bias)$")
_LAYERS_OF_VIT_H, _WIDTH_OF_VIT_H = 24, 1024


def from_open_clip(state: Mapping[str, Tensor], *, drops_last_layer: bool, projected: bool) -> dict[str, Tensor]:
    """``state`` in OpenCLIP's names, without prefix, converted to those of transformers' CLIP.

    OpenCLIP stacks the query, key and value weights in one matrix. Its projection multiplies from the right, so it is
    transposed. ``drops_last_layer`` drops the last layer, which is not used to generate images; files of trainers that
    already omit it are unchanged. Unknown keys are skipped.
    """
    converted = {new: state[old] for old, new in _PARTS.items() if old in state}
    if projected and "text_projection" in state:
        converted["text_projection.weight"] = state["text_projection"].T.contiguous()
    layers = {int(match[1]) for match in map(_LAYER.match, state) if match}
    last = max(layers, default=-1)
    left_out = {last} if drops_last_layer and not _is_cut_already(state, last + 1) else set()
    for key, tensor in state.items():
        match = _LAYER.match(key)
        if match and int(match[1]) not in left_out:
            converted |= _of_layer(f"text_model.encoder.layers.{match[1]}", match[2], match[3], tensor)
    return converted


def _of_layer(layer: str, part: str, kind: str, tensor: Tensor) -> dict[str, Tensor]:
    if part == "attn.in_proj":
        return {f"{layer}.self_attn.{name}_proj.{kind}": third
                for name, third in zip("qkv", tensor.chunk(3), strict=True)}
    return {f"{layer}.{_IN_A_LAYER[part]}.{kind}": tensor} if part in _IN_A_LAYER else {}


def _is_cut_already(state: Mapping[str, Tensor], layers: int) -> bool:
    embedding = state.get("token_embedding.weight")
    return embedding is not None and embedding.shape[-1] == _WIDTH_OF_VIT_H and layers == _LAYERS_OF_VIT_H - 1
