"""A checkpoint with LoRAs merged into it computes what the base model does with them."""

from __future__ import annotations

import errno
import json
import math

import pytest
import safetensors.torch
import torch
import yaml

from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.config.tool_jobs import tool_job_from
from lib_lora_train.errors import CheckpointError, ConfigError, RunError, WriteError
from lib_lora_train.models.load import load_base
from lib_lora_train.networks.create import create_network
from lib_lora_train.networks.save import save_network
from lib_lora_train.tools.change import change_of, kind_of
from lib_lora_train.tools.checkpoint_merge import merge
from lib_lora_train.tools.work import Stopped
from tests.tools.stand_ins import Reports, layer_of, save_layers

TYPES = ["LyCORIS-LoCon", "LyCORIS-LoHa", "LyCORIS-LoKR", "LyCORIS-(IA)^3"]
UNET, TEXT = "model.diffusion_model.", "cond_stage_model.transformer.text_model.encoder.layers."
Q, Q_KEY = "input_blocks.1.1.transformer_blocks.0.attn1.to_q", \
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
CONV, CONV_KEY = "input_blocks.1.0.in_layers.2", "lora_unet_down_blocks_0_resnets_0_conv1"
TE, TE_KEY = "0.mlp.fc1", "lora_te_text_model_encoder_layers_0_mlp_fc1"


def job_for(checkpoint, loras, folder, **settings):
    return tool_job_from("merge", {"checkpoint": str(checkpoint), "loras": [str(path) for path in loras],
                                   "output_name": "both", "output_dir": str(folder / "out")} | settings)


def merged(checkpoint, loras, folder, reported=None, **settings):
    job = job_for(checkpoint, loras, folder, **settings)
    return safetensors.torch.load_file(merge(job, (reported or Reports()).work))


@pytest.mark.parametrize("network_type, settings", [*((kind, {}) for kind in TYPES),
                                                    ("LyCORIS-DyLoRA", {"dora_wd": True})])
def test_the_model_computes_what_the_base_does_with_the_lora(tiny_base, tiny_file, tmp_path, network_type, settings):
    network = create_network(NetworkSettings(network_type=network_type, network_dim=4, network_alpha=2, **settings),
                             tiny_base.unet, tiny_base.text_encoder, 0)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    save_network(tmp_path / "penny.safetensors", network, "float", {})
    path = merge(job_for(tiny_file, [tmp_path / "penny.safetensors"], tmp_path), Reports().work)
    copy = load_base(path, None, dtype=torch.float32, device="cpu")
    latents, context = torch.randn(1, 4, 16, 16, generator=generator), torch.randn(1, 7, 128, generator=generator)
    tokens = torch.arange(77)[None]
    with torch.no_grad():
        expected = tiny_base.unet(latents, 500, context).sample
        text = tiny_base.text_encoder(tokens).last_hidden_state
        network.detach()
        before = tiny_base.unet(latents, 500, context).sample
        assert (copy.unet(latents, 500, context).sample - expected).abs().max() < 1e-5 * expected.abs().max()
        assert (copy.text_encoder(tokens).last_hidden_state - text).abs().max() < 1e-4
    assert (before - expected).abs().max() > 1e-3


def expected_change(kind, tensors, weight):
    """What each kind that is not trained here adds, written down anew."""
    if kind == "full":
        return tensors["diff"]
    if kind == "glora":
        return tensors["b2.weight"] @ tensors["b1.weight"] + weight @ tensors["a2.weight"] @ tensors["a1.weight"]
    if kind == "tucker":
        core = torch.einsum("abkl,bi->aikl", tensors["lora_mid.weight"], tensors["lora_down.weight"].flatten(1))
        return torch.einsum("oa,aikl->oikl", tensors["lora_up.weight"].flatten(1), core) / 2
    if kind == "loha tucker":
        halves = [torch.einsum("ao,abkl,bi->oikl", tensors[f"hada_w{n}_a"], tensors[f"hada_t{n}"],
                               tensors[f"hada_w{n}_b"]) for n in (1, 2)]
        return halves[0] * halves[1] / 2
    if kind == "lokr whole":
        return torch.kron(tensors["lokr_w1"], tensors["lokr_w2"])
    blocks = tensors["oft_diag" if kind == "old oft" else "oft_blocks"]
    if kind == "oft":
        skew = blocks - blocks.mT
        limit = float(tensors["alpha"]) * len(weight)
        skew = skew * min(1.0, limit / float(skew.norm()))
        blocks = torch.linalg.solve(torch.eye(skew.shape[-1]) - skew, torch.eye(skew.shape[-1]) + skew, left=False)
    return torch.block_diag(*blocks.mT) @ weight - weight


