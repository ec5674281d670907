"""Finds where in a checkpoint the webui applies a layer of a LoRA file, from the names alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..models.family import UNET, Family

Shapes = Mapping[str, tuple[int, ...]]

_THIRDS = ("q_proj", "k_proj", "v_proj")
_IN_RESNET = {"conv1": "in_layers_2", "conv2": "out_layers_3", "norm1": "in_layers_0", "norm2": "out_layers_0",
              "time_emb_proj": "emb_layers_1", "conv_shortcut": "skip_connection"}
_LAYERS = 3  # of one level: down (two layers and the downsampler) and up
_LEVEL = re.compile(r"lora_unet_(down|up)_blocks_(\d+)_(attentions|resnets)_(\d+)_(.+)")
_MIDDLE = re.compile(r"lora_unet_mid_block_(attentions|resnets)_(\d+)_(.+)")
_SAMPLER = re.compile(r"lora_unet_(down|up)_blocks_(\d+)_(?:down|up)samplers_0_conv")
_TIME = re.compile(r"lora_unet_time_embedding_linear_(\d+)(.*)")
_ENDS = {"lora_unet_conv_in": "input_blocks_0_0", "lora_unet_conv_out": "out_2"}
_TEXT = re.compile(r"lora_te2?_text_model_encoder_layers_(\d+)_(.+)")
_UNET_LAYER = "diffusion_model_"


@dataclass(frozen=True)
class Place:
    """A layer of a checkpoint: names of its weight and bias; ``third`` selects the rows of q, k or v in a fused
    matrix.

    ``layer`` is the webui's name for it; ``text_encoder`` selects the strength. ``bias`` is ``None`` if the layer has
    none.
    """

    layer: str
    weight: str
    bias: str | None
    shape: tuple[int, ...]
    third: int | None = None

    @property
    def text_encoder(self) -> bool:
        """Whether the text encoder's strength applies, by the webui's rule."""
        return "transformer" in self.layer[:20]

    @property
    def attention(self) -> str | None:
        """The attention layer, if it is one of four matrices that are applied together; else ``None``."""
        match = re.fullmatch(r"((?:1_)?model_transformer_resblocks_\d+_attn)_(?:[qkv]|out)_proj", self.layer)
        return match[1] if match else None


class Places:
    """The layers of one checkpoint by the webui's names."""

    def __init__(self, shapes: Shapes, family: Family) -> None:
        self._open_clip = len(family.text_encoders) == 1 and family.text_encoders[0].open_clip
        self._places: dict[str, Place] = {}
        for name, shape in shapes.items():
            if name.startswith(UNET) and name.endswith(".weight"):
                path = name[len(UNET):-len(".weight")]
                self._add(_UNET_LAYER + path.replace(".", "_"), name, shape, shapes)
        for number, kind in enumerate(family.text_encoders):
            before = f"{number}_" if len(family.text_encoders) > 1 else ""
            for name, shape in shapes.items():
                if name.startswith(kind.prefix):
                    self._add_text(before, name, name[len(kind.prefix):], shape, shapes, open_clip=kind.open_clip)

    def find(self, key: str) -> Place | None:
        """The place of the LoRA layer ``key``, such as ``lora_unet_mid_block_attentions_0_proj_in``."""
        return next((self._places[name] for name in _names_of(key, open_clip=self._open_clip)
                     if name in self._places), None)

    def _add(self, layer: str, weight: str, shape: tuple[int, ...], shapes: Shapes, third: int | None = None) -> None:
        bias: str | None = weight.removesuffix("weight") + "bias"
        if bias not in shapes or third is not None:  # the webui does not change the bias of fused q, k and v
            bias = None
        self._places[layer] = Place(layer, weight, bias, shape, third)

    def _add_text(self, before: str, name: str, path: str, shape: tuple[int, ...], shapes: Shapes, *,
                  open_clip: bool) -> None:
        if open_clip and path.endswith(".attn.in_proj_weight"):
            attention = f"{before}model_{path.removesuffix('.in_proj_weight').replace('.', '_')}"
            for third, end in enumerate(_THIRDS):
                self._add(f"{attention}_{end}", name, (shape[0] // 3, *shape[1:]), shapes, third)
        elif path.endswith(".weight"):
            if not open_clip and not path.startswith("text_model."):  # names in older files
                path = f"text_model.{path}"
            kind = "model" if open_clip else "transformer"
            self._add(f"{before}{kind}_{path.removesuffix('.weight').replace('.', '_')}", name, shape, shapes)


def layer_name(key: str) -> str:
    """A single name for the LoRA layer ``key``, in diffusers or original naming."""
    return _from_diffusers(key, open_clip=False) or _names_of(key, open_clip=False)[-1]


def _names_of(key: str, *, open_clip: bool) -> list[str]:
    """The webui's names for the LoRA layer ``key``, in the order in which it tries them.

    ``open_clip``: whether the only text encoder is OpenCLIP's (SD 2.x).
    """
    names = [_from_diffusers(key, open_clip=open_clip) or key]
    if "lora_unet" in key:
        names.append(key.replace("lora_unet_", _UNET_LAYER))
    elif "lora_te1_text_model" in key:
        names += [key.replace("lora_te1_text_model", before + "transformer_text_model") for before in ("0_", "")]
    elif "oft_unet" in key:
        names.append(key.replace("oft_unet_", _UNET_LAYER))
    return names


def _from_diffusers(key: str, *, open_clip: bool) -> str | None:
    if match := _LEVEL.match(key):
        side, level, kind, number, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
        block = f"input_blocks_{1 + level * _LAYERS + number}" if side == "down" else \
            f"output_blocks_{level * _LAYERS + number}"
        return f"{_UNET_LAYER}{block}_1_{rest}" if kind == "attentions" else _resnet(f"{block}_0", rest)
    if match := _MIDDLE.match(key):
        kind, number, rest = match[1], int(match[2]), match[3]
        return f"{_UNET_LAYER}middle_block_1_{rest}" if kind == "attentions" else _resnet(f"middle_block_{2 * number}",
                                                                                         rest)
    if match := _SAMPLER.fullmatch(key):
        level = int(match[2])
        if match[1] == "down":
            return f"{_UNET_LAYER}input_blocks_{_LAYERS * (level + 1)}_0_op"
        return f"{_UNET_LAYER}output_blocks_{_LAYERS * level + 2}_{2 if level else 1}_conv"
    if match := _TIME.fullmatch(key):
        return f"{_UNET_LAYER}time_embed_{int(match[1]) * 2 - 2}{match[2]}"
    if key in _ENDS:
        return _UNET_LAYER + _ENDS[key]
    return _text_layer(key, open_clip=open_clip)


def _text_layer(key: str, *, open_clip: bool) -> str | None:
    match = _TEXT.match(key)
    if match is None:
        return None
    second = key.startswith("lora_te2_")
    if not (second or open_clip):
        return f"transformer_text_model_encoder_layers_{match[1]}_{match[2]}"
    rest = match[2].replace("mlp_fc1", "mlp_c_fc").replace("mlp_fc2", "mlp_c_proj").replace("self_attn", "attn")
    return f"{'1_' if second else ''}model_transformer_resblocks_{match[1]}_{rest}"


def _resnet(block: str, layer: str) -> str:
    return f"{_UNET_LAYER}{block}_{_IN_RESNET.get(layer, layer)}"
