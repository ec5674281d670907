"""Several LoRAs as one: what it changes is the sum of what they change."""

from __future__ import annotations

import pytest
import safetensors.torch
import torch

from lib_lora_train.config.tool_jobs import tool_job_from
from lib_lora_train.errors import CheckpointError
from lib_lora_train.networks.save import load_network_file
from lib_lora_train.tools.change import change_of
from lib_lora_train.tools.mix import mix
from tests.tools.stand_ins import Reports, layer_of, save_layers

Q = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
CONV = "lora_unet_down_blocks_0_resnets_0_conv1"
TE = "lora_te_text_model_encoder_layers_0_mlp_fc1"
SHAPES = {Q: (32, 32), CONV: (32, 32, 3, 3), TE: (160, 128)}


def layers(kind="lora", seed=1, keys=SHAPES):
    return {key: layer_of(kind, *SHAPES[key][:2], 3 if key == CONV else 0, seed + number)
            for number, key in enumerate(keys)}


def changes(path):
    file = load_network_file(path)
    return {key: change_of(file.of_layer(key), torch.zeros(SHAPES[key])).weight for key in file.facts.layers}


def job_for(paths, **settings):
    return tool_job_from("mix", {"loras": [str(path) for path in paths], "output_name": "both", "device": "cpu",
                                 "save_precision": "float"} | settings)


def test_ranks_are_put_side_by_side_where_none_is_asked_for(tmp_path):
    paths = [save_layers(tmp_path / "a.safetensors", layers()),
             save_layers(tmp_path / "b.safetensors", layers(seed=9, keys=(Q, CONV)))]
    reported = Reports()
    path = mix(job_for(paths, strengths=["0.5", "1:-2"]), reported.work)
    first, second, both = changes(paths[0]), changes(paths[1]), changes(path)
    for key in SHAPES:
        expected = 0.5 * first[key] + (-2 * second[key] if key in second else 0)
        assert (both[key] - expected).abs().max() < 1e-5, key
    file = load_network_file(path)
    assert {key: len(file.of_layer(key)["lora_down.weight"]) for key in SHAPES} == {Q: 4, CONV: 4, TE: 2}
    assert reported.results[0]["error"] < 1e-5 and file.facts.problem is None


@pytest.mark.parametrize("kind", ["loha", "lokr", "full", "lokr whole", "lora"])
def test_mixed_kinds_add_up_too(tmp_path, kind):
    paths = [save_layers(tmp_path / "a.safetensors", layers()),
             save_layers(tmp_path / "b.safetensors", layers(kind, 9))]
    both = changes(mix(job_for(paths), Reports().work))
    first, second = changes(paths[0]), changes(paths[1])
    for key in SHAPES:
        assert both[key].shape == SHAPES[key]
        assert (both[key] - first[key] - second[key]).abs().max() < 1e-4, key


def test_the_distance_to_the_exact_sum_is_said(tmp_path):
    paths = [save_layers(tmp_path / "a.safetensors", layers(keys=(Q,))),
             save_layers(tmp_path / "b.safetensors", layers(seed=9, keys=(Q,)))]
    reported = Reports()
    both = changes(mix(job_for(paths, network_dim=3), reported.work))[Q]
    exact = changes(paths[0])[Q] + changes(paths[1])[Q]
    values = torch.linalg.svdvals(exact)
    assert float((both - exact).norm()) == pytest.approx(float(values[3:].norm()), rel=1e-3)
    assert reported.results[0]["error"] == pytest.approx(float(values[3:].norm() / values.norm()), rel=1e-3)
    assert "distance to the exact sum" in reported.results[0]["sentences"][0]


def test_block_weights_count(tmp_path):
    path = save_layers(tmp_path / "a.safetensors", layers())
    both = changes(mix(job_for([path, path], strengths=["1:lbw=OUTALL", "1:lbw=INALL"]), Reports().work))
    single = changes(path)
    for key, factor in ((Q, 1), (CONV, 1), (TE, 2)):
        assert (both[key] - factor * single[key]).abs().max() < 1e-5, key


def test_norm_layers_add_up(tmp_path):
    norm = {"lora_unet_down_blocks_0_resnets_0_norm1": {"w_norm": torch.ones(32), "b_norm": torch.ones(32)}}
    path = save_layers(tmp_path / "a.safetensors", layers() | norm)
    made = safetensors.torch.load_file(mix(job_for([path, path], strengths=["1", "0.5"]), Reports().work))
    assert torch.equal(made["lora_unet_down_blocks_0_resnets_0_norm1.w_norm"], torch.full((32,), 1.5))


def test_both_spellings_of_a_layer_are_one(tmp_path):
    a = {"lora_unet_input_blocks_4_1_proj_in": layer_of("lora", 64, 64, 0)}
    b = {"lora_unet_down_blocks_1_attentions_0_proj_in": layer_of("lora", 64, 64, 0, 5)}
    paths = [save_layers(tmp_path / f"{number}.safetensors", one, {"ss_base_model_version": "sdxl_base_v1-0"})
             for number, one in enumerate((a, b))]
    made = load_network_file(mix(job_for(paths), Reports().work))
    assert list(made.facts.layers) == list(a) and made.metadata["ss_base_model_version"] == "sdxl_base_v1-0"


def test_ia3_needs_the_checkpoint_that_it_scales(tiny, tiny_file, tmp_path):
    tensors = layer_of("ia3", 32, 32, 0)
    paths = [save_layers(tmp_path / "a.safetensors", layers(keys=(Q,))),
             save_layers(tmp_path / "b.safetensors", {Q: tensors})]
    with pytest.raises(CheckpointError, match=r"b.safetensors is \(IA\)\^3.*checkpoint="):
        mix(job_for(paths), Reports().work)
    weight = tiny.state["model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"]
    both = changes(mix(job_for(paths, checkpoint=str(tiny_file)), Reports().work))[Q]
    assert (both - changes(paths[0])[Q] - weight * tensors["weight"][:, None]).abs().max() < 1e-4


def test_loras_of_two_families_are_named(tmp_path):
    sdxl = {"lora_unet_input_blocks_4_1_proj_in": layer_of("lora", 64, 64, 0)}
    paths = [save_layers(tmp_path / "a.safetensors", layers(), {"ss_base_model_version": "sd_v1"}),
             save_layers(tmp_path / "b.safetensors", sdxl, {"ss_base_model_version": "sdxl_base_v1-0"})]
    with pytest.raises(CheckpointError, match="is for SD 1.x, b.safetensors for SDXL"):
        mix(job_for(paths), Reports().work)
    other = save_layers(tmp_path / "c.safetensors", {Q: layer_of("lora", 64, 64, 0)})
    with pytest.raises(CheckpointError, match="different base models"):
        mix(job_for([paths[0], other]), Reports().work)


def test_bundled_embeddings_are_left_out_and_said(tmp_path):
    bundled = {"bundle_emb": {"penny.string_to_param.*": torch.ones(1, 8)}}
    path = save_layers(tmp_path / "a.safetensors", layers() | bundled)
    reported = Reports()
    made = mix(job_for([path]), reported.work)
    assert reported.warnings == ["a.safetensors has embeddings in it, which the new file will not have."]
    assert set(load_network_file(made).facts.layers) == set(SHAPES)