@pytest.mark.parametrize("kind, kernel", [("full", 0), ("full", 3), ("glora", 0), ("tucker", 3), ("loha tucker", 3),
                                          ("lokr whole", 0), ("oft", 0), ("old oft", 0)])
def test_kinds_that_are_not_trained_here(tiny, tiny_file, tmp_path, kind, kernel):
    name, key = (CONV, CONV_KEY) if kernel else (Q, Q_KEY)
    weight = tiny.state[f"{UNET}{name}.weight"]
    tensors = layer_of(kind, *weight.shape[:2], kernel)
    state = merged(tiny_file, [save_layers(tmp_path / "o.safetensors", {key: tensors})], tmp_path)
    expected = weight + expected_change(kind, tensors, weight).reshape(weight.shape)
    assert (state[f"{UNET}{name}.weight"] - expected).abs().max() < 1e-5
    if kind == "full" and kernel:
        assert torch.allclose(state[f"{UNET}{name}.bias"], tiny.state[f"{UNET}{name}.bias"] + tensors["diff_b"])
    others = [other for other in state if name not in other]
    assert all(torch.equal(state[other], tiny.state[other]) for other in others)


def test_butterflies_turn_without_stretching():
    tensors = layer_of("boft", 16, 8, 0)
    weight = torch.randn(16, 8, generator=torch.Generator().manual_seed(1))
    turned = weight + change_of(tensors, weight).weight
    assert torch.allclose(turned.norm(dim=0), weight.norm(dim=0), atol=1e-5)
    assert (turned - weight).abs().max() > 0.001


def test_norms_add_up(tiny, tiny_file, tmp_path):
    tensors = {"w_norm": torch.full((32,), 0.5), "b_norm": torch.full((32,), -0.25)}
    path = save_layers(tmp_path / "n.safetensors", {"lora_unet_down_blocks_0_resnets_0_norm1": tensors})
    state = merged(tiny_file, [path], tmp_path, strengths=["0.5"])
    norm = f"{UNET}input_blocks.1.0.in_layers.0"
    assert torch.allclose(state[f"{norm}.weight"], tiny.state[f"{norm}.weight"] + 0.25)
    assert torch.allclose(state[f"{norm}.bias"], tiny.state[f"{norm}.bias"] - 0.125)


def three_layers(seed=1, kind="lora"):
    return {Q_KEY: layer_of(kind, 32, 32, 0, seed), CONV_KEY: layer_of(kind, 32, 32, 3, seed + 1),
            TE_KEY: layer_of(kind, 160, 128, 0, seed + 2)}


@pytest.mark.parametrize("text, factors", [
    ("0.8", (0.8, 0.8, 0.8)), ("0.8:0.6", (0.8, 0.6, 0.6)), ("te=0.5:unet=1", (0.5, 1, 1)), ("0", (0, 0, 0)),
    ("1:0.5:lbw=0.5,2,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", (0.5, 1, 1)), ("-1", (-1, -1, -1)),
    ("1:lbw=OUTALL", (1, 0, 0)), ("1:lbw=NONE", (0, 0, 0))])
