"""DoRA on a base that is kept in fp8 or nf4 takes the norms of the full weights, to which its file is applied."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lib_lora_train.models.stored_weights import store_weights
from lib_lora_train.networks.lora import LoraModule
from lib_lora_train.networks.module import ModuleOptions

LAYERS = {"linear": lambda: nn.Linear(96, 64), "convolution": lambda: nn.Conv2d(32, 48, 3),
          "pointwise": lambda: nn.Conv2d(64, 32, 1)}


def stored(make, how):
    """A layer in ``how``, and its full weight."""
    torch.manual_seed(3)
    root = nn.ModuleDict({"blocks": nn.ModuleList([make()])})
    full = root["blocks"][0].weight.detach().clone()
    store_weights(root, how)
    return root["blocks"][0], full


def norms(weight):
    others = tuple(axis for axis in range(weight.ndim) if axis != 1)
    return weight.double().square().sum(others, keepdim=True).sqrt().float()


def module_on(layer):
    return LoraModule(layer, 4, 2.0, torch.Generator().manual_seed(1), ModuleOptions(dora=True))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("how", ["fp8", "nf4", "full"])
def test_the_scale_begins_as_the_norm_of_the_full_weights(kind, how):
    layer, full = stored(LAYERS[kind], how)
    assert torch.allclose(module_on(layer).dora_scale, norms(full), rtol=1e-6)
    if how != "full":
        assert not torch.allclose(norms(layer.weight), norms(full), rtol=1e-4)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("how", ["fp8", "nf4"])
def test_nothing_is_changed_as_long_as_nothing_is_learned(kind, how):
    layer, full = stored(LAYERS[kind], how)
    module = module_on(layer)
    assert module.weight_change().abs().max() <= 1e-6 * full.abs().max()
    assert "norm_correction" not in module.state_dict()


@pytest.mark.parametrize("how", ["fp8", "nf4"])
def test_what_is_trained_is_closer_to_the_formula_on_the_full_weights(how):
    """(W + ΔW) · m / ‖W + ΔW‖ (Liu et al. 2024, eq. 5) with the full W, against the norms of the packed one."""
    layer, full = stored(LAYERS["linear"], how)
    module = module_on(layer)
    with torch.no_grad():
        module.factors[0].normal_(0, 0.02)
        module.factors[1].normal_(0, 0.02)
        module.dora_scale.mul_(1.1)
    change, packed = module.low_rank_change(), layer.weight
    wanted = module.dora_scale / norms(full + change)
    ours = (packed + module.weight_change()).norm(dim=0) / (packed + change).norm(dim=0)
    plain = (module.dora_scale / norms(packed + change)).flatten()
    assert (ours - wanted.flatten()).norm() < 0.5 * (plain - wanted.flatten()).norm()
