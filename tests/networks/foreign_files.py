"""Files of every kind that is no LoRA for Stable Diffusion, by the names of their tensors; free of torch."""

from __future__ import annotations

Shapes = dict[str, tuple[int, ...]]


def lora(*layers: str, ends: tuple[str, str] = ("lora_down.weight", "lora_up.weight")) -> Shapes:
    return {f"{layer}.{end}": (4, 64) if end == ends[0] else (64, 4) for layer in layers for end in ends}


_PEFT = ("lora_A.weight", "lora_B.weight")
FOREIGN: dict[str, tuple[Shapes, str]] = {
    "flux": (lora("lora_unet_double_blocks_0_img_attn_proj", "lora_te1_text_model_encoder_layers_0_mlp_fc1"), "Flux"),
    "flux single": (lora("lora_unet_single_blocks_3_linear1"), "Flux"),
    "flux peft": (lora("transformer.single_transformer_blocks.0.attn.to_q", ends=_PEFT), "Flux"),
    "flux comfy": (lora("diffusion_model.double_blocks.0.img_attn.qkv", ends=_PEFT), "Flux"),
    "sd3": (lora("lora_unet_joint_blocks_0_context_block_attn_qkv"), "SD 3.x"),
    "sd3 original": (lora("diffusion_model.joint_blocks.1.x_block.attn.proj", ends=_PEFT), "SD 3.x"),
    "wan": (lora("diffusion_model.blocks.0.self_attn.q", ends=_PEFT), "another kind of model"),
    "lumina": (lora("lora_unet_layers_0_attention_qkv"), "another kind of model"),
    "pixart": (lora("transformer.transformer_blocks.0.attn1.to_q", ends=_PEFT), "another kind of model"),
    "llm": (lora("base_model.model.model.layers.0.self_attn.q_proj", ends=_PEFT), "another kind of model")}
"""LoRAs for other models, and what they are for in words."""
OTHER_NAMES: dict[str, Shapes] = {
    "peft": lora("base_model.model.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", ends=_PEFT),
    "diffusers": lora("unet.up_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k", ends=("lora.down.weight",
                                                                                            "lora.up.weight"))}
"""LoRAs for Stable Diffusion under another program's names."""
NO_LORA: dict[str, tuple[Shapes, str]] = {
    "checkpoint": ({"model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3),
                    "cond_stage_model.transformer.text_model.final_layer_norm.weight": (768,)}, "but a checkpoint"),
    "flux checkpoint": ({"double_blocks.0.img_attn.qkv.weight": (8, 8)}, "but a checkpoint"),
    "sd3 checkpoint": ({"model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight": (8, 8)}, "but a checkpoint"),
    "vae": ({"decoder.norm_out.weight": (8,), "encoder.conv_in.weight": (8, 3, 3, 3)}, "but a VAE"),
    "diffusers vae": ({"decoder.conv_norm_out.weight": (8,)}, "but a VAE"),
    "diffusers unet": ({"down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight": (8, 8)}, "but a UNet"),
    "text encoder": ({"text_model.encoder.layers.0.mlp.fc1.weight": (8, 8)}, "but a text encoder"),
    "embedding": ({"emb_params": (4, 768)}, "but a textual inversion embedding"),
    "sdxl embedding": ({"clip_l": (4, 768), "clip_g": (4, 1280)}, "but a textual inversion embedding"),
    "controlnet": ({"control_model.input_blocks.0.0.weight": (8, 4, 3, 3)}, "but a ControlNet"),
    "upscaler": ({"model.0.weight": (8, 3, 3, 3)}, "no tensors such as"),
}
"""What else lies in users' folders, and what is said of it."""