def test_strengths_are_those_of_a_prompt(tiny, tiny_file, tmp_path, text, factors):
    layers = three_layers()
    state = merged(tiny_file, [save_layers(tmp_path / "p.safetensors", layers)], tmp_path, strengths=[text])
    for (key, name), factor in zip(((TE_KEY, TEXT + TE), (Q_KEY, UNET + Q), (CONV_KEY, UNET + CONV)), factors,
                                   strict=True):
        weight = tiny.state[f"{name}.weight"]
        change = (layers[key]["lora_up.weight"].flatten(1) @ layers[key]["lora_down.weight"].flatten(1)) / 2
        assert (state[f"{name}.weight"] - weight - factor * change.reshape(weight.shape)).abs().max() < 1e-5, name


def test_the_second_lora_meets_the_weights_of_the_first(tiny, tiny_file, tmp_path):
    first, second = layer_of("lora", 32, 32, 0), layer_of("ia3", 32, 32, 0, 7)
    paths = [save_layers(tmp_path / "a.safetensors", {Q_KEY: first}),
             save_layers(tmp_path / "b.safetensors", {Q_KEY: second})]
    weight = tiny.state[f"{UNET}{Q}.weight"] + first["lora_up.weight"] @ first["lora_down.weight"] / 2
    state = merged(tiny_file, paths, tmp_path, strengths=["1", "0.5"])
    assert torch.allclose(state[f"{UNET}{Q}.weight"], weight * (1 + 0.5 * second["weight"][:, None]), atol=1e-5)


@pytest.mark.parametrize("precision, dtype", [("fp16", torch.float16), ("bf16", torch.bfloat16),
                                              ("float", torch.float32), ("", torch.float32)])
def test_the_number_format_is_chosen(tiny_file, tmp_path, precision, dtype):
    path = save_layers(tmp_path / "p.safetensors", three_layers())
    state = merged(tiny_file, [path], tmp_path, save_precision=precision)
    assert state[f"{UNET}{Q}.weight"].dtype == dtype and state["first_stage_model.decoder.conv_in.bias"].dtype == dtype
    assert state["alphas_cumprod"].dtype == torch.float32
    assert state["cond_stage_model.transformer.text_model.embeddings.position_ids"].dtype == torch.int64


def test_the_file_names_what_is_in_it(tiny, tmp_path):
    checkpoint = tmp_path / "base.safetensors"
    safetensors.torch.save_file(tiny.state | {"model_ema.num_updates": torch.ones(2)}, checkpoint,
                                {"modelspec.author": "somebody"})
    checkpoint.with_suffix(".yaml").write_text(yaml.safe_dump({"model": {"params": {"parameterization": "eps"}}}))
    lora = save_layers(tmp_path / "p.safetensors", three_layers())
    reported = Reports()
    path = merge(job_for(checkpoint, [lora], tmp_path, strengths=["0.8:0.5"]), reported.work)
    with safetensors.safe_open(path, "pt") as file:
        metadata, names = file.metadata(), list(file.keys())
    recipe = json.loads(metadata["sd_merge_recipe"])
    assert recipe["checkpoint"] == "base.safetensors" and len(recipe["checkpoint_sha256"]) == 64
    assert recipe["loras"][0]["strength"] == "0.8:0.5" and recipe["loras"][0]["name"] == "p.safetensors"
    assert metadata["modelspec.author"] == "somebody" and metadata["modelspec.title"] == "both"
    assert path.with_suffix(".yaml").read_text() == checkpoint.with_suffix(".yaml").read_text()
    assert "model_ema.num_updates" not in names and any("EMA" in text for text in reported.said)


@pytest.mark.parametrize("key", ["lora_unet_input_blocks_4_1_proj_in", "lora_unet_down_blocks_1_attentions_0_proj_in"])
def test_both_spellings_of_sdxl(tmp_path, states, key):
    state = states["SDXL"]
    safetensors.torch.save_file(state, tmp_path / "xl.safetensors")
    layers = {key: layer_of("lora", 64, 64, 0), "lora_te1_text_model_encoder_layers_0_mlp_fc1":
              layer_of("lora", *state["conditioner.embedders.0.transformer.text_model.encoder.layers.0.mlp.fc1.weight"]
                       .shape, 0)}
    made = merged(tmp_path / "xl.safetensors", [save_layers(tmp_path / "p.safetensors", layers)], tmp_path)
    changed = {name for name in state if not torch.equal(made[name], state[name])}
    assert changed == {f"{UNET}input_blocks.4.1.proj_in.weight",
                       "conditioner.embedders.0.transformer.text_model.encoder.layers.0.mlp.fc1.weight"}


