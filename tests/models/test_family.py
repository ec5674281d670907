from __future__ import annotations

from pathlib import Path

import pytest

from lib_lora_train.errors import CheckpointError
from lib_lora_train.models.family import SD1, SD2, SDXL, SSD, detect_family

UNET = "model.diffusion_model."
SD1_SHAPES = {
    UNET + "input_blocks.0.0.weight": (320, 4, 3, 3),
    UNET + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
    "first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3),
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": (49408, 768),
}
SD2_SHAPES = {
    UNET + "input_blocks.0.0.weight": (320, 4, 3, 3),
    UNET + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 1024),
    "cond_stage_model.model.token_embedding.weight": (49408, 1024),
}
SDXL_SHAPES = {
    UNET + "input_blocks.0.0.weight": (320, 4, 3, 3),
    UNET + "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (640, 2048),
    "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight": (49408, 768),
    "conditioner.embedders.1.model.token_embedding.weight": (49408, 1280),
    UNET + "middle_block.1.transformer_blocks.0.attn1.to_q.weight": (1280, 1280),
}
REFINER_SHAPES = {
    UNET + "input_blocks.0.0.weight": (384, 4, 3, 3),
    "conditioner.embedders.0.model.token_embedding.weight": (49408, 1280),
}


@pytest.mark.parametrize("context", [768, 64])
@pytest.mark.parametrize("old_spelling", [False, True])
def test_sd1_is_detected_whatever_its_width_and_spelling(context, old_spelling):
    shapes = {key.replace("text_model.", "") if old_spelling else key: shape for key, shape in SD1_SHAPES.items()}
    shapes[UNET + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"] = (320, context)
    assert detect_family(Path("x.safetensors"), shapes) is SD1


def test_sd2_sdxl_and_ssd_are_detected():
    without_middle = {key: shape for key, shape in SDXL_SHAPES.items() if "middle_block" not in key}
    assert detect_family(Path("x.safetensors"), SD2_SHAPES) is SD2
    assert detect_family(Path("x.safetensors"), SDXL_SHAPES) is SDXL
    assert detect_family(Path("x.safetensors"), without_middle) is SSD


@pytest.mark.parametrize(("shapes", "what"), [
    (SDXL_SHAPES | {UNET + "input_blocks.0.0.weight": (320, 9, 3, 3)}, "inpainting"),
    (SD2_SHAPES | {UNET + "input_blocks.0.0.weight": (320, 9, 3, 3)}, "inpainting"),
    (SD2_SHAPES | {"depth_model.model.x.weight": (1, 1)}, "depth"),
    (SD2_SHAPES | {"embedder.model.ln_final.weight": (1,)}, "unCLIP"),
    ({key: shape for key, shape in SDXL_SHAPES.items() if "embedders.0" not in key}, "one of its text encoders"),
    ({key: shape for key, shape in SDXL_SHAPES.items() if "embedders" not in key}, "no text encoder"),
    (REFINER_SHAPES, "SDXL refiner"),
    ({UNET + "joint_blocks.0.x_block.attn.qkv.weight": (1, 1)}, "SD3"),
    ({UNET + "double_blocks.0.img_attn.qkv.weight": (1, 1)}, "Flux"),
    ({"double_blocks.0.img_attn.qkv.weight": (1, 1)}, "Flux"),
    (SD1_SHAPES | {UNET + "input_blocks.0.0.weight": (320, 9, 3, 3)}, "inpainting"),
    (SD1_SHAPES | {UNET + "input_blocks.0.0.weight": (320, 8, 3, 3)}, "InstructPix2Pix"),
    (SD1_SHAPES | {UNET + "input_blocks.0.0.weight": (320, 7, 3, 3)}, "7 channels"),
    ({key: shape for key, shape in SD1_SHAPES.items() if "cond_stage" not in key}, "no text encoder"),
    ({"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": (4, 320)}, "is a LoRA"),
    ({"lora_te_text_model_encoder_layers_0_mlp_fc1.hada_w1_a": (4, 320)}, "is a LoRA"),
    ({"first_stage_model.decoder.norm_out.weight": (512,)}, "VAE alone"),
    ({"decoder.norm_out.weight": (512,), "encoder.conv_in.weight": (128, 3, 3, 3)}, "VAE alone"),
    ({"decoder.conv_norm_out.weight": (512,)}, "VAE in the diffusers layout"),
    ({"down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight": (320, 768)}, "diffusers layout"),
    ({"text_model.encoder.layers.0.mlp.fc1.weight": (1, 1)}, "text encoder alone"),
    ({"control_model.input_blocks.0.0.weight": (1, 1)}, "ControlNet"),
    ({"emb_params": (4, 768)}, "textual inversion"),
    ({"layers.0.conv.weight": (1, 1)}, "not a checkpoint that is known here"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_other_files_are_refused_by_what_they_are_with_the_way_out(shapes, what):
    with pytest.raises(CheckpointError) as caught:
        detect_family(Path("folder/x.safetensors"), shapes)
    message = str(caught.value)
    assert what in message and "x.safetensors" in message and "Choose" in message
