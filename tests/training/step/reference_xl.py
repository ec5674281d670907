"""What SD 2.x and SDXL read of a caption, and their LoRAs, in plain PyTorch on the tensors of the file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.models.tiny_families import CLIP_L, OPEN_CLIP_SD2, OPEN_CLIP_XL, SIZE_WIDTH
from tests.training.step.reference import TEXT, UNET, sinusoids, text_states, weight_name

State = Mapping[str, Tensor]
_IN_LAYER = {"self_attn_out_proj": "attn.out_proj.weight", "mlp_fc1": "mlp.c_fc.weight", "mlp_fc2": "mlp.c_proj.weight"}


def open_clip(state: State, prefix: str, tokens: Tensor) -> list[Tensor]:
    """OpenCLIP's text transformer (Radford et al. 2021, pre-norm, causal): the states before and after each layer."""
    own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    x = own["token_embedding.weight"][tokens] + own["positional_embedding"]
    width, length = x.shape[-1], tokens.shape[1]
    mask = torch.full((length, length), float("-inf")).triu(1)
    states = [x]
    for layer in range(sum(key.endswith("ln_1.weight") for key in own)):
        at = f"transformer.resblocks.{layer}"
        attention = nn.MultiheadAttention(width, width // 64, batch_first=True)
        names = {f"{at}.attn.{name}": name for name in attention.state_dict()}
        h = F.layer_norm(x, (width,), own[f"{at}.ln_1.weight"], own[f"{at}.ln_1.bias"])
        weights = {short: own[long] for long, short in names.items()}
        x = x + torch.func.functional_call(attention, weights, (h, h, h), {"attn_mask": mask, "need_weights": False})[0]
        h = F.layer_norm(x, (width,), own[f"{at}.ln_2.weight"], own[f"{at}.ln_2.bias"])
        h = F.gelu(F.linear(h, own[f"{at}.mlp.c_fc.weight"], own[f"{at}.mlp.c_fc.bias"]))
        x = x + F.linear(h, own[f"{at}.mlp.c_proj.weight"], own[f"{at}.mlp.c_proj.bias"])
        states.append(x)
    return states


def final_norm(state: State, prefix: str, x: Tensor) -> Tensor:
    """OpenCLIP's last norm."""
    return F.layer_norm(x, x.shape[-1:], state[f"{prefix}ln_final.weight"], state[f"{prefix}ln_final.bias"])


def sd2_states(state: State, tokens: Tensor) -> Tensor:
    """The last layer but one with the final norm (v2-inference.yaml: penultimate); (B, 77) to (B, 77, C)."""
    return final_norm(state, OPEN_CLIP_SD2, open_clip(state, OPEN_CLIP_SD2, tokens)[-2])


def sdxl_states(state: State, tokens_l: Tensor, tokens_g: Tensor) -> tuple[Tensor, Tensor]:
    """Both encoders' last layer but one side by side, without norm; and the second's projected end token."""
    as_sd1 = {key.replace(CLIP_L, TEXT.removesuffix("text_model.")): value for key, value in state.items()
              if key.startswith(CLIP_L)}
    width = as_sd1[f"{TEXT}final_layer_norm.weight"].shape[0]
    as_sd1[f"{TEXT}final_layer_norm.weight"] = torch.ones(width)
    first = _without_norm(as_sd1, tokens_l)
    second = open_clip(state, OPEN_CLIP_XL, tokens_g)
    end = final_norm(state, OPEN_CLIP_XL, second[-1])[torch.arange(len(tokens_g)), tokens_g.argmax(dim=-1)]
    return torch.cat([first, second[-2]], dim=-1), end @ state[f"{OPEN_CLIP_XL}text_projection"]


def _without_norm(state: State, tokens: Tensor) -> Tensor:
    """CLIP-L's last layer but one before the final norm, which ``text_states`` always applies."""
    caught = []
    original = F.layer_norm

    def catching(x: Tensor, *rest: object) -> Tensor:
        caught.append(x)
        return original(x, *rest)  # type: ignore[arg-type]

    F.layer_norm = catching  # type: ignore[assignment]
    try:
        text_states(state, tokens, clip_skip=2)
    finally:
        F.layer_norm = original
    return caught[-1]


def sdxl_vector(pooled: Tensor, sizes: Sequence[Sequence[int]]) -> Tensor:
    """Pooled text and the six numbers (height, width, top, left, height, width), each as sinusoids: (B, V)."""
    rows = torch.tensor(sizes)
    return torch.cat([pooled, *(sinusoids(rows[:, n], SIZE_WIDTH) for n in range(6))], dim=1)


def with_lora(state: State, lora: State) -> dict[str, Tensor]:
    """``state`` with alpha / dim · up · down added wherever ``lora`` (as in its file) has a module; all have to fit."""
    merged = dict(state)
    by_name = {key.removesuffix(".weight").replace(".", "_"): key for key in state if key.endswith(".weight")}
    for key in {name.split(".")[0] for name in lora}:
        down, up = lora[f"{key}.lora_down.weight"], lora[f"{key}.lora_up.weight"]
        change = float(lora[f"{key}.alpha"]) / down.shape[0] * (up.flatten(1) @ down.flatten(1))
        match = re.fullmatch(r"lora_te2?_text_model_encoder_layers_(\d+)_(\w+)", key)
        if match:
            prefix = OPEN_CLIP_XL if key.startswith("lora_te2") else OPEN_CLIP_SD2
            at = f"{prefix}transformer.resblocks.{match[1]}."
            third = re.fullmatch(r"self_attn_([qkv])_proj", match[2])
            name = f"{at}attn.in_proj_weight" if third else at + _IN_LAYER[match[2]]
            rows = torch.zeros_like(state[name])
            first = "qkv".index(third[1]) * len(change) if third else 0
            place = torch.arange(first, first + len(change))
            merged[name] = merged[name] + rows.index_add(0, place, change)
        elif re.match("lora_unet_(down|mid|up)_", key):
            merged[weight_name(key)] = merged[weight_name(key)] + change.view(state[weight_name(key)].shape)
        else:
            renamed = key.replace("lora_unet", UNET.removesuffix(".").replace(".", "_"))
            renamed = renamed.replace("lora_te1", CLIP_L.removesuffix(".").replace(".", "_"))
            name = by_name[renamed]
            merged[name] = merged[name] + change.view(state[name].shape)
    return merged