def test_attention_of_open_clip_needs_all_four_matrices_as_in_the_webui(tmp_path, states):
    state = states["SD 2.x"]
    safetensors.torch.save_file(state, tmp_path / "two.safetensors")
    keys = [f"lora_te_text_model_encoder_layers_0_self_attn_{part}_proj" for part in ("q", "k", "v", "out")]
    layers = {key: layer_of("lora", 128, 128, 0, number) for number, key in enumerate(keys)}
    whole = merged(tmp_path / "two.safetensors", [save_layers(tmp_path / "a.safetensors", layers)], tmp_path)
    name = "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight"
    change = torch.cat([layers[key]["lora_up.weight"] @ layers[key]["lora_down.weight"] / 2 for key in keys[:3]])
    assert torch.allclose(whole[name], state[name] + change, atol=1e-6)
    reported = Reports()
    del layers[keys[1]]
    layers["lora_te_text_model_encoder_layers_0_mlp_fc1"] = layer_of(
        "lora", *state["cond_stage_model.model.transformer.resblocks.0.mlp.c_fc.weight"].shape, 0)
    part = merged(tmp_path / "two.safetensors", [save_layers(tmp_path / "b.safetensors", layers)], tmp_path, reported,
                  output_name="part")
    assert torch.equal(part[name], state[name])
    assert any("only some of the matrices" in text for text in reported.warnings)


def test_biases_without_a_place_are_left_out_and_said(tiny_file, states, tmp_path):
    """q, k and v of OpenCLIP lie in one matrix, whose bias the webui does not touch; to_q of a UNet has no bias."""
    state = states["SD 2.x"]
    safetensors.torch.save_file(state, tmp_path / "two.safetensors")
    keys = [f"lora_te_text_model_encoder_layers_0_self_attn_{part}_proj" for part in ("q", "k", "v", "out")]
    layers = {key: layer_of("full", 128, 128, 0, number) for number, key in enumerate(keys)}
    reported = Reports()
    made = merged(tmp_path / "two.safetensors", [save_layers(tmp_path / "a.safetensors", layers)], tmp_path, reported)
    attention = "cond_stage_model.model.transformer.resblocks.0.attn"
    assert torch.equal(made[f"{attention}.in_proj_bias"], state[f"{attention}.in_proj_bias"])
    bias = state[f"{attention}.out_proj.bias"] + layers[keys[3]]["diff_b"]
    assert torch.allclose(made[f"{attention}.out_proj.bias"], bias)
    assert "adds to the bias of 3 layers" in reported.warnings[0]
    reported = Reports()
    path = save_layers(tmp_path / "b.safetensors", {Q_KEY: layer_of("full", 32, 32, 0)})
    made = merged(tiny_file, [path], tmp_path, reported, output_name="q")
    assert f"{UNET}{Q}.bias" not in made and "adds to the bias of 1 layers" in reported.warnings[0]


@pytest.mark.parametrize("kind, dtype", [("loha", torch.float16), ("lokr", torch.bfloat16), ("full", torch.float16),
                                         ("lora", torch.float16)])
def test_kinds_are_calculated_in_the_numbers_that_the_webui_takes(tiny, tiny_file, tmp_path, kind, dtype):
    """A plain LoRA in float32; the others as they are stored, which rounds the whole weight."""
    tensors = {name: tensor.to(dtype) if name != "alpha" else tensor
               for name, tensor in layer_of(kind, 32, 32, 0).items() if name != "diff_b"}
    state = merged(tiny_file, [save_layers(tmp_path / "p.safetensors", {Q_KEY: tensors})], tmp_path)
    weight = state[f"{UNET}{Q}.weight"]
    assert torch.equal(weight.to(dtype).float(), weight) == (kind != "lora")


