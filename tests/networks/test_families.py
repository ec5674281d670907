"""LoRA keys, blocks and layers of SD 2.x and SDXL."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import torch

from lib_lora_train.blocks.lists import list_problem
from lib_lora_train.blocks.names import FULL_SDXL, SHORT_SDXL, block_of
from lib_lora_train.config.groups.network import C3LIER, LIERLA, LOCON, NetworkSettings
from lib_lora_train.networks.create import create_network
from lib_lora_train.networks.keys import UNET_PREFIX, part_of
from lib_lora_train.tools.merge import merge_into_module
from tests.models.tiny_checkpoint import WORDS, few_words
from tests.models.tiny_families import (
    NARROW_XL,
    OPEN_CLIP_SD2,
    OPEN_CLIP_XL,
    SSD_SHAPE,
    save_state,
    sd2_state,
    sdxl_state,
)


def load(path: Path):
    from lib_lora_train.models.load import load_base
    return load_base(path, None, dtype=torch.float32, device="cpu")


@pytest.fixture(scope="module")
def states():
    whole = {"sd2": sd2_state(), "sdxl": sdxl_state(shape=NARROW_XL), "ssd": sdxl_state(shape=SSD_SHAPE)}
    return {name: few_words(state) for name, state in whole.items()}


@pytest.fixture(scope="module")
def bases(states, tmp_path_factory):
    folder = tmp_path_factory.mktemp("families")
    files = {name: save_state(state, folder / f"{name}.safetensors") for name, state in states.items()}
    return lambda name: load(files[name])


def original(key: str, shapes: dict[str, tuple[int, ...]]) -> tuple[str, int | None]:
    """The tensor of the file that the webui takes ``key`` for, by its published rules, and which third of it."""
    names = {name.removesuffix(".weight").replace(".", "_"): name for name in shapes}
    match = re.fullmatch(r"lora_te2?_text_model_encoder_layers_(\d+)_(self_attn|mlp)_(\w+)", key)
    if match:
        prefix = OPEN_CLIP_XL if key.startswith("lora_te2") else OPEN_CLIP_SD2
        layer, _, part = match.groups()
        at = f"{prefix}transformer.resblocks.{layer}."
        if third := re.fullmatch(r"([qkv])_proj", part):
            return f"{at}attn.in_proj_weight", "qkv".index(third[1])
        return at + {"out_proj": "attn.out_proj", "fc1": "mlp.c_fc", "fc2": "mlp.c_proj"}[part] + ".weight", None
    if key.startswith("lora_te1_"):
        return names[key.replace("lora_te1", "conditioner_embedders_0_transformer")], None
    if match := re.fullmatch(r"lora_unet_(down|up)_blocks_(\d+)_attentions_(\d+)_(.+)", key):
        number = 3 * int(match[2]) + int(match[3]) + (match[1] == "down")
        side = "input" if match[1] == "down" else "output"
        return names[f"model_diffusion_model_{side}_blocks_{number}_1_{match[4]}"], None
    if match := re.fullmatch(r"lora_unet_mid_block_attentions_0_(.+)", key):
        return names[f"model_diffusion_model_middle_block_1_{match[1]}"], None
    return names[key.replace("lora_unet", "model_diffusion_model")], None


# convolutions of SD 2.x have the names that those of SD 1.x have
@pytest.mark.parametrize(("name", "network_type"), [
    ("sd2", LIERLA), ("sdxl", LIERLA), ("sdxl", C3LIER), ("sdxl", LOCON), ("ssd", LIERLA), ("ssd", LOCON)])
def test_every_key_names_the_layer_of_the_checkpoint_that_it_was_trained_on(states, bases, name, network_type):
    base, state = bases(name), states[name]
    network = create_network(NetworkSettings(network_type=network_type, network_dim=1, network_alpha=1), base.unet,
                             base.text_encoders, 0)
    modules = {**network.unet_modules, **network.text_encoder_modules}
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    seen = set()
    for key, module in modules.items():
        tensor, third = original(key, shapes)
        seen.add((tensor, third))
        wanted = state[tensor] if third is None else state[tensor].chunk(3)[third]
        assert (wanted == module.layer.weight).all(), key
    assert len(seen) == len(modules)
    trained = {tensor for tensor, _ in seen if tensor.startswith("model.")}
    layers = {key for key, shape in shapes.items() if key.startswith("model.") and key.endswith(".weight")
              and len(shape) > 1 and "time_embed" not in key and "label_emb" not in key and ".out.2." not in key}
    if network_type == LIERLA:
        layers = {key for key in layers if "transformer_blocks" in key or "proj_in" in key or "proj_out" in key}
    elif network_type == C3LIER:
        layers.remove("model.diffusion_model.input_blocks.0.0.weight")
    assert trained == layers


def test_sdxl_keys_are_those_that_every_tool_writes(bases):
    base = bases("sdxl")
    network = create_network(NetworkSettings(network_dim=1), base.unet, base.text_encoders, 0)
    assert {key.split("_text_model")[0] for key in network.text_encoder_keys} == {"lora_te1", "lora_te2"}
    assert all(key.startswith(("lora_unet_input_blocks_", "lora_unet_middle_block_1_", "lora_unet_output_blocks_"))
               for key in network.unet_keys)
    assert "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_out_0" in network.unet_keys
    assert "lora_te2_text_model_encoder_layers_2_self_attn_q_proj" in network.text_encoder_keys
    parts = Counter(part_of(key) for key in (*network.unet_keys, *network.text_encoder_keys))
    assert parts == {"unet": len(network.unet_keys), "text_encoder": 18, "text_encoder_2": 18}
    assert [group.part for group in network.parameter_groups()] == ["text_encoder", "text_encoder_2", "unet"]


def test_lierla_of_sdxl_has_exactly_the_short_list_and_lycoris_the_full_one(bases):
    base = bases("sdxl")
    for network_type, blocks in ((LIERLA, SHORT_SDXL), (LOCON, FULL_SDXL)):
        network = create_network(NetworkSettings(network_type=network_type, network_dim=1, network_alpha=1), base.unet,
                                 base.text_encoders, 0)
        assert {block_of(key) for key in (*network.unet_keys, *network.text_encoder_keys)} == set(blocks)
        for module in network.loras():
            module.detach()
    assert (len(SHORT_SDXL), len(FULL_SDXL)) == (12, 20)


@pytest.mark.parametrize(("key", "block"), [
    ("lora_te1_text_model_encoder_layers_11_mlp_fc1.alpha", "BASE"), ("lora_te2_text_model_x", "BASE"),
    ("lora_unet_input_blocks_0_0", "IN00"), ("lora_unet_input_blocks_4_1_proj_in.lora_down.weight", "IN04"),
    ("lora_unet_middle_block_1_proj_in", "M00"), ("lora_unet_output_blocks_8_0_in_layers_2", "OUT08"),
    ("lora_unet_time_embed_0", None), ("lora_unet_label_emb_0_0", None), ("lora_unet_out_2", None)])
def test_each_layer_is_in_the_block_that_its_key_counts(key, block):
    assert block_of(key) == block


def test_lists_of_block_numbers_have_to_go_with_the_family():
    from lib_lora_train.blocks.names import FULL_SD1
    ones = {count: ",".join(["1"] * count) for count in (12, 17, 20, 26)}
    assert [count for count in ones if not list_problem(ones[count], FULL_SDXL)] == [12, 20]
    assert [count for count in ones if not list_problem(ones[count], FULL_SD1)] == [17, 26]
    assert list_problem("", FULL_SDXL) is None and list_problem("OUTS", FULL_SDXL) is None


@pytest.mark.parametrize("name", ["sd2", "sdxl"])
def test_a_network_baked_into_its_model_is_the_network_live(bases, name):
    base = bases(name)
    network = create_network(NetworkSettings(network_dim=2), base.unet, base.text_encoders, 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    latents = torch.randn(1, 4, 8, 8, generator=generator)
    ids = torch.randint(0, WORDS, (1, 77), generator=generator)
    hidden = torch.randn(1, 77, base.unet.config["cross_attention_dim"], generator=generator)
    reported = {"text_embeds": torch.ones(1, 64), "time_ids": torch.ones(1, 6)} if name == "sdxl" else None

    def answers():
        with torch.no_grad():
            text = [encoder(ids).last_hidden_state for encoder in base.text_encoders]
            return [base.unet(latents, torch.tensor([5]), hidden, added_cond_kwargs=reported).sample, *text]

    live = answers()
    network.detach()
    before = answers()
    merge_into_module(network, base.unet, UNET_PREFIX)
    prefixes = ("lora_te",) if name == "sd2" else ("lora_te1", "lora_te2")
    for prefix, encoder in zip(prefixes, base.text_encoders, strict=True):
        merge_into_module(network, encoder, prefix)
    for one, other, old in zip(live, answers(), before, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
        assert float((one - old).abs().max()) > 1e-3
