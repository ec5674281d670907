"""Which layers each type of network has, each of them against the published definition."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lib_lora_train.config.groups.network import C3LIER, IA3, LIERLA, LOCON, NetworkSettings
from tests.networks.test_types import KINDS, VARIANTS, made, published, trained


@pytest.mark.parametrize("name", KINDS)
def test_every_layer_takes_part_on_its_own(name, micro_base):
    """Each Linear and convolution of the UNet and of the text encoder, by its own weight."""
    network = trained(made(micro_base, VARIANTS[name]))
    state = network.state_dict()
    kinds = set()
    for key in (*network.unet_keys, *network.text_encoder_keys):
        module, layer = network.lora(key), network.lora(key).layer
        tensors = {entry.partition(".")[2]: tensor for entry, tensor in state.items() if entry.startswith(key + ".")}
        wanted = published(tensors, layer.weight)
        torch.testing.assert_close(layer.weight + module.weight_change(), wanted, atol=1e-5, rtol=0, msg=key)
        assert (wanted - layer.weight).abs().max() > 1e-5, key
        spatial = getattr(layer, "kernel_size", ()) == (3, 3)
        kinds.add((key.startswith("lora_te"), isinstance(layer, nn.Conv2d), spatial))
    convolutions = {(False, True, False), (False, True, True)}
    linear = {(True, False, False), (False, False, False)}
    expected = {IA3: linear, LIERLA: linear | {(False, True, False)}}
    assert kinds == expected.get(VARIANTS[name].network_type, linear | convolutions)


def test_the_dims_are_those_of_the_kind_of_layer(micro_base):
    network = made(micro_base, NetworkSettings(C3LIER, 8, 4.0, conv_dim=2, conv_alpha=1.0))
    unet = network.unet_modules
    names = ("conv1", "time_emb_proj", "conv_shortcut")
    at = {name: unet[f"lora_unet_down_blocks_1_resnets_0_{name}"] for name in names}
    assert {name: (module.dim, float(module.alpha)) for name, module in at.items()} == {
        "conv1": (2, 1.0), "time_emb_proj": (8, 4.0), "conv_shortcut": (8, 4.0)}
    assert "lora_unet_down_blocks_0_downsamplers_0_conv" in unet and "lora_unet_up_blocks_0_upsamplers_0_conv" in unet
    assert "lora_unet_conv_in" not in unet
    network.detach()
    assert "lora_unet_conv_in" in made(micro_base, NetworkSettings(LOCON, 8)).unet_modules


@pytest.mark.parametrize("name", ["C3Lier", "LoHa", "LoKR", "LoKR factor 4", "DyLoRA", "(IA)^3"])
def test_max_norm_limits_each_layer_and_leaves_small_ones(name, micro_base):
    network = trained(made(micro_base, VARIANTS[name]))
    with torch.no_grad():
        norms = {key: float(network.lora(key).low_rank_change().norm()) for key in network.unet_keys}
        limit = sorted(norms.values())[len(norms) // 2]
        before = {key: network.lora(key).low_rank_change().clone() for key in network.unet_keys}
        network.apply_max_norm(limit)
        for key in network.unet_keys:
            wanted = before[key] * min(1, limit / norms[key])
            torch.testing.assert_close(network.lora(key).low_rank_change(), wanted, atol=1e-6, rtol=1e-4)
