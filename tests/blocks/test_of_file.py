"""Which blocks a LoRA file has, whatever tool named its tensors and whatever kind it is."""

from __future__ import annotations

import json
import struct

import pytest

from lib_lora_train.blocks.fit import fit
from lib_lora_train.blocks.lists import for_blocks, list_problem, rate_sentences, read_blocks, training_list
from lib_lora_train.blocks.names import FULL_SD1, FULL_SDXL, SHORT_SD1, SHORT_SDXL, block_of, layer_and_tensor
from lib_lora_train.blocks.of_file import SD1_BLOCKS, SDXL_BLOCKS, BlockSet, blocks_of_file, blocks_of_keys
from lib_lora_train.blocks.presets import PRESETS
from lib_lora_train.errors import CheckpointError

DEPTH = "transformer_blocks.0.attn1.to_q"
# One layer each, in the words of one tool: the family that it tells, and the block
KEYS = [
    ("lora_unet_down_blocks_0_attentions_0_proj_in.lora_up.weight", False, "IN01"),
    ("lora_unet_up_blocks_3_attentions_2_proj_in.hada_w1_a", False, "OUT11"),
    ("lora_unet_up_blocks_0_resnets_0_conv1.diff", False, "OUT00"),
    ("lora_te_text_model_encoder_layers_0_mlp_fc1.lokr_w1", False, "BASE"),
    ("oft_unet_mid_block_attentions_0_proj_in.oft_blocks", False, "M00"),
    ("lora_unet_output_blocks_0_1_proj_in.lora_up.weight", True, "OUT00"),
    ("lora_unet_input_blocks_4_1_transformer_blocks_1_attn1_to_q.a1.weight", True, "IN04"),
    ("lora_unet_input_blocks_3_0_op.w_norm", True, "IN03"),
    ("lora_unet_up_blocks_0_attentions_0_proj_in.lora_up.weight", True, "OUT00"),  # SDXL with diffusers' count
    ("lora_te1_text_model_encoder_layers_0_mlp_fc1.alpha", True, "BASE"),
    ("lora_te2_text_model_encoder_layers_0_mlp_fc1.alpha", True, "BASE"),
    (f"unet.down_blocks.0.attentions.1.{DEPTH}.lora_A.weight", False, "IN02"),
    (f"unet.up_blocks.0.attentions.2.{DEPTH}.lora_B.weight", True, "OUT02"),
    (f"base_model.model.up_blocks.3.attentions.0.{DEPTH}.lora_A.default.weight", False, "OUT09"),
    ("unet.up_blocks.2.attentions.0.transformer_blocks.0.attn2.processor.to_k_lora.up.weight", False, "OUT06"),
    (f"text_encoder_2.text_model.encoder.layers.0.{DEPTH}.lora_A.weight", True, "BASE"),
    ("diffusion_model_output_blocks_11_1_proj_in", False, "OUT11"),
    ("1_model_transformer_resblocks_3_mlp_c_fc", True, "BASE"),
    ("transformer_text_model_encoder_layers_3_self_attn_q_proj", False, "BASE")]


@pytest.mark.parametrize(("key", "sdxl", "block"), KEYS)
def test_a_layer_names_its_block_and_its_family(key, sdxl, block):
    assert block_of(key) == block
    assert blocks_of_keys([key]) == BlockSet((block,), sdxl)


@pytest.mark.parametrize(("key", "layer", "tensor"), [
    ("lora_unet_mid_block_attentions_0_proj_in.lora_up.weight", "lora_unet_mid_block_attentions_0_proj_in",
     "lora_up.weight"),
    (f"unet.mid_block.{DEPTH}.lora_A.weight", f"unet.mid_block.{DEPTH}", "lora_A.weight"),
    (f"unet.mid_block.{DEPTH}.lora.up.weight", f"unet.mid_block.{DEPTH}", "lora.up.weight"),
    (f"unet.mid_block.{DEPTH}_lora.up.weight", f"unet.mid_block.{DEPTH}_lora", "up.weight"),
    ("unet.conv_in.alpha", "unet.conv_in", "alpha")])
def test_layers_with_dots_are_detected_from_their_tensors(key, layer, tensor):
    assert layer_and_tensor(key) == (layer, tensor)


def test_what_the_names_leave_open_the_metadata_says():
    keys = ["unet.down_blocks.1.attentions.0.proj_in.lora_A.weight"]
    assert not blocks_of_keys(keys).sdxl
    assert blocks_of_keys(keys, {"ss_base_model_version": "sdxl_base_v1-0"}).sdxl
    assert blocks_of_keys(keys, {"modelspec.architecture": "segmind-ssd-1b/lora"}).sdxl


@pytest.mark.parametrize("content", [b"", b"1234567", struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 8) + b'{"a": 1}',
                                     struct.pack("<Q", 1 << 62) + b"{}"])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "penny.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"The blocks of penny\.safetensors cannot be read"):
        blocks_of_file(tmp_path / "penny.safetensors")
    with pytest.raises(CheckpointError, match="There is no LoRA file"):
        blocks_of_file(tmp_path / "other.safetensors")


