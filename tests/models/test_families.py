"""SD 2.x and SDXL, from the tensors of the file to what they compute."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lib_lora_train.errors import CheckpointError
from lib_lora_train.models.family import SD2, SD2_V, SDXL, SSD
from lib_lora_train.models.load import BaseModel, load_base
from lib_lora_train.models.text_states import encode_captions, tokenize
from lib_lora_train.models.tokenizer import Tokenizer
from tests.models.tiny_checkpoint import few_words
from tests.models.tiny_families import OPEN_CLIP_XL, POOLED, SSD_SHAPE, save_state, sd2_state, sdxl_state
from tests.training.step.reference import UNet
from tests.training.step.reference_xl import sd2_states, sdxl_states, sdxl_vector

CAPTIONS = ["pennyfox, red ball", "a quick brown fox jumps over the lazy dog, " * 3]
SIZES = [(600, 900, 0, 36, 512, 640), (1024, 1024, 8, 0, 1024, 1024)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("families")
    return {"sd2": save_state(sd2_state(), folder / "sd2.safetensors"),
            "sdxl": save_state(sdxl_state(), folder / "sdxl.safetensors"),
            "ssd": save_state(sdxl_state(shape=SSD_SHAPE), folder / "ssd.safetensors")}


@pytest.fixture(scope="module")
def short(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """With a few of the words, for what reads no captions."""
    folder = tmp_path_factory.mktemp("short")
    return {name: save_state(few_words(load_file(files[name])), folder / f"{name}.safetensors")
            for name in ("sd2", "sdxl")}


def load(path: Path) -> BaseModel:
    return load_base(path, None, dtype=torch.float32, device="cpu")


def latents() -> torch.Tensor:
    return torch.randn(2, 4, 16, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load()


def test_sd2_computes_what_the_plain_formulas_say_of_the_tensors_in_the_file(files, tokenizer):
    base, state = load(files["sd2"]), load_file(files["sd2"])
    assert base.family is SD2 and base.family.webui_version == "SD2"
    tokens = tokenize(tokenizer, CAPTIONS, 75, padding=0)[:, 0]
    times = torch.tensor([7, 900])
    with torch.no_grad():
        read = encode_captions(base.family, base.text_encoders, tokenizer, CAPTIONS, 75, clip_skip=1)
        wanted = sd2_states(state, tokens)
        torch.testing.assert_close(read.hidden, wanted, atol=1e-5, rtol=1e-5)
        answer = base.unet(latents(), times, read.hidden).sample
        torch.testing.assert_close(answer, UNet(state, 64)(latents(), times, wanted), atol=1e-4, rtol=1e-4)
    assert read.pooled is None


@pytest.mark.parametrize(("name", "family"), [("sdxl", SDXL), ("ssd", SSD)])
def test_sdxl_computes_what_the_plain_formulas_say_of_the_tensors_in_the_file(files, tokenizer, name, family):
    base, state = load(files[name]), load_file(files[name])
    assert base.family is family and base.family.webui_version == "SDXL"
    tokens_l, tokens_g = (tokenize(tokenizer, CAPTIONS, 75, padding)[:, 0] for padding in (49407, 0))
    times = torch.tensor([7, 900])
    with torch.no_grad():
        read = encode_captions(base.family, base.text_encoders, tokenizer, CAPTIONS, 75, clip_skip=2)
        hidden, pooled = sdxl_states(state, tokens_l, tokens_g)
        torch.testing.assert_close(read.hidden, hidden, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(read.pooled, pooled, atol=1e-5, rtol=1e-5)
        reported = {"text_embeds": pooled, "time_ids": torch.tensor(SIZES)}
        answer = base.unet(latents(), times, hidden, added_cond_kwargs=reported).sample
        wanted = UNet(state, 64)(latents(), times, hidden, sdxl_vector(pooled, SIZES))
    torch.testing.assert_close(answer, wanted, atol=1e-4, rtol=1e-4)
    other = UNet(state, 64)(latents(), times, hidden, sdxl_vector(pooled, SIZES[::-1]))
    assert float((other - wanted).abs().max()) > 0.01, "the sizes take no part"


def test_a_caption_of_several_windows_is_read_window_by_window_and_pooled_from_the_first(files, tokenizer):
    base, state = load(files["sdxl"]), load_file(files["sdxl"])
    caption = [", ".join(f"tag{n} with words" for n in range(60))]
    tokens_l, tokens_g = (tokenize(tokenizer, caption, 225, padding)[0] for padding in (49407, 0))
    with torch.no_grad():
        read = encode_captions(base.family, base.text_encoders, tokenizer, caption, 225, clip_skip=1)
        hidden, pooled = sdxl_states(state, tokens_l, tokens_g)
    assert read.hidden.shape == (1, 3 * 77, 256)
    torch.testing.assert_close(read.hidden[0], hidden.flatten(0, 1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(read.pooled[0], pooled[0], atol=1e-5, rtol=1e-5)


def test_both_encoders_agree_with_the_pipeline_of_diffusers(files, tokenizer, of_transformers):
    """The pipeline's own way of tokenizing and of asking both encoders; its second tokenizer pads with token 0."""
    from diffusers import DDPMScheduler, StableDiffusionXLPipeline

    base = load(files["sdxl"])
    tokenizers = [copy.deepcopy(of_transformers) for _ in range(2)]
    for own in tokenizers:
        own.model_max_length = 77
    tokenizers[1].pad_token = "!"
    assert tokenizers[1].pad_token_id == 0
    pipeline = StableDiffusionXLPipeline(base.vae, *base.text_encoders, *tokenizers, base.unet, DDPMScheduler(),
                                         add_watermarker=False)
    with torch.no_grad():
        hidden, _, pooled, _ = pipeline.encode_prompt(CAPTIONS, device="cpu", do_classifier_free_guidance=False)
        read = encode_captions(base.family, base.text_encoders, tokenizer, CAPTIONS, 75, clip_skip=1)
    torch.testing.assert_close(read.hidden, hidden)
    torch.testing.assert_close(read.pooled, pooled)
    ids = pipeline._get_add_time_ids((600, 900), (0, 36), (512, 640), hidden.dtype, pooled.shape[-1])
    assert tuple(ids[0].int().tolist()) == SIZES[0]


