"""A LoRA at another rank is the best one of that rank."""

from __future__ import annotations

import json

import pytest
import safetensors.torch
import torch

from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.config.tool_jobs import tool_job_from
from lib_lora_train.errors import CheckpointError
from lib_lora_train.networks.metadata import network_metadata
from lib_lora_train.networks.save import load_network_file
from lib_lora_train.tools.change import change_of
from lib_lora_train.tools.resize import resize
from tests.tools.stand_ins import Reports, layer_of, randoms, save_layers

Q = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
CONV = "lora_unet_down_blocks_0_resnets_0_conv1"
SHAPES = {Q: (32, 32), CONV: (32, 32, 3, 3)}


def plain(rank=8, alpha=4.0):
    q = randoms(1, {"lora_up.weight": (32, rank), "lora_down.weight": (rank, 32)})
    conv = randoms(2, {"lora_up.weight": (32, rank, 1, 1), "lora_down.weight": (rank, 32, 3, 3)})
    return {Q: q | {"alpha": torch.tensor(alpha)}, CONV: conv | {"alpha": torch.tensor(alpha)}}


def changes(path, dyn=None):
    file = load_network_file(path)
    return {key: change_of(file.of_layer(key), torch.zeros(SHAPES[key]), 1.0, dyn).weight for key in file.facts.layers}


def job_for(path, **settings):
    return tool_job_from("resize", {"lora": str(path), "output_name": "small", "device": "cpu",
                                    "save_precision": "float"} | settings)


def test_the_error_is_the_tail_of_the_singular_values(tmp_path):
    path = save_layers(tmp_path / "a.safetensors", plain())
    reported = Reports()
    before, after = changes(path), changes(resize(job_for(path, network_dim=3, conv_dim=5), reported.work))
    lost = whole = 0.0
    for key, rank in ((Q, 3), (CONV, 5)):
        values = torch.linalg.svdvals(before[key].flatten(1))
        tail = float(values[rank:].norm())
        assert float((after[key] - before[key]).norm()) == pytest.approx(tail, rel=1e-4), key
        lost, whole = lost + tail ** 2, whole + float(values.square().sum())
    assert reported.results[0]["error"] == pytest.approx((lost / whole) ** 0.5, rel=1e-4)
    assert {layer["layer"]: layer["rank"] for layer in reported.results[0]["layers"]} == {Q: 3, CONV: 5}


def test_energy_gives_each_layer_a_rank_of_its_own(tmp_path):
    layers = plain()
    layers[Q]["lora_down.weight"] *= torch.logspace(0, -3, 8)[:, None]
    path = save_layers(tmp_path / "a.safetensors", layers)
    reported = Reports()
    made = load_network_file(resize(job_for(path, sv_fro=0.9), reported.work))
    ranks = {key: len(made.of_layer(key)["lora_down.weight"]) for key in SHAPES}
    for key, change in changes(path).items():
        values = torch.linalg.svdvals(change.flatten(1))
        assert ranks[key] == int((values.square().cumsum(0) / values.square().sum() < 0.81).sum()) + 2
    assert ranks[Q] < ranks[CONV] and float(made.of_layer(Q)["alpha"]) == ranks[Q]


@pytest.mark.parametrize("kind", ["loha", "lokr", "lokr whole", "full", "tucker", "loha tucker"])
def test_other_kinds_become_plain_where_that_is_asked_for(tmp_path, kind):
    keys = (CONV,) if "tucker" in kind else SHAPES
    layers = {key: layer_of(kind, 32, 32, 3 if key == CONV else 0) for key in keys}
    path = save_layers(tmp_path / "a.safetensors", layers)
    if kind != "tucker":
        with pytest.raises(CheckpointError, match="to_lora=true"):
            resize(job_for(path, network_dim=32), Reports().work)
    made = resize(job_for(path, network_dim=32, to_lora=True, output_name="plain"), Reports().work)
    before, after = changes(path), changes(made)
    assert all(after[key].shape == SHAPES[key] and (after[key] - before[key]).abs().max() < 1e-4 for key in keys)
    assert load_network_file(made).facts.problem is None


