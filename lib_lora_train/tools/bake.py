"""Bakes block weights into a copy of a LoRA file of any kind: at strength 1, it changes layers as the original does
with those weights.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..blocks.entries import listed
from ..blocks.names import block_of, layer_and_tensor
from ..blocks.of_file import blocks_of_keys
from ..errors import CheckpointError
from ..networks.save import LoraFile

# For each kind, tensors of which exactly one is a factor of each term of the change
_FACTORS = (("lora_up.weight",), ("lora_B.weight",), ("lora.up.weight",), ("up.weight",), ("hada_w1_a",),
            ("lokr_w1",), ("lokr_w1_a",), ("diff", "diff_b"), ("w_norm", "b_norm"), ("a1.weight", "b2.weight"))
_IA3 = "on_input"
_NOT_LINEAR = {"dora_scale": "DoRA", "lora_magnitude_vector": "DoRA", "lora_magnitude_vector.weight": "DoRA",
               "oft_blocks": "OFT", "oft_diag": "OFT"}


def bake(file: LoraFile, weights: Mapping[str, float]) -> dict[str, Tensor]:
    """``file``'s tensors with ``weights`` applied; layers of weight 0 are dropped, those in no block are unchanged.

    Raises ``CheckpointError`` if a layer cannot be scaled: DoRA and OFT transform weights instead of adding to them;
    they can only be baked with weights of 0 and 1.
    """
    layers: dict[str, dict[str, Tensor]] = {}
    for name, tensor in file.tensors.items():
        layer, rest = layer_and_tensor(name)
        layers.setdefault(layer, {})[rest] = tensor
    baked: dict[str, Tensor] = {}
    for layer, tensors in layers.items():
        block = block_of(layer)
        weight = 1.0 if block is None else weights[block]
        if weight == 0:
            continue
        scaled = tensors if weight == 1 else _scaled(file, layer, tensors, weight)
        baked |= {f"{layer}.{rest}" if rest else layer: tensor for rest, tensor in scaled.items()}
    if not baked:
        raise CheckpointError(f"Nothing of {file.path.name} is left with these weights. Give some block more than 0.")
    return baked


def baked_metadata(file: LoraFile, weights: Mapping[str, float], name: str) -> dict[str, str]:
    """The metadata of the copy: the original's, its new name, and what was baked in."""
    metadata = {key: value for key, value in file.metadata.items() if not key.startswith(("sshs_", "modelspec.hash"))}
    said = listed(weights, blocks_of_keys(file.tensors, file.metadata).full)
    metadata |= {"ss_output_name": name, "modelspec.title": name, "train_lora_baked_from": file.path.name,
                 "train_lora_baked_blocks": said}
    comment = f"Block weights {said} baked into {file.path.name}."
    given = metadata.get("ss_training_comment", "")
    return metadata | {"ss_training_comment": f"{given} {comment}".strip()}


def _scaled(file: LoraFile, layer: str, tensors: Mapping[str, Tensor], weight: float) -> dict[str, Tensor]:
    kind = next((words for name, words in _NOT_LINEAR.items() if name in tensors), None)
    if kind is not None:
        raise CheckpointError(f"{file.path.name} is a {kind}, whose layers are turned on or off, not made weaker: "
                              f"{layer} cannot have the weight {weight:g}. Use weights of 0 and 1.")
    names = ("weight",) if _IA3 in tensors else next(
        (names for names in _FACTORS if any(name in tensors for name in names)), ())
    if not names:
        raise CheckpointError(f"{layer} in {file.path.name} is of a kind that is not known: {', '.join(tensors)}.")
    return {name: (tensor.float() * weight).to(tensor.dtype) if name in names else tensor
            for name, tensor in tensors.items()}
