"""The change that one layer of a LoRA file of any kind makes to a weight, with the webui's arithmetic and dtypes.

Source: AUTOMATIC1111's built-in Lora extension 1.10, network.py and network_*.py, which this follows step by step:
factors of a plain LoRA are multiplied in float32, those of other kinds as they are stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]

PLAIN, LOHA, LOKR, IA3, FULL, NORM, GLORA, OFT = ("LoRA", "LoHa", "LoKr", "(IA)^3", "whole weights", "norm", "GLoRA",
                                                  "OFT")
_NEEDED = (  # in the order in which the webui tries them
    (PLAIN, ("lora_up.weight", "lora_down.weight")), (PLAIN, ("lora_A.weight", "lora_B.weight")),
    (LOHA, ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")), (IA3, ("weight", "on_input")),
    (LOKR, ("lokr_w1", "lokr_w2")), (LOKR, ("lokr_w1_a", "lokr_w1_b", "lokr_w2")),
    (LOKR, ("lokr_w1", "lokr_w2_a", "lokr_w2_b")), (LOKR, ("lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b")),
    (FULL, ("diff",)), (NORM, ("w_norm", "b_norm")), (GLORA, ("a1.weight", "a2.weight", "alpha", "b1.weight",
                                                              "b2.weight")), (OFT, ("oft_blocks",)),
    (OFT, ("oft_diag",)))
_ON_BASE = (IA3, GLORA, OFT)


@dataclass(frozen=True)
class Change:
    """The change of a layer's weight, in the weight's shape, and of its bias, if any."""

    weight: Tensor
    bias: Tensor | None = None


def kind_of(tensors: Tensors) -> str | None:
    """The kind of a layer; ``None`` if the webui does not know it."""
    return next((kind for kind, names in _NEEDED if all(name in tensors for name in names)), None)


def needs_base(tensors: Tensors) -> bool:
    """Whether the change of the layer depends on the base weight."""
    return kind_of(tensors) in _ON_BASE or "dora_scale" in tensors


def rank_of(tensors: Tensors) -> int | None:
    """The rank that alpha is divided by; ``None`` for kinds without one."""
    for name in ("lora_down.weight", "lora_A.weight", "hada_w1_b", "lokr_w2_b", "lokr_w1_b"):
        if name in tensors:
            return int(tensors[name].shape[0])
    return None


def scale_of(tensors: Tensors) -> float:
    """The factor on the product of the matrices."""
    if "scale" in tensors:
        return float(tensors["scale"])
    rank = rank_of(tensors)
    return float(tensors["alpha"]) / rank if rank is not None and "alpha" in tensors else 1.0


@torch.no_grad()
def change_of(tensors: Tensors, weight: Tensor, strength: float = 1.0, dyn: int | None = None) -> Change:
    """The change of ``weight`` at ``strength``; ``dyn`` truncates a plain LoRA to that rank.

    ``weight`` gives the shape, and for some kinds the values (``needs_base``). Raises ``ValueError`` for an unknown
    kind, ``RuntimeError`` if the shapes do not fit.
    """
    kind = kind_of(tensors)
    if kind is None:
        raise ValueError(f"a kind that is not known: {', '.join(tensors)}")
    if kind == PLAIN:
        change = _plain(tensors, dyn)
    elif kind == LOHA:
        change = _loha(tensors)
    elif kind == LOKR:
        change = _lokr(tensors, weight)
    elif kind == IA3:
        scales = tensors["weight"]
        change = weight * (scales if bool(tensors["on_input"]) else scales.reshape(-1, 1))
    elif kind == GLORA:
        change = tensors["b2.weight"] @ tensors["b1.weight"] + (
            weight.to(tensors["a1.weight"].dtype) @ tensors["a2.weight"]) @ tensors["a1.weight"]
    elif kind == OFT:
        return Change((_turned(tensors, weight) - weight).reshape(weight.shape) * strength)
    else:
        change = tensors["diff" if kind == FULL else "w_norm"]
    bias = tensors.get({FULL: "diff_b", NORM: "b_norm"}.get(kind, ""))
    return Change(_finished(change, tensors, weight) * strength, None if bias is None else bias * strength)


def misfit(tensors: Tensors, shape: tuple[int, ...]) -> str | None:
    """Why the layer does not fit a weight of ``shape``, in words; ``None`` if it does. Computes nothing."""
    kept = ("alpha", "scale", "on_input")
    shapes = {name: tensor if name in kept else torch.empty_like(tensor, device="meta")
              for name, tensor in tensors.items()}
    try:
        change = change_of(shapes, torch.empty(shape, device="meta"))
    except (RuntimeError, ValueError, IndexError):
        change = None
    if change is None or tuple(change.weight.shape) != tuple(shape) or (
            change.bias is not None and tuple(change.bias.shape) != tuple(shape[:1])):
        largest = max(tensors.values(), key=lambda tensor: tensor.numel())
        return f"{list(largest.shape)} for a layer of {list(shape)}"
    return None


def _finished(change: Tensor, tensors: Tensors, weight: Tensor) -> Tensor:
    if "bias" in tensors:
        change = change.reshape(tensors["bias"].shape) + tensors["bias"].to(change.dtype)
    change = change.reshape(weight.shape) * scale_of(tensors)
    if "dora_scale" not in tensors:
        return change
    weight = weight.to(change.dtype)
    both = change + weight
    norms = both.transpose(0, 1).reshape(both.shape[1], -1).norm(dim=1, keepdim=True)
    norms = norms.reshape(both.shape[1], *[1] * (both.ndim - 1)).transpose(0, 1)
    return both * (tensors["dora_scale"].to(change.dtype) / norms) - weight


def _plain(tensors: Tensors, dyn: int | None) -> Tensor:
    up = tensors["lora_up.weight" if "lora_up.weight" in tensors else "lora_B.weight"].float().flatten(1)
    down = tensors["lora_down.weight" if "lora_down.weight" in tensors else "lora_A.weight"].float().flatten(1)
    if "lora_mid.weight" in tensors:
        return torch.einsum("n m k l, i n, m j -> i j k l", tensors["lora_mid.weight"].float(), up, down)
    return up[:, :dyn] @ down[:dyn]


def _tucker(core: Tensor, left: Tensor, right: Tensor) -> Tensor:
    return torch.einsum("i j k l, i r -> r j k l", torch.einsum("i j k l, j r -> i r k l", core, right), left)


def _loha(tensors: Tensors) -> Tensor:
    halves = [_tucker(tensors[f"hada_t{number}"], tensors[f"hada_w{number}_a"], tensors[f"hada_w{number}_b"])
              if f"hada_t{number}" in tensors else
              tensors[f"hada_w{number}_a"].flatten(1) @ tensors[f"hada_w{number}_b"].flatten(1) for number in (1, 2)]
    return halves[0] * halves[1].reshape(halves[0].shape)


def _lokr(tensors: Tensors, weight: Tensor) -> Tensor:
    small = tensors["lokr_w1"] if "lokr_w1" in tensors else tensors["lokr_w1_a"] @ tensors["lokr_w1_b"]
    if "lokr_w2" in tensors:
        large = tensors["lokr_w2"]
    elif "lokr_t2" in tensors:
        large = _tucker(tensors["lokr_t2"], tensors["lokr_w2_a"], tensors["lokr_w2_b"])
    else:
        large = tensors["lokr_w2_a"] @ tensors["lokr_w2_b"]
    if large.ndim == 4:
        small = small[:, :, None, None]
    return torch.kron(small, large.contiguous()).reshape(weight.shape)


def _turned(tensors: Tensors, weight: Tensor) -> Tensor:
    """The weight rotated by OFT or BOFT; newer files store the rotations' parameters, older ones the rotations."""
    out = len(weight)
    if "oft_blocks" not in tensors:
        blocks = tensors["oft_diag"]
        return _in_blocks(blocks, weight, out // blocks.shape[1])
    blocks = _rotations(tensors, out)
    turned = _butterfly(blocks, weight) if blocks.ndim == 4 else _in_blocks(blocks, weight, len(blocks))
    if "rescale" in tensors:
        turned = tensors["rescale"].reshape(-1, *[1] * (weight.ndim - 1)).to(turned) * turned
    return turned


def _rotations(tensors: Tensors, out: int) -> Tensor:
    blocks = tensors["oft_blocks"]
    skew = blocks - blocks.transpose(-1, -2)
    limit = float(tensors["alpha"]) * out if "alpha" in tensors else 0.0
    if limit:
        norm = skew.flatten().norm()
        skew = skew * ((norm.clamp(max=limit) + 1e-8) / (norm + 1e-8))
    eye = torch.eye(blocks.shape[-1], device=blocks.device)
    return (eye + skew) @ (eye - skew).float().inverse()


def _in_blocks(blocks: Tensor, weight: Tensor, count: int) -> Tensor:
    parts = weight.reshape(count, -1, *weight.shape[1:])
    return torch.einsum("k n m, k n ... -> k m ...", blocks, parts).reshape(weight.shape)


def _butterfly(blocks: Tensor, weight: Tensor) -> Tensor:
    """BOFT, Liu et al. 2023 (arXiv:2311.06243): each factor rotates rows that are 2ⁱ · half a block apart."""
    rows = torch.arange(len(weight))
    size = blocks.shape[2]
    turned = weight
    for number, factor in enumerate(blocks):
        near = 2 ** number * (size // 2)
        order = rows.reshape(-1, 2, near).transpose(1, 2).reshape(-1)  # (c g k) as (c k g), with g of 2
        parts = turned[order].reshape(-1, size, *weight.shape[1:])
        parts = torch.einsum("b i j, b j ... -> b i ...", factor, parts).reshape(weight.shape)
        turned = torch.empty_like(parts)
        turned[order] = parts
    return turned
