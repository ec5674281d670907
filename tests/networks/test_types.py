"""Every type of network against its published definition, written out here a second time."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lib_lora_train.config.groups.network import (
    C3LIER,
    DYLORA,
    IA3,
    LIERLA,
    LOCON,
    LOHA,
    LOKR,
    NetworkSettings,
)
from lib_lora_train.networks.create import create_network
from lib_lora_train.networks.keys import TEXT_ENCODER_PREFIX, UNET_PREFIX, lora_key
from lib_lora_train.networks.network import Network
from lib_lora_train.networks.save import save_network
from tests.figures import FULL

VARIANTS = {
    "LierLa": NetworkSettings(LIERLA, 4, 2.0),
    "LierLa DoRA": NetworkSettings(LIERLA, 4, 2.0, dora_wd=True),
    "C3Lier": NetworkSettings(C3LIER, 4, 2.0, conv_dim=2, conv_alpha=1.5),
    "C3Lier DoRA rs": NetworkSettings(C3LIER, 4, 2.0, dora_wd=True, rs_lora=True),
    "LoCon": NetworkSettings(LOCON, 4, 2.0, rs_lora=True),
    "LoHa": NetworkSettings(LOHA, 4, 2.0, conv_dim=2, rs_lora=True),
    "LoHa DoRA": NetworkSettings(LOHA, 4, 2.0, dora_wd=True),
    "LoKR": NetworkSettings(LOKR, 2, 1.0),
    "LoKR decomposed": NetworkSettings(LOKR, 1, 0.5, decompose_both=True, rs_lora=True),
    "LoKR factor 4": NetworkSettings(LOKR, 4, 2.0, lokr_factor=4, dora_wd=True),
    "LoKR whole": NetworkSettings(LOKR, 64, 32.0, lokr_factor=4, rs_lora=True),
    "(IA)^3": NetworkSettings(IA3),
    "DyLoRA": NetworkSettings(DYLORA, 4, 2.0, dylora_unit=2, rs_lora=True),
}

KINDS = VARIANTS if FULL else {name: settings for name, settings in VARIANTS.items()
                               if name not in ("LierLa DoRA", "C3Lier", "LoHa", "LoKR")}
"""Each type of network and every kind of tensor, but not all that they are combined with."""


def made(base, settings: NetworkSettings, seed: int = 1) -> Network:
    return create_network(settings, base.unet, base.text_encoder, seed)


def trained(network: Network) -> Network:
    """Every value moved, as training would."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return network


@torch.no_grad()
def answers(base) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(0, 49408, (1, 77), generator=generator)
    states = base.text_encoder(ids).last_hidden_state
    return [states, base.unet(torch.randn(1, 4, 16, 8, generator=generator), torch.tensor([500]), states).sample]


def published(tensors: dict[str, Tensor], weight: Tensor) -> Tensor:
    """The layer's new weight from one module of a file, by the papers' definitions and the webui's rule for alpha."""
    t = tensors
    if "on_input" in t:  # (IA)^3: learned factors on keys, values and the inner activations of the MLP
        return weight * (1 + (t["weight"][None, :] if bool(t["on_input"]) else t["weight"][:, None]))
    if "lora_up.weight" in t:
        rank = t["lora_down.weight"].shape[0]
        change = torch.einsum("or,ri->oi", t["lora_up.weight"].flatten(1), t["lora_down.weight"].flatten(1))
    elif "hada_w1_a" in t:
        rank = t["hada_w1_b"].shape[0]
        change = (t["hada_w1_a"] @ t["hada_w1_b"]) * (t["hada_w2_a"] @ t["hada_w2_b"])
    else:
        parts, rank = [], None
        for name in ("lokr_w1", "lokr_w2"):
            if name in t:
                parts.append(t[name].flatten(2) if t[name].ndim == 4 else t[name])
            else:
                rank = t[name + "_b"].shape[0]
                parts.append(t[name + "_a"] @ t[name + "_b"])
        small, large = parts
        if large.ndim == 2:
            change = torch.einsum("ac,bd->abcd", small, large).reshape(len(small) * len(large), -1)
        else:  # a whole kernel
            change = torch.einsum("ac,bdk->abcdk", small, large).reshape(len(small) * len(large), -1)
    scale = 1.0 if rank is None else float(t["alpha"]) / rank
    changed = weight + scale * change.reshape(weight.shape)
    if "dora_scale" in t:  # the norm over everything that belongs to one input
        others = [axis for axis in range(weight.ndim) if axis != 1]
        changed = changed / changed.square().sum(others, keepdim=True).sqrt() * t["dora_scale"]
    return changed


def merge_by_definition(file: dict[str, Tensor], root: nn.Module, prefix: str) -> int:
    """Change the weights of ``root`` as ``file`` says; returns how many."""
    by_module: dict[str, dict[str, Tensor]] = {}
    for key, tensor in file.items():
        module, _, name = key.partition(".")
        by_module.setdefault(module, {})[name] = tensor.float()
    layers = {lora_key(prefix, path): layer for path, layer in root.named_modules() if hasattr(layer, "weight")}
    merged = [key for key in by_module if key.startswith(prefix + "_")]
    for key in merged:
        layers[key].weight = nn.Parameter(published(by_module[key], layers[key].weight.detach()), requires_grad=False)
    return len(merged)


@pytest.mark.parametrize("name", VARIANTS)
def test_nothing_changes_at_first_and_the_saved_file_does_what_training_did(name, micro_base, tmp_path):
    settings = VARIANTS[name]
    before = answers(micro_base)
    network = made(micro_base, settings)
    for one, other in zip(before, answers(micro_base), strict=True):
        assert (one - other).abs().max() <= (1e-6 if settings.dora_wd else 0)
    trained(network)
    live = answers(micro_base)
    assert all((one - other).abs().max() > 1e-3 for one, other in zip(before, live, strict=True))

    save_network(tmp_path / "one.safetensors", network, "float", {})
    network.detach()
    again = made(micro_base, settings, seed=9)
    again.load_state_dict(load_file(tmp_path / "one.safetensors"))
    assert all(torch.equal(one, other) for one, other in zip(live, answers(micro_base), strict=True))
    save_network(tmp_path / "two.safetensors", again, "float", {})
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    again.detach()

    file = load_file(tmp_path / "one.safetensors")
    assert merge_by_definition(file, micro_base.unet, UNET_PREFIX) == len(network.unet_keys)
    assert merge_by_definition(file, micro_base.text_encoder, TEXT_ENCODER_PREFIX) == len(network.text_encoder_keys)
    for one, other in zip(live, answers(micro_base), strict=True):
        assert (one - other).abs().max() <= 1e-5
