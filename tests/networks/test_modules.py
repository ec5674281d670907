"""Single modules: dropout, DyLoRA's units, half precision."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lib_lora_train.config.groups.network import C3LIER, NetworkSettings
from lib_lora_train.networks.lora import DyLoraModule, LoraModule
from lib_lora_train.networks.lycoris import LohaModule, LokrModule
from lib_lora_train.networks.module import ModuleOptions


def test_a_conv_alpha_that_is_not_given_is_the_same_share_of_its_dim():
    settings = NetworkSettings(C3LIER, 8, 2.0, conv_dim=4)
    assert settings.size_of("IN00", spatial=True) == (4, 1.0)
    assert settings.size_of("IN00", spatial=False) == (8, 2.0)


def module_in_training(options: ModuleOptions, dim: int = 8) -> LoraModule:
    module = LoraModule(nn.Linear(6, 5), dim, dim, torch.Generator().manual_seed(1), options)
    nn.init.normal_(module.lora_up.weight)
    return module.train()


@pytest.mark.parametrize("options", [ModuleOptions(dropout=0.3), ModuleOptions(rank_dropout=0.3),
                                     ModuleOptions(rank_dropout=0.3, dora=True), ModuleOptions(module_dropout=0.3)])
def test_dropout_follows_the_seed_and_ends_with_training(options):
    module = module_in_training(options)
    x = torch.randn(400, 6)
    full = module.eval()(x)
    assert torch.equal(full, module(x))
    module.train()
    runs = []
    for seed in (1, 1, *range(2, 40)):
        torch.manual_seed(seed)
        runs.append(module(x))
    assert torch.equal(runs[0], runs[1])
    assert any(not torch.equal(runs[0], other) for other in runs[2:])


@pytest.mark.parametrize("options", [ModuleOptions(dropout=0.3), ModuleOptions(rank_dropout=0.3)])
def test_dropout_keeps_the_mean(options):
    module = module_in_training(options)
    x = torch.randn(1, 6)
    torch.manual_seed(0)
    mean = module(x.expand(20_000, 6)).mean(0)
    assert (mean - module.eval()(x)[0]).abs().max() < 0.05


def test_a_layer_left_out_computes_as_the_base():
    module = module_in_training(ModuleOptions(module_dropout=0.5))
    x = torch.randn(3, 6)
    plain = module.layer(x)
    torch.manual_seed(0)
    left_out = [torch.equal(module(x), plain) for _ in range(400)]
    assert 150 < sum(left_out) < 250


def test_dylora_trains_one_unit_at_a_time_and_uses_all_afterwards():
    layer = nn.Conv2d(3, 5, 3, padding=1).requires_grad_(False)
    module = DyLoraModule(layer, 6, 3.0, torch.Generator().manual_seed(1), ModuleOptions(dylora_unit=2)).train()
    for up in module.ups:
        nn.init.normal_(up)
    x = torch.randn(2, 3, 8, 8)
    seen = set()
    for seed in range(20):
        module.zero_grad()
        torch.manual_seed(seed)
        output = module(x)
        output.sum().backward()
        moved = [number for number in range(3) if module.ups[number].grad is not None]
        assert len(moved) == 1 and [n for n in range(3) if module.downs[n].grad is not None] == moved
        up, down = torch.cat(module.ups[:moved[0] + 1], 1), torch.cat(module.downs[:moved[0] + 1])
        weight = layer.weight + 0.5 * (up @ down).view(layer.weight.shape)
        torch.testing.assert_close(output, nn.functional.conv2d(x, weight, layer.bias, padding=1), atol=1e-5, rtol=1e-5)
        seen.add(moved[0])
    assert seen == {0, 1, 2}
    change = 0.5 * (torch.cat(module.ups, 1) @ torch.cat(module.downs)).view(layer.weight.shape)
    torch.testing.assert_close(module.weight_change(), change)


def test_half_precision_of_the_base_does_not_round_what_is_learned():
    """lycoris-lora's own forward adds a small change to the weight in bf16 and loses it; here it counts."""
    layer = nn.Linear(64, 48, bias=False).to(torch.bfloat16).requires_grad_(False)
    for kind in (LohaModule, LokrModule):
        module = kind(layer, 4, 4.0, torch.Generator().manual_seed(1), ModuleOptions())
        with torch.no_grad():
            for factor in module.factors:
                factor.normal_(std=0.03, generator=torch.Generator().manual_seed(2))
        x = torch.randn(64, 64).to(torch.bfloat16)
        change = module.weight_change()
        addition = module.addition(x, 1.0).float()
        wanted = x.float() @ change.T
        assert (addition - wanted).norm() < 0.01 * wanted.norm()