def test_what_cannot_be_merged_is_said_before_the_work(tiny, tiny_file, tmp_path):
    def refusal(layers, settings=None, checkpoint=tiny_file, metadata=None):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.safetensors"
        save_layers(path, layers, metadata)
        reported = Reports()
        with pytest.raises((CheckpointError, ConfigError, RunError)) as caught:
            merge(job_for(checkpoint, [path], tmp_path, **(settings or {})), reported.work)
        assert reported.steps == 0 and not list(tmp_path.glob("out/*.tmp"))
        return str(caught.value)

    sdxl = {"lora_unet_input_blocks_4_1_proj_in": layer_of("lora", 128, 128, 0),
            "lora_te2_text_model_encoder_layers_0_mlp_fc1": layer_of("lora", 8, 8, 0)}
    assert "is for SDXL" in refusal(sdxl) and "is SD 1.x" in refusal(sdxl)
    assert "is for SSD-1B" in refusal(three_layers(), metadata={"ss_base_model_version": "sdxl_ssd-1b"})
    assert "have other shapes" in refusal({Q_KEY: layer_of("lora", 64, 32, 0)})
    assert "are not in the checkpoint" in refusal({"lora_unet_down_blocks_3_attentions_0_proj_in":
                                                   layer_of("lora", 32, 32, 0)})
    broken = three_layers()
    broken[Q_KEY]["lora_up.weight"][0, 0] = math.nan
    assert "not numbers" in refusal(broken)
    incomplete = three_layers()
    del incomplete[Q_KEY]["lora_up.weight"]
    assert "of a kind that the webui does not know" in refusal(incomplete)
    for text in ("strong", "1:lbw=NOSUCH", "1:lbw=1,2,3,4", "1:step=5-10"):
        assert "cannot be" in refusal(three_layers(), {"strengths": [text]}), text
    assert "strengths has 2 entries for 1" in refusal(three_layers(), {"strengths": ["1", "1"]})
    (tmp_path / "out").mkdir()
    (tmp_path / "out/both.safetensors").write_bytes(b"mine")
    assert "never overwritten" in refusal(three_layers())
    assert (tmp_path / "out/both.safetensors").read_bytes() == b"mine"


def test_numbers_that_do_not_fit_are_refused_and_nothing_stays(tiny_file, tmp_path):
    layers = {Q_KEY: {name: tensor * 100 for name, tensor in three_layers()[Q_KEY].items()}}
    path = save_layers(tmp_path / "p.safetensors", layers)
    with pytest.raises(CheckpointError, match="become too large"):
        merge(job_for(tiny_file, [path], tmp_path, strengths=["9999"], save_precision="fp16"), Reports().work)
    assert not list((tmp_path / "out").iterdir())


def test_a_full_disk_and_a_stop_leave_nothing(tiny_file, tmp_path, monkeypatch):
    path = save_layers(tmp_path / "p.safetensors", three_layers())
    with pytest.raises(Stopped):
        merge(job_for(tiny_file, [path], tmp_path), Reports(stop_after=20).work)
    assert not list((tmp_path / "out").iterdir())

    def full(name, entry):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(WriteError, match="The disk is full"):
        patch.setattr("lib_lora_train.tools.stream._bytes", full)
        merge(job_for(tiny_file, [path], tmp_path), Reports().work)
    assert not list((tmp_path / "out").iterdir())
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("usage", (), {"free": 1000}))
    with pytest.raises(RunError, match="has no room"):
        merge(job_for(tiny_file, [path], tmp_path), Reports().work)


@pytest.mark.parametrize("kind", ["lora", "loha", "lokr", "full", "ia3", "glora", "oft", "old oft", "boft", "tucker",
                                  "lora dora"])
def test_each_kind_is_detected_by_its_tensors(kind):
    assert kind_of(layer_of(kind, 16, 16, 3 if kind == "tucker" else 0)) is not None