def test_a_file_is_read_by_its_header(tmp_path):
    header = json.dumps({"__metadata__": {"a": "b"}, KEYS[0][0]: {"dtype": "F16", "shape": [2, 2],
                                                                  "data_offsets": [0, 8]}}).encode()
    (tmp_path / "penny.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    assert blocks_of_file(tmp_path / "penny.safetensors").names == ("IN01",)


FILES = {"sd1 lierla": BlockSet(SHORT_SD1, False), "sd1 locon": SD1_BLOCKS, "sdxl lierla": BlockSet(SHORT_SDXL, True),
         "sdxl locon": SDXL_BLOCKS, "ssd lierla": BlockSet(tuple(name for name in SHORT_SDXL if name != "M00"), True),
         "only OUT": BlockSet(tuple(f"OUT{number:02d}" for number in range(3, 12)), False)}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("count", [12, 17, 20, 25, 26])
def test_all_1_is_1_in_every_block_of_every_file(file, count):
    fitted = fit([1.0] * count, FILES[file])
    assert {fitted.weights[name] for name in FILES[file].names} == {1.0}


def test_as_many_numbers_as_the_file_has_blocks_are_these_blocks():
    fitted = fit([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], FILES["only OUT"])
    assert [fitted.weights[f"OUT{number:02d}"] for number in range(3, 12)] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8,
                                                                               0.9]
    assert fitted.sentence == ""


@pytest.mark.parametrize("text", ["1" + ",1" * 16, "0.5" + ",1" * 16, "0" + ",1" * 16])
def test_a_short_list_leaves_the_blocks_it_does_not_name_at_1_where_the_unet_is(text):
    fitted = fit([float(number) for number in text.split(",")], SD1_BLOCKS)
    assert {fitted.weights[name] for name in FULL_SD1 if name != "BASE"} == {1.0}
    assert fitted.sentence == ("The list names 17 blocks; IN00, IN03, IN06, IN09 and 5 more stay at 1, as all others "
                               "are.")


def test_a_short_list_with_other_numbers_leaves_them_out_and_says_so():
    fitted = fit([1.0, *[0.5] * 16], SD1_BLOCKS)
    assert [fitted.weights[name] for name in ("IN00", "IN01", "OUT02")] == [0.0, 0.5, 0.0]
    assert "IN00, IN03, IN06, IN09 and 5 more are 0. A list of 26 numbers has a place for them" in fitted.sentence


@pytest.mark.parametrize(("numbers", "file", "expected"), [
    ([1, *[0.2] * 7, *[1] * 9], "sdxl lierla", [1, *[0.2] * 5, *[1] * 6]),
    ([1, *[0] * 13, *[1] * 12], "sdxl lierla", [1, *[0] * 5, *[1] * 6]),
    ([1, *[0.2] * 5, *[1] * 6], "sd1 lierla", [1, *[0.2] * 7, *[1] * 9]),
    ([0, 1, 1, 1, 0, 0, 0, 0, *[0] * 9], "sdxl lierla", [0, 1, 1, 0, 0, 0, *[0] * 6])])
def test_a_list_of_the_other_family_is_translated_by_depth_and_said(numbers, file, expected):
    blocks = FILES[file]
    fitted = fit(numbers, blocks)
    assert [fitted.weights[name] for name in blocks.names] == expected
    assert f"The list has {len(numbers)} numbers, which is for another family" in fitted.sentence


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains_something_of_sdxl_lierla(name):
    values = read_blocks(for_blocks(name, SDXL_BLOCKS))
    assert any(values[block] for block in SHORT_SDXL if block != "BASE")
    assert for_blocks(name, SD1_BLOCKS) == name


@pytest.mark.parametrize(("text", "blocks", "right"), [
    ("0.5" + ",0.5" * 16, FULL_SDXL, "0.5" + ",0.5" * 11), ("MINE:1" + ",0" * 11, FULL_SD1, "1" + ",0" * 16)])
def test_a_refused_list_is_shown_as_it_would_be_right(text, blocks, right):
    assert f"For it the list is {right}." in list_problem(text, blocks)


@pytest.mark.parametrize("text", ["-0.5" + ",1" * 16, "0" + ",1" * 10 + ",-1", "1" + ",-.25" * 25])
def test_numbers_below_0_are_taken_as_0_with_a_sentence(text):
    assert min(read_blocks(text).values()) == 0
    assert "a block cannot be trained backwards" in rate_sentences(text)[0]


def test_what_was_tried_on_a_file_is_trained_in_its_blocks():
    assert training_list({}, SD1_BLOCKS) == ("", ["Every block is at 1, which is how a run trains without a list."])
    rates, sentences = training_list({"OUT11": 0.5}, FILES["only OUT"])
    assert rates == "0,0,0,0,0,0,0,0,1,1,1,1,1,1,1,1,0.5"
    assert sentences == ["The file has no BASE, IN01, IN02, IN04, IN05, IN07, IN08, M00, so these are 0."]
    assert training_list(dict.fromkeys(SHORT_SDXL, 0.5), FILES["ssd lierla"])[0] == "0.5,0.5,0.5,0.5,0.5,0" + ",0.5" * 6
