from __future__ import annotations

import re

from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.networks.create import create_network
from lib_lora_train.networks.keys import is_unet_key, key_table, lora_key
from tests.models.tiny_checkpoint import TEXT, UNET, Tiny


def original_name(key: str) -> str:
    """The module in the original layout that the webui's Lora extension takes ``key`` for, by its published rule."""
    if match := re.fullmatch(r"lora_unet_down_blocks_(\d+)_attentions_(\d+)_(.+)", key):
        return f"{UNET}input_blocks.{3 * int(match[1]) + int(match[2]) + 1}.1.".replace(".", "_") + match[3]
    if match := re.fullmatch(r"lora_unet_up_blocks_(\d+)_attentions_(\d+)_(.+)", key):
        return f"{UNET}output_blocks.{3 * int(match[1]) + int(match[2])}.1.".replace(".", "_") + match[3]
    if match := re.fullmatch(r"lora_unet_mid_block_attentions_(\d+)_(.+)", key):
        return f"{UNET}middle_block.1.".replace(".", "_") + match[2]
    match = re.fullmatch(r"lora_te_text_model_encoder_layers_(\d+)_(.+)", key)
    assert match, key
    return f"{TEXT}text_model.encoder.layers.{match[1]}.".replace(".", "_") + match[2]


def test_every_key_names_the_layer_of_the_checkpoint_that_it_was_trained_on(tiny: Tiny, tiny_base):
    network = create_network(NetworkSettings(network_dim=1), tiny_base.unet, tiny_base.text_encoder, 0)
    weights = {key.removesuffix(".weight").replace(".", "_"): tensor for key, tensor in tiny.state.items()
               if key.endswith(".weight")}
    modules = {**network.unet_modules, **network.text_encoder_modules}
    assert len({original_name(key) for key in modules}) == len(modules)
    for key, module in modules.items():
        assert (weights[original_name(key)] == module.layer.weight).all(), key


def test_tensors_carry_the_names_that_every_tool_reads(tiny_base):
    network = create_network(NetworkSettings(network_dim=2), tiny_base.unet, tiny_base.text_encoder, 0)
    state = network.state_dict()
    assert len(state) == 3 * (192 + 18)
    for name in state:
        module, _, tensor = name.partition(".")
        assert tensor in ("lora_down.weight", "lora_up.weight", "alpha")
        assert module.startswith(("lora_unet_", "lora_te_text_model_encoder_layers_"))
    key = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_out_0"
    assert state[f"{key}.lora_down.weight"].shape == (2, 96)
    assert state[f"{key}.lora_up.weight"].shape == (96, 2)
    assert state[f"{key}.alpha"].shape == ()
    assert state["lora_unet_mid_block_attentions_0_proj_in.lora_down.weight"].shape == (2, 96, 1, 1)


def test_keys_are_paths_joined_by_underscores():
    assert lora_key("lora_unet", "mid_block.attentions.0.proj_in") == "lora_unet_mid_block_attentions_0_proj_in"
    assert key_table("lora_te", ["text_model.a_b.c"]) == {"lora_te_text_model_a_b_c": "text_model.a_b.c"}
    assert is_unet_key("lora_unet_conv_in")
    assert not is_unet_key("lora_te_text_model_encoder_layers_0_mlp_fc1")