@pytest.mark.parametrize("kind", ["ia3", "ia3 input", "lora dora", "oft", "glora"])
def test_kinds_on_the_base_model_become_plain_with_their_checkpoint(tiny, tiny_file, tmp_path, kind):
    tensors = layer_of(kind, 32, 32, 0)
    path = save_layers(tmp_path / "a.safetensors", {Q: tensors})
    with pytest.raises(CheckpointError, match="checkpoint="):
        resize(job_for(path, network_dim=32, to_lora=True), Reports().work)
    weight = tiny.state["model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"]
    made = changes(resize(job_for(path, network_dim=32, to_lora=True, checkpoint=str(tiny_file)), Reports().work))[Q]
    assert (made - change_of(tensors, weight).weight).abs().max() < 1e-4


def test_oft_of_sd_scripts_becomes_plain_under_the_usual_name(tiny_file, tmp_path):
    path = save_layers(tmp_path / "a.safetensors", {
        "oft_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q": layer_of("oft", 32, 32, 0)})
    made = resize(job_for(path, network_dim=32, to_lora=True, checkpoint=str(tiny_file)), Reports().work)
    assert list(load_network_file(made).facts.layers) == [
        "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q"]


def dylora(path, unit=4):
    settings = NetworkSettings(network_type="LyCORIS-DyLoRA", network_dim=8, network_alpha=4, dylora_unit=unit)
    return save_layers(path, plain(), network_metadata(settings))


def test_a_dylora_is_cut_as_the_prompt_cuts_it(tmp_path):
    path = dylora(tmp_path / "a.safetensors")
    made = resize(job_for(path, network_dim=4), Reports().work)
    expected, after = changes(path, dyn=4), changes(made)
    assert all((after[key] - expected[key]).abs().max() < 1e-6 for key in SHAPES)
    best = changes(resize(job_for(path, network_dim=4, cut=False, output_name="best"), Reports().work))
    whole = changes(path)
    assert all((best[key] - whole[key]).norm() < (after[key] - whole[key]).norm() for key in SHAPES)
    with pytest.raises(CheckpointError, match="units of 4.*4, 8"):
        resize(job_for(path, network_dim=3, output_name="three"), Reports().work)


def test_trigger_and_base_stay_known(tmp_path):
    path = save_layers(tmp_path / "a.safetensors", plain(), {
        "modelspec.trigger_phrase": "penny", "ss_sd_model_name": "base.safetensors", "ss_base_model_version": "sd_v1",
        "ss_tag_frequency": json.dumps({"1_penny": {"penny": 3}}), "ss_network_dim": "8"})
    path.with_suffix(".json").write_text('{"activation text": "penny"}')
    made = resize(job_for(path, network_dim=2), Reports().work)
    metadata = load_network_file(made).metadata
    assert metadata["modelspec.trigger_phrase"] == "penny" and metadata["ss_sd_model_name"] == "base.safetensors"
    assert metadata["ss_network_dim"] == "2" and metadata["train_lora_resized_from"] == "a.safetensors"
    assert made.with_suffix(".json").read_text() == '{"activation text": "penny"}'


def test_only_the_curve_saves_nothing(tmp_path):
    path = save_layers(tmp_path / "a.safetensors", plain())
    reported = Reports()
    assert resize(job_for(path, only_curve=True), reported.work) is None
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]
    points = reported.results[0]["curve"]
    assert [point["rank"] for point in points] == [1, 2, 4, 8]
    assert points[-1]["error"] < 1e-5 and points[0]["error"] > points[1]["error"] > points[2]["error"]


def test_sizes_in_the_curve_are_those_of_the_files(tmp_path):
    path = save_layers(tmp_path / "a.safetensors", plain())
    reported = Reports()
    made = resize(job_for(path, network_dim=4), reported.work)
    tensors = sum(tensor.numel() * 4 for tensor in safetensors.torch.load_file(made).values())
    assert abs(reported.results[0]["bytes"] - tensors) < 1000
