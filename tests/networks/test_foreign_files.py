"""What is no LoRA for Stable Diffusion is named, from the names of its tensors alone."""

from __future__ import annotations

import pytest

from lib_lora_train.errors import CheckpointError
from lib_lora_train.networks.lora_facts import looks_like_lora, not_a_lora
from lib_lora_train.networks.lora_family import foreign_model, refuse_names
from tests.networks.foreign_files import FOREIGN, NO_LORA, OTHER_NAMES, lora

OWN = ["lora_unet_down_blocks_0_attentions_0_proj_in", "lora_unet_mid_block_attentions_0_proj_in",
       "lora_unet_input_blocks_4_1_proj_in", "lora_unet_output_blocks_0_0_in_layers_2", "lora_unet_conv_in",
       "lora_unet_time_embedding_linear_1", "lora_unet_label_emb_0_0", "lora_unet_conv_out", "oft_unet_middle_block_1",
       "lora_te_text_model_encoder_layers_0_mlp_fc1", "lora_te2_text_model_encoder_layers_0_mlp_fc1"]


@pytest.mark.parametrize("name", FOREIGN)
def test_a_lora_for_another_model_is_refused_with_its_name(name):
    shapes, model = FOREIGN[name]
    assert looks_like_lora(shapes)
    with pytest.raises(CheckpointError, match=rf"x\.safetensors is a LoRA for {model}.*SD 1\.x, SD 2\.x and SDXL"):
        refuse_names("x.safetensors", shapes)


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_the_names_of_another_program_are_told_apart_from_another_model(name):
    assert foreign_model(OTHER_NAMES[name]) == ""
    with pytest.raises(CheckpointError, match="names of another program"):
        refuse_names("x.safetensors", OTHER_NAMES[name])


@pytest.mark.parametrize("layer", OWN)
def test_every_layer_of_stable_diffusion_is_known(layer):
    refuse_names("x.safetensors", lora(OWN[0], layer))
    refuse_names("x.safetensors", lora(layer))


@pytest.mark.parametrize("name", NO_LORA)
def test_a_file_that_is_no_lora_is_named(name, tmp_path):
    shapes, words = NO_LORA[name]
    assert not looks_like_lora(shapes)
    assert words in not_a_lora(tmp_path / "x.safetensors", shapes)
