from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from lib_lora_train.blocks.names import FULL_SD1, SHORT_SD1, block_of
from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.networks.create import create_network


def test_the_lists_are_those_of_lora_block_weight():
    assert ",".join(SHORT_SD1) == ("BASE,IN01,IN02,IN04,IN05,IN07,IN08,M00,OUT03,OUT04,OUT05,OUT06,OUT07,OUT08,OUT09,"
                                   "OUT10,OUT11")
    assert (len(SHORT_SD1), len(FULL_SD1)) == (17, 26)
    assert FULL_SD1[0] == "BASE" and FULL_SD1[1] == "IN00" and FULL_SD1[13] == "M00" and FULL_SD1[-1] == "OUT11"


@pytest.mark.parametrize(("key", "block"), [
    ("lora_te_text_model_encoder_layers_11_mlp_fc1.alpha", "BASE"),
    ("lora_unet_conv_in", "IN00"),
    ("lora_unet_down_blocks_0_attentions_0_proj_in", "IN01"),
    ("lora_unet_down_blocks_0_resnets_1_conv1", "IN02"),
    ("lora_unet_down_blocks_0_downsamplers_0_conv", "IN03"),
    ("lora_unet_down_blocks_2_attentions_1_transformer_blocks_0_attn1_to_q.lora_down.weight", "IN08"),
    ("lora_unet_down_blocks_2_downsamplers_0_conv", "IN09"),
    ("lora_unet_down_blocks_3_resnets_1_time_emb_proj", "IN11"),
    ("lora_unet_mid_block_attentions_0_proj_out", "M00"),
    ("lora_unet_mid_block_resnets_1_conv2", "M00"),
    ("lora_unet_up_blocks_0_resnets_0_conv1", "OUT00"),
    ("lora_unet_up_blocks_0_upsamplers_0_conv", "OUT02"),
    ("lora_unet_up_blocks_1_attentions_0_proj_in", "OUT03"),
    ("lora_unet_up_blocks_2_upsamplers_0_conv", "OUT08"),
    ("lora_unet_up_blocks_3_attentions_2_proj_out", "OUT11"),
    ("lora_unet_time_embedding_linear_1", None),
    ("lora_unet_conv_out", None)])
def test_each_layer_is_in_the_block_of_the_original_unet(key, block):
    assert block_of(key) == block


def test_lierla_has_exactly_the_short_list(tiny_base):
    network = create_network(NetworkSettings(network_dim=1), tiny_base.unet, tiny_base.text_encoder, 0)
    layers = Counter(block_of(key) for key in (*network.unet_modules, *network.text_encoder_modules))
    assert set(layers) == set(SHORT_SD1)
    assert {count for block, count in layers.items() if block != "BASE"} == {12}


@pytest.mark.parametrize("module", ["blocks.names", "networks.metadata"])
def test_the_webui_can_import_it_without_a_second_torch(module):
    code = f"import lib_lora_train.{module}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
