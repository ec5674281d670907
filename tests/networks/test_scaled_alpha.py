"""Rates of blocks by way of alpha: one step of an optimizer changes ΔW in proportion."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lib_lora_train.config.groups.network import DYLORA, LIERLA, LOCON, LOHA, LOKR, NetworkSettings
from lib_lora_train.errors import RunError
from lib_lora_train.networks.create import create_network, scale_alphas
from lib_lora_train.networks.lora import DyLoraModule, LoraModule
from lib_lora_train.networks.lycoris import LohaModule, LokrModule
from lib_lora_train.networks.module import ModuleOptions

MODULES = {LIERLA: LoraModule, LOHA: LohaModule, LOKR: LokrModule, DYLORA: DyLoraModule}
FACTOR = 0.2


def module_of(kind, dim=2):
    return MODULES[kind](nn.Linear(36, 40), dim, 2.0, torch.Generator().manual_seed(1), ModuleOptions(dylora_unit=2))


def moved(kind, *, learned):
    """A module, in the middle of training if ``learned``, and the step that an optimizer such as Adam would take."""
    module = module_of(kind)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in module.factors:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise * 0.1 if learned else 0)
    return module, [torch.sign(torch.randn(parameter.shape, generator=generator)) * 1e-3
                    for parameter in module.factors]


def change_by(module, steps):
    with torch.no_grad():
        before = module.weight_change().double()
        for parameter, step in zip(module.factors, steps, strict=True):
            parameter.add_(step * 0.01)
        return module.weight_change().double() - before


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("kind", MODULES)
def test_a_step_changes_the_weights_in_proportion_and_the_change_so_far_stays(kind, learned):
    plain, steps = moved(kind, learned=learned)
    scaled, _ = moved(kind, learned=learned)
    before = scaled.weight_change()
    scaled.scale_alpha(FACTOR, keep_change=learned)
    torch.testing.assert_close(scaled.weight_change(), before, atol=1e-6, rtol=1e-5)
    expected, found = FACTOR * change_by(plain, steps), change_by(scaled, steps)
    assert expected.norm() > 0
    assert (found - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize("network_type", [LIERLA, LOCON, LOHA, LOKR, DYLORA])
def test_a_new_network_has_the_rates_in_its_alphas(tiny_base, network_type):
    settings = NetworkSettings(network_type, 2, 2.0, dylora_unit=1, block_lr_weight="style: OUT")
    network = create_network(settings, tiny_base.unet, tiny_base.text_encoder, 0, scaled_alphas=True)
    alphas = {key: float(value) for key, value in network.state_dict().items() if key.endswith(".alpha")}
    assert {value for key, value in alphas.items() if "up_blocks" in key or key.startswith("lora_te")} == {2.0}
    assert {round(value, 6) for key, value in alphas.items() if "down_blocks" in key or "mid_block" in key} == {0.4}
    assert {group.rate_factor for group in network.parameter_groups()} == {1.0}


def test_where_there_is_no_alpha_that_counts_it_is_refused():
    module = module_of(LOKR, dim=64)  # both factors are whole
    with pytest.raises(RunError, match=r"gives IN01 the rate 0\.2.*Use a lower network_dim"):
        scale_alphas({"lora_unet_down_blocks_0_attentions_0_proj_in": module}, {"IN01": FACTOR}, keep_change=False)
