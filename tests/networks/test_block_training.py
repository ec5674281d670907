"""Per-block training: which blocks are trained, at which rate and size, and LoRA+."""

from __future__ import annotations

import pytest

from lib_lora_train.blocks.lists import read_blocks
from lib_lora_train.blocks.names import FULL_SD1, SHORT_SD1, block_of
from lib_lora_train.blocks.presets import PRESETS
from lib_lora_train.config.check_network import network_problems
from lib_lora_train.config.groups.network import C3LIER, DYLORA, IA3, LOCON, LOHA, LOKR, NetworkSettings
from lib_lora_train.config.groups.optimizer import OptimizerSettings
from lib_lora_train.networks.create import create_network

ADAMW = OptimizerSettings(optimizer_type="AdamW")
OUT_ONLY = "0,0,0,0,0,0,0,0,1,1,1,1,1,1,1,1,1"


def made(base, settings: NetworkSettings):
    return create_network(settings, base.unet, base.text_encoder, 1)


def test_a_block_at_zero_is_neither_trained_nor_saved(tiny_base):
    network = made(tiny_base, NetworkSettings(network_dim=1, block_lr_weight=OUT_ONLY))
    assert {block_of(key) for key in network.state_dict()} == {f"OUT{n:02d}" for n in range(3, 12)}
    assert {group.part for group in network.parameter_groups()} == {"unet"}
    assert not network.trains_text_encoder


def test_factors_dims_and_alphas_reach_their_blocks(tiny_base):
    rates = ",".join(str(1 + n) for n in range(17))
    dims = ",".join(str(2 + n) for n in range(17))
    alphas = ",".join(["1"] * 17)
    network = made(tiny_base, NetworkSettings(network_dim=1, block_lr_weight=rates, block_dims=dims,
                                              block_alphas=alphas))
    groups = {group.block: group for group in network.parameter_groups()}
    assert {block: group.rate_factor for block, group in groups.items()} == {
        name: float(1 + n) for n, name in enumerate(SHORT_SD1)}
    grouped = [id(parameter) for group in groups.values() for parameter in group.parameters]
    assert sorted(grouped) == sorted(id(parameter) for parameter in network.parameters())
    for key in (*network.unet_keys, *network.text_encoder_keys):
        module = network.lora(key)
        place = SHORT_SD1.index(block_of(key))
        assert (module.dim, float(module.alpha)) == (2 + place, 1.0)
        assert {id(parameter) for parameter in module.parameters()} <= {
            id(parameter) for parameter in groups[block_of(key)].parameters}


def test_lora_plus_trains_up_faster(tiny_base):
    network = made(tiny_base, NetworkSettings(network_dim=1, loraplus_lr_ratio=16.0))
    groups = {(group.part, group.rate_factor): group for group in network.parameter_groups()}
    assert set(groups) == {(part, factor) for part in ("unet", "text_encoder") for factor in (1.0, 16.0)}
    ups = {id(network.lora(key).lora_up.weight) for key in network.unet_keys}
    assert {id(parameter) for parameter in groups["unet", 16.0].parameters} == ups


@pytest.mark.parametrize(("text", "length"), [(",".join(["0.5"] * n), n) for n in (12, 17, 20, 26)])
def test_lists_of_every_length_are_taken(text, length):
    values = read_blocks("NAME:" + text)
    assert tuple(values) == FULL_SD1
    assert list(values.values()).count(0.5) == length and set(values.values()) <= {0.0, 0.5}
    assert values["BASE"] == values["OUT05"] == 0.5


def test_presets_are_whole_lists():
    assert all(tuple(values) == FULL_SD1 for values in PRESETS.values())
    assert read_blocks("skin only") == dict.fromkeys(FULL_SD1, 0.0) | {"BASE": 1.0} | {
        f"OUT{n:02d}": 1.0 for n in range(12)}
    assert read_blocks("  ") is None


@pytest.mark.parametrize(("settings", "words"), [
    (NetworkSettings(conv_dim=4), "conv_dim is 4, but LoRA-LierLa does not use it"),
    (NetworkSettings(IA3, conv_alpha=4.0), "conv_alpha is 4.0"),
    (NetworkSettings(IA3, block_dims=OUT_ONLY), "block_dims"),
    (NetworkSettings(LOHA, network_dropout=0.1), "network_dropout is 0.1"),
    (NetworkSettings(LOCON, lokr_factor=4), "or choose LyCORIS-LoKR"),
    (NetworkSettings(LOKR, lokr_factor=0), "lokr_factor is 0"),
    (NetworkSettings(DYLORA, dora_wd=True), "dora_wd is True"),
    (NetworkSettings(DYLORA, 30, 15.0), "dylora_unit is 4, which does not divide the network_dim 30"),
    (NetworkSettings(dora_wd=True, network_dropout=0.1), "with DoRA there is nothing to drop"),
    (NetworkSettings(C3LIER, conv_dim=4, conv_alpha=8.0), "the alpha 8 is higher than its conv_dim 4"),
    (NetworkSettings(block_lr_weight="1,2"), "It has 2 numbers"),
    (NetworkSettings(block_lr_weight="OUTY"), "There is no such list"),
    (NetworkSettings(block_lr_weight=OUT_ONLY.replace("1", "X")), "'X' is not a number"),
    (NetworkSettings(block_lr_weight=OUT_ONLY.replace("1", "0")), "0 for every block"),
    (NetworkSettings(block_dims=OUT_ONLY.replace("1", "2.5")), "has 2.5"),
])
def test_what_would_do_nothing_is_said(settings, words):
    assert any(words in problem for problem in network_problems(settings, ADAMW))


@pytest.mark.parametrize("settings", [NetworkSettings(loraplus_lr_ratio=4.0),
                                      NetworkSettings(IA3, block_lr_weight="style: OUT")])
@pytest.mark.parametrize("optimizer_type", ["Prodigy", "DAdaptAdam", "AdaFactor"])
def test_an_optimizer_with_one_rate_cannot_have_several_where_no_alpha_stands_for_them(settings, optimizer_type):
    assert any("supports only one" in problem
               for problem in network_problems(settings, OptimizerSettings(optimizer_type=optimizer_type)))
    assert network_problems(settings, ADAMW) == []
