"""ΔW of one layer of a LoRA file of any kind, in float32, as far as possible without the base model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import CheckpointError
from ..models.prediction import detect_base
from ..networks.keys import is_unet_key
from ..networks.lora_family import check_fits
from .change import PLAIN, Tensors, change_of, kind_of, misfit, needs_base, scale_of
from .lora_source import Lora
from .places import Places
from .stream import Source, open_source

_NOT_FACTORS = {"dora_scale", "lora_mid.weight", "bias"}


@dataclass(frozen=True)
class Base:
    """The opened checkpoint that some kinds need, and the places of its layers."""

    source: Source
    places: Places

    def weight(self, key: str) -> Tensor:
        """The base weight of the LoRA layer ``key``, float32. Raises ``CheckpointError`` if there is none."""
        place = self.places.find(key)
        if place is None:
            raise CheckpointError(f"{self.source.path.name} has no layer {key}. Choose the checkpoint that the LoRA "
                                  "was trained on.")
        weight = self.source.read(place.weight).float()
        return weight if place.third is None else weight.chunk(3)[place.third]


def open_base(checkpoint: str, loras: Sequence[Lora]) -> Base | None:
    """Open the checkpoint, if given. Raises ``CheckpointError`` if one is required, or it is of another family."""
    needing = next((lora for lora in loras for tensors in lora.layers.values() if needs_base(tensors)), None)
    if not checkpoint:
        if needing is not None:
            kind = next("DoRA" if "dora_scale" in tensors else kind_of(tensors) for tensors in needing.layers.values()
                        if needs_base(tensors))
            raise CheckpointError(f"{needing.path.name} is {kind}, and what it changes depends on the weights of the "
                                  "base model. Give the checkpoint it was trained on: checkpoint=….")
        return None
    source = open_source(Path(checkpoint))
    family, _ = detect_base(source.path, source.shapes, source.metadata)
    for lora in loras:
        check_fits(lora.path.name, lora.file.shapes, lora.file.metadata, source.path.name, family)
    base = Base(source, Places(source.shapes, family))
    for lora in loras:
        wrong = [key for key, tensors in lora.layers.items()
                 if needs_base(tensors) and ((place := base.places.find(key)) is None or misfit(tensors, place.shape))]
        if wrong:
            raise CheckpointError(f"{lora.path.name} does not fit {source.path.name}: {len(wrong)} of its layers are "
                                  f"not there or have other shapes, such as {wrong[0]}. Choose the checkpoint that the "
                                  "LoRA was trained on.")
    return base


@dataclass(frozen=True)
class Summand:
    """ΔW of a layer: two factors if it is low-rank, else the whole matrix.

    ``up`` is (out, r), ``down`` (r, in·k·k), ``whole`` (out, in·k·k); float32. ``kernel`` is that of a convolution,
    empty for a Linear layer.
    """

    kernel: tuple[int, ...]
    up: Tensor | None = None
    down: Tensor | None = None
    whole: Tensor | None = None

    @property
    def dense(self) -> Tensor:
        """ΔW (out, in·k·k)."""
        if self.whole is not None:
            return self.whole
        up, down = self.factors
        return up @ down

    @property
    def factors(self) -> tuple[Tensor, Tensor]:
        """Up and down of a low-rank change."""
        assert self.up is not None and self.down is not None
        return self.up, self.down

    @property
    def low_rank(self) -> bool:
        """Whether it is stored as two factors."""
        return self.whole is None


def is_vector(tensors: Tensors) -> bool:
    """Whether the change is a vector, as for norm layers, which has no rank."""
    return "w_norm" in tensors or ("diff" in tensors and tensors["diff"].ndim < 2)


def matrix_shape(tensors: Tensors, *, spatial: bool) -> tuple[int, int, tuple[int, ...]]:
    """(out, in·k·k) and the kernel of a layer's change; ``spatial``: a flattened kernel is 3x3.

    Raises ``ValueError`` if the tensors alone do not determine it: those of (IA)^3 and OFT.
    """
    kind = kind_of(tensors)
    if kind == PLAIN:
        up = tensors["lora_up.weight" if "lora_up.weight" in tensors else "lora_B.weight"]
        down = tensors["lora_down.weight" if "lora_down.weight" in tensors else "lora_A.weight"]
        kernel = tensors.get("lora_mid.weight", down).shape[2:]
        return up.shape[0], down[0].numel() * (kernel.numel() if "lora_mid.weight" in tensors else 1), tuple(kernel)
    if "diff" in tensors:
        whole = tensors["diff"]
        return whole.shape[0], whole[0].numel(), tuple(whole.shape[2:])
    if "hada_w1_a" in tensors:
        left, right = tensors["hada_w1_a"], tensors["hada_w1_b"]
        if "hada_t1" in tensors:
            kernel = tensors["hada_t1"].shape[2:]
            return left.shape[1], right.shape[1] * kernel.numel(), tuple(kernel)
        out, into = left.shape[0], right[0].numel()
    elif "lokr_w2" in tensors or "lokr_w2_a" in tensors:
        a, b = tensors["lokr_w1"].shape if "lokr_w1" in tensors else (len(tensors["lokr_w1_a"]),
                                                                      tensors["lokr_w1_b"].shape[1])
        if "lokr_w2" in tensors or "lokr_t2" in tensors:
            core = tensors["lokr_w2" if "lokr_w2" in tensors else "lokr_t2"]
            c, d = core.shape[:2] if "lokr_w2" in tensors else (tensors["lokr_w2_a"].shape[1],
                                                                tensors["lokr_w2_b"].shape[1])
            if core.ndim > 2:
                return a * c, b * d * core.shape[2:].numel(), tuple(core.shape[2:])
        else:
            c, d = tensors["lokr_w2_a"].shape[0], tensors["lokr_w2_b"].shape[1]
        out, into = a * c, b * d
    else:
        raise ValueError(kind)
    return out, into, (3, 3) if spatial and into % 9 == 0 else ()


def summand(lora: Lora, key: str, strength: float, base: Base | None) -> Summand:
    """The change of the layer ``key`` of ``lora`` at ``strength``.

    Raises ``CheckpointError`` if its factors do not fit together, or a required base is missing.
    """
    tensors = {name: tensor.float() if tensor.is_floating_point() else tensor
               for name, tensor in lora.layers[key].items()}
    try:
        if needs_base(tensors):
            assert base is not None  # checked by open_base
            weight = base.weight(key)
            change = change_of(tensors, weight, strength, lora.strength.dyn).weight
            return Summand(tuple(weight.shape[2:]), whole=change.flatten(1))
        out, into, kernel = matrix_shape(tensors, spatial=lora.file.facts.layers[key].spatial)
        if kind_of(tensors) == PLAIN and not _NOT_FACTORS & {*tensors}:
            up = tensors["lora_up.weight" if "lora_up.weight" in tensors else "lora_B.weight"].flatten(1)
            down = tensors["lora_down.weight" if "lora_down.weight" in tensors else "lora_A.weight"].flatten(1)
            dyn = lora.strength.dyn
            return Summand(kernel, up[:, :dyn] * (scale_of(tensors) * strength), down[:dyn])
        shape = torch.empty((out, into), device="meta")
        return Summand(kernel, whole=change_of(tensors, shape, strength, lora.strength.dyn).weight)
    except (RuntimeError, ValueError, IndexError) as problem:
        raise CheckpointError(f"{lora.path} is damaged: the tensors of {key} do not fit each other "
                              f"({str(problem).splitlines()[0]}). Download or copy it again.") from problem


def key_strength(lora: Lora, key: str) -> float:
    """The strength of the layer ``key``, by its part and block."""
    return lora.strength.of(key, text_encoder=not is_unet_key(key) and not key.startswith("oft_unet"))
