"""The mini checkpoint is what its card says: SD 1.5's keys, fp16, under 20 MB, trained, readable by diffusers."""

from __future__ import annotations

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from omegaconf import OmegaConf
from safetensors.torch import load_file

from tests.make_mini.compvis_layout import checkpoint_state
from tests.make_mini.demo_set import ACTIVATION_TAG, PROMPTS
from tests.make_mini.install import DEMO, NAME
from tests.make_mini.networks import new_text_encoder, new_unet, new_vae, with_text_mean

CHECKPOINT = DEMO / f"{NAME}.safetensors"
TEXT_PREFIX = "cond_stage_model.transformer."


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return load_file(CHECKPOINT)


def test_file_is_small_and_fp16(state):
    assert CHECKPOINT.stat().st_size <= 20_000_000
    assert {value.dtype for value in state.values()} == {torch.float16, torch.int64}


def test_blocks_are_those_of_sd15(state):
    unet = "model.diffusion_model."
    with_attention = {
        (kind, number)
        for kind in ("input_blocks", "output_blocks")
        for number in range(12)
        if f"{unet}{kind}.{number}.1.transformer_blocks.0.attn2.to_k.weight" in state
    }
    inputs = {("input_blocks", number) for number in (1, 2, 4, 5, 7, 8)}
    assert with_attention == inputs | {("output_blocks", number) for number in range(3, 12)}
    assert f"{unet}middle_block.1.proj_in.weight" in state
    assert state[f"{unet}input_blocks.1.1.proj_in.weight"].ndim == 4
    assert state[f"{TEXT_PREFIX}text_model.embeddings.token_embedding.weight"].shape[0] == 49408
    assert state[f"{TEXT_PREFIX}text_model.embeddings.position_embedding.weight"].shape[0] == 77


def test_yaml_has_the_checkpoints_widths(state):
    unet = OmegaConf.load(DEMO / f"{NAME}.yaml").model.params.unet_config.params
    first = state["model.diffusion_model.input_blocks.0.0.weight"]
    keys = state["model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"]
    assert (unet.model_channels, unet.context_dim) == (first.shape[0], keys.shape[1])


def test_no_layer_is_left_at_zero(state):
    dead = [key for key, value in state.items() if key.endswith(".weight") and not value.float().abs().max() > 0]
    assert dead == []


def test_export_agrees_with_diffusers_own_converters():
    torch.manual_seed(0)
    unet, vae, text = new_unet(), new_vae(), new_text_encoder()
    exported = {key: value.float() for key, value in checkpoint_state(unet, vae, text).items()}
    config = {**unet.config, "class_embed_type": None, "addition_embed_type": None}
    assert_same(convert_ldm_unet_checkpoint(dict(exported), config), unet)
    assert_same(convert_ldm_vae_checkpoint(dict(exported), dict(vae.config)), vae)
    assert_same({key.removeprefix(TEXT_PREFIX): v for key, v in exported.items() if key.startswith(TEXT_PREFIX)}, text)


def assert_same(converted: dict[str, torch.Tensor], module: torch.nn.Module) -> None:
    for key, value in module.state_dict().items():
        torch.testing.assert_close(converted[key].reshape(value.shape), value.half().float(), rtol=0, atol=0)


@torch.no_grad()
def test_giving_the_text_a_mean_changes_no_picture():
    torch.manual_seed(0)
    unet, text = new_unet(), new_text_encoder()
    shifted_unet, shifted_text = with_text_mean(unet, text, mean=-0.1)
    tokens, latents = torch.randint(0, 49406, (1, 77)), torch.randn(1, 4, 8, 8)
    before, after = text(tokens).last_hidden_state, shifted_text(tokens).last_hidden_state
    assert after.mean().item() == pytest.approx(before.mean().item() - 0.1, abs=1e-4)
    expected = unet(latents, 500, before).sample
    torch.testing.assert_close(shifted_unet(latents, 500, after).sample, expected, rtol=1e-4, atol=1e-5)


def test_every_demo_picture_has_a_caption_that_begins_with_the_tag():
    pictures = [*DEMO.glob("pictures/*.webp"), *DEMO.glob("held_out/*.webp")]
    assert len(pictures) == 26
    assert all(file.with_suffix(".txt").read_text("utf-8").startswith(f"{ACTIVATION_TAG}, ") for file in pictures)
    assert (DEMO / "prompts.txt").read_text("utf-8").splitlines() == list(PROMPTS)