def test_a_file_of_sd2_that_lost_its_last_layer_already_keeps_the_others(files, tmp_path):
    from lib_lora_train.models.open_clip import from_open_clip

    def layers(count: int, width: int) -> int:
        state = {"token_embedding.weight": torch.empty(1, width, device="meta")}
        state |= {f"transformer.resblocks.{n}.ln_1.weight": torch.empty(width, device="meta") for n in range(count)}
        return sum("layer_norm1" in key for key in from_open_clip(state, drops_last_layer=True, projected=False))

    assert (layers(24, 1024), layers(23, 1024), layers(24, 1280), layers(3, 128)) == (23, 23, 23, 2)
    assert load(files["sd2"]).text_encoder.config.num_hidden_layers == 2
    assert load(files["sdxl"]).text_encoders[1].config.num_hidden_layers == 3


def test_the_weights_are_shared_with_the_file_and_not_copied(files):
    base = load(files["sdxl"])
    attention = base.text_encoders[1].text_model.encoder.layers[0].self_attn
    storages = {getattr(attention, f"{name}_proj").weight.untyped_storage().data_ptr() for name in "qkv"}
    assert len(storages) == 1


@pytest.mark.parametrize("missing", [OPEN_CLIP_XL + "text_projection", OPEN_CLIP_XL + "ln_final.bias",
                                     "model.diffusion_model.label_emb.0.2.bias",
                                     "conditioner.embedders.0.transformer.text_model.final_layer_norm.bias"])
def test_a_tensor_that_is_missing_is_an_error(short, tmp_path, missing):
    state = load_file(short["sdxl"])
    assert missing in state
    del state[missing]
    with pytest.raises(CheckpointError):
        load(save_state(state, tmp_path / "x.safetensors"))


def test_sizes_that_do_not_fit_the_text_encoder_are_an_error(short, tmp_path):
    state = load_file(short["sdxl"])
    state["model.diffusion_model.label_emb.0.0.weight"] = torch.zeros(256, POOLED + 5)
    with pytest.raises(CheckpointError, match="values beside the image"):
        load(save_state(state, tmp_path / "x.safetensors"))


V_YAML = "model:\n  params:\n    parameterization: \"v\"\n"
EPSILON_YAML = "model:\n  params:\n    timesteps: 1000\n"
SDXL_V_YAML = ("model:\n  params:\n    denoiser_config:\n      params:\n        scaling_config:\n"
               "          target: sgm.modules.diffusionmodules.denoiser_scaling.VScaling\n")


@pytest.mark.parametrize(("name", "yaml", "mark", "kind", "by"), [
    ("sd2", V_YAML, False, "v_prediction", "x.yaml"), ("sd2", EPSILON_YAML, True, "epsilon", "x.yaml"),
    ("sd2", None, True, "v_prediction", "a mark in the file"), ("sd2", None, False, "epsilon", "a test of its UNet"),
    ("sdxl", SDXL_V_YAML, False, "v_prediction", "x.yaml"), ("sdxl", None, False, "epsilon", ""),
    ("sdxl", SDXL_V_YAML.replace("VScaling", "EpsScaling"), True, "epsilon", "x.yaml"),
    ("sdxl", None, True, "v_prediction", "a mark in the file")])
def test_velocity_is_detected_from_the_yaml_or_the_file(short, tmp_path, name, yaml, mark, kind, by):
    path = tmp_path / "x.safetensors"
    save_state(load_file(short[name]) | ({"v_pred": torch.ones(0)} if mark else {}), path)
    if yaml:
        path.with_suffix(".yaml").write_text(yaml)
    base = load(path)
    assert (base.prediction_type, base.prediction_source) == (kind, by)
    if name == "sd2":
        assert base.family is (SD2_V if kind == "v_prediction" else SD2)


def test_sd2_without_any_word_is_detected_by_what_its_unet_answers_to_noise(short, tmp_path):
    state = load_file(short["sd2"])
    state["model.diffusion_model.out.2.bias"] = torch.full((4,), -10.0)
    base = load(save_state(state, tmp_path / "x.safetensors"))
    assert (base.prediction_type, base.family.resolution) == ("v_prediction", 768)


def test_metadata_names_velocity_and_a_mark_means_zero_terminal_snr(short, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "x.safetensors"
    save_file(load_file(short["sdxl"]) | {"ztsnr": torch.ones(0)}, path, {"modelspec.prediction_type": "v"})
    base = load(path)
    assert base.prediction_type == "v_prediction" and base.zero_terminal_snr
    assert not load(short["sdxl"]).zero_terminal_snr


def test_a_yaml_that_cannot_be_read_is_said(short, tmp_path):
    path = save_state(load_file(short["sdxl"]), tmp_path / "x.safetensors")
    path.with_suffix(".yaml").write_text("model: [")
    with pytest.raises(CheckpointError, match="x.yaml"):
        load(path)
