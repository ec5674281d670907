"""Stable Diffusion and its LoRAs once more, in plain PyTorch on the tensors of the file as they are named there.

Written from the papers and the layout of the file alone, to check the worker against: no diffusers, no transformers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

State = Mapping[str, Tensor]
UNET, TEXT = "model.diffusion_model.", "cond_stage_model.transformer.text_model."
HEADS = 8


def with_lora(state: State, lora: State) -> dict[str, Tensor]:
    """``state`` with weight + alpha / dim · up · down wherever ``lora`` (as in its file) has a module."""
    merged = dict(state)
    for key in {name.split(".")[0] for name in lora}:
        down, up = lora[f"{key}.lora_down.weight"], lora[f"{key}.lora_up.weight"]
        weight = weight_name(key)
        change = float(lora[f"{key}.alpha"]) / down.shape[0] * (up.flatten(1) @ down.flatten(1))
        merged[weight] = state[weight] + change.view(state[weight].shape)
    return merged


def weight_name(key: str) -> str:
    """Where the layer that a LoRA key names stands in the checkpoint."""
    if key.startswith("lora_te_text_model_"):
        match = re.fullmatch(r"lora_te_text_model_encoder_layers_(\d+)_(self_attn|mlp)_(\w+)", key)
        return f"{TEXT}encoder.layers.{match[1]}.{match[2]}.{match[3]}.weight"
    match = re.fullmatch(r"lora_unet_(down|mid|up)_blocks?_(?:(\d)_)?attentions_(\d)_(\w+)", key)
    part, block, layer, rest = match.groups()
    place = {"down": lambda: f"input_blocks.{3 * int(block) + int(layer) + 1}", "mid": lambda: "middle_block",
             "up": lambda: f"output_blocks.{3 * int(block) + int(layer)}"}[part]()
    rest = re.sub(r"transformer_blocks_(\d+)_", r"transformer_blocks.\1.", rest)
    rest = re.sub(r"(attn\d)_(to_[qkv])$", r"\1.\2", rest).replace("_to_out_0", ".to_out.0")
    rest = rest.replace("ff_net_0_proj", "ff.net.0.proj").replace("ff_net_2", "ff.net.2")
    return f"{UNET}{place}.1.{rest}.weight"


def text_states(state: State, tokens: Tensor, clip_skip: int = 1) -> Tensor:
    """CLIP's text transformer (Radford et al. 2021): (B, 77) to (B, 77, C), ``clip_skip`` layers from the end."""
    def linear(name: str, x: Tensor) -> Tensor:
        return F.linear(x, state[f"{TEXT}{name}.weight"], state[f"{TEXT}{name}.bias"])

    def norm(name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], state[f"{TEXT}{name}.weight"], state[f"{TEXT}{name}.bias"], 1e-5)

    length = tokens.shape[1]
    x = state[f"{TEXT}embeddings.token_embedding.weight"][tokens]
    x = x + state[f"{TEXT}embeddings.position_embedding.weight"][:length]
    layers = sum(name.endswith("layer_norm1.weight") for name in state)
    mask = torch.full((length, length), -math.inf).triu(1)
    for layer in range(layers - clip_skip + 1):
        at = f"encoder.layers.{layer}"
        h = norm(f"{at}.layer_norm1", x)
        q, k, v = (linear(f"{at}.self_attn.{name}_proj", h) for name in "qkv")
        x = x + linear(f"{at}.self_attn.out_proj", attention(q, k, v, max(1, x.shape[-1] // 64), mask))
        h = linear(f"{at}.mlp.fc1", norm(f"{at}.layer_norm2", x))
        x = x + linear(f"{at}.mlp.fc2", h * torch.sigmoid(1.702 * h))
    return norm("final_layer_norm", x)


def attention(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | float = 0.0) -> Tensor:
    """softmax(q kᵀ / √d) v with ``heads`` heads (Vaswani et al. 2017, eq. 1)."""
    def split(x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)

    q, k, v = split(q), split(k), split(v)
    weights = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask).softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2)


def sinusoids(numbers: Tensor, width: int) -> Tensor:
    """Cosines, then sines, of ``numbers`` (B,) at ``width`` / 2 frequencies from 1 to 1/10000 (ADM's embedding)."""
    frequencies = torch.exp(-math.log(10000) * torch.arange(width // 2) / (width // 2))
    angles = numbers[:, None].float() * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class UNet:
    """The denoising UNet of Rombach et al. 2022 (v1-inference), block by block as the file numbers them.

    ``head_width`` is given for SD 2.x and SDXL, where the number of heads follows from it.
    """

    def __init__(self, state: State, head_width: int | None = None) -> None:
        self.state = {key.removeprefix(UNET): value for key, value in state.items() if key.startswith(UNET)}
        self.head_width = head_width

    def __call__(self, x: Tensor, timesteps: Tensor, context: Tensor, vector: Tensor | None = None) -> Tensor:
        """Noisy latents (B, 4, h, w), timesteps (B,), text states (B, n, C) to the prediction (B, 4, h, w).

        ``vector`` (B, V) is what SDXL is told beside them: pooled text and sizes.
        """
        emb = self.linear("time_embed.0", sinusoids(timesteps, self.state["time_embed.0.weight"].shape[1]))
        emb = self.linear("time_embed.2", F.silu(emb))
        if vector is not None:
            emb = emb + self.linear("label_emb.0.2", F.silu(self.linear("label_emb.0.0", vector)))
        kept = []
        for number in range(self.count("input_blocks")):
            x = self.block(f"input_blocks.{number}", x, emb, context)
            kept.append(x)
        x = self.block("middle_block", x, emb, context)
        for number in range(self.count("output_blocks")):
            x = self.block(f"output_blocks.{number}", torch.cat([x, kept.pop()], dim=1), emb, context)
        return self.conv("out.2", F.silu(self.group_norm("out.0", x, 1e-5)))

    def count(self, blocks: str) -> int:
        return 1 + max(int(key.split(".")[1]) for key in self.state if key.startswith(f"{blocks}."))

    def block(self, name: str, x: Tensor, emb: Tensor, context: Tensor) -> Tensor:
        for part in range(3):
            at = f"{name}.{part}"
            if f"{at}.in_layers.0.weight" in self.state:
                x = self.residual(at, x, emb)
            elif f"{at}.proj_in.weight" in self.state:
                x = self.transformer(at, x, context)
            elif f"{at}.op.weight" in self.state:
                x = self.conv(f"{at}.op", x, stride=2)
            elif f"{at}.conv.weight" in self.state:
                x = self.conv(f"{at}.conv", F.interpolate(x, scale_factor=2.0, mode="nearest"))
            elif f"{at}.weight" in self.state:
                x = self.conv(at, x)
        return x

    def residual(self, at: str, x: Tensor, emb: Tensor) -> Tensor:
        h = self.conv(f"{at}.in_layers.2", F.silu(self.group_norm(f"{at}.in_layers.0", x, 1e-5)))
        h = h + self.linear(f"{at}.emb_layers.1", F.silu(emb))[:, :, None, None]
        h = self.conv(f"{at}.out_layers.3", F.silu(self.group_norm(f"{at}.out_layers.0", h, 1e-5)))
        return h + (self.conv(f"{at}.skip_connection", x) if f"{at}.skip_connection.weight" in self.state else x)

    def transformer(self, at: str, x: Tensor, context: Tensor) -> Tensor:
        height, width = x.shape[2:]
        linear = self.state[f"{at}.proj_in.weight"].ndim == 2
        h = self.group_norm(f"{at}.norm", x, 1e-6)
        h = h.flatten(2).transpose(1, 2) if linear else self.conv(f"{at}.proj_in", h).flatten(2).transpose(1, 2)
        h = self.linear(f"{at}.proj_in", h) if linear else h
        number = 0
        while f"{at}.transformer_blocks.{number}.norm1.weight" in self.state:
            h = self.inner(f"{at}.transformer_blocks.{number}", h, context)
            number += 1
        h = self.linear(f"{at}.proj_out", h) if linear else h
        h = h.transpose(1, 2).unflatten(2, (height, width))
        return x + (h if linear else self.conv(f"{at}.proj_out", h))

    def inner(self, at: str, h: Tensor, context: Tensor) -> Tensor:
        normed = self.layer_norm(f"{at}.norm1", h)
        h = h + self.attend(f"{at}.attn1", normed, normed)
        h = h + self.attend(f"{at}.attn2", self.layer_norm(f"{at}.norm2", h), context)
        wide, gate = self.linear(f"{at}.ff.net.0.proj", self.layer_norm(f"{at}.norm3", h)).chunk(2, dim=-1)
        return h + self.linear(f"{at}.ff.net.2", wide * F.gelu(gate))

    def attend(self, at: str, x: Tensor, context: Tensor) -> Tensor:
        q, k, v = self.linear(f"{at}.to_q", x), self.linear(f"{at}.to_k", context), self.linear(f"{at}.to_v", context)
        return self.linear(f"{at}.to_out.0",
                           attention(q, k, v, q.shape[-1] // self.head_width if self.head_width else HEADS))

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"))

    def conv(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = self.state[f"{name}.weight"]
        return F.conv2d(x, weight, self.state.get(f"{name}.bias"), stride, padding=weight.shape[-1] // 2)

    def group_norm(self, name: str, x: Tensor, eps: float) -> Tensor:
        return F.group_norm(x, 32, self.state[f"{name}.weight"], self.state[f"{name}.bias"], eps)

    def layer_norm(self, name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.state[f"{name}.weight"], self.state[f"{name}.bias"], 1e-5)
