"""A LoRA that is extracted from two checkpoints is their difference."""

from __future__ import annotations

import json
import math

import pytest
import safetensors.torch
import torch

from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.config.groups.tools import MergeJob
from lib_lora_train.config.tool_jobs import tool_job_from
from lib_lora_train.errors import CheckpointError, ConfigError, RunError
from lib_lora_train.networks.create import create_network
from lib_lora_train.tools.checkpoint_merge import merge
from lib_lora_train.tools.extract import extract
from lib_lora_train.tools.pair import open_pair, targets_of
from lib_lora_train.tools.work import Stopped
from tests.figures import count
from tests.tools.stand_ins import Reports, randoms

UNET = "model.diffusion_model."
RANK = 3


@pytest.fixture(scope="session")
def sd1_state(tiny):
    return tiny.state


def saved(state, path):
    safetensors.torch.save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)
    return path


def moved(state, names, rank=RANK, size=0.05):
    """``state`` with a change of ``rank`` in each of the weights ``names``, and those changes."""
    changes = {}
    for number, name in enumerate(names):
        out, into = len(state[name]), state[name][0].numel()
        parts = randoms(number, {"up": (out, rank), "down": (rank, into)}, size)
        changes[name] = (parts["up"] @ parts["down"]).reshape(state[name].shape)
    return {key: tensor + changes[key] if key in changes else tensor for key, tensor in state.items()}, changes


def layers_of_each_kind(state, family):
    """A Linear layer, a 1x1 and a 3x3 convolution of the UNet, and layers of each text encoder."""
    names = [name for name in state if name.startswith(UNET) and name.endswith(".weight")]
    found = [next(name for name in names if "attn1.to_q" in name), next(name for name in names if "ff.net.2" in name),
             next(name for name in names if name.endswith("proj_in.weight")),
             next(name for name in names if "in_layers.2" in name), next(name for name in names if ".op." in name),
             next(name for name in names if "skip_connection" in name),
             next(name for name in names if name.endswith(("1.conv.weight", "2.conv.weight")))]
    if family == "SD 1.x":
        return [*found, "cond_stage_model.transformer.text_model.encoder.layers.1.self_attn.k_proj.weight"]
    if family == "SD 2.x":
        return [*found, "cond_stage_model.model.transformer.resblocks.0.mlp.c_fc.weight"]
    return [*found, "conditioner.embedders.0.transformer.text_model.encoder.layers.0.mlp.fc1.weight",
            "conditioner.embedders.1.model.transformer.resblocks.0.attn.out_proj.weight"]


def change_in(tensors, key, shape):
    up, down = tensors[f"{key}.lora_up.weight"], tensors[f"{key}.lora_down.weight"]
    scale = float(tensors[f"{key}.alpha"]) / len(down)
    return (up.float().flatten(1) @ down.float().flatten(1)).reshape(shape) * scale


def job_for(folder, **settings):
    values = {"org": str(folder / "org.safetensors"), "tuned": str(folder / "tuned.safetensors"), "device": "cpu",
              "output_name": "penny", "output_dir": str(folder / "out"), "save_precision": "float",
              "network_dim": RANK, "conv_dim": RANK} | settings
    return tool_job_from("extract", {name: value for name, value in values.items() if value is not None})


@pytest.mark.parametrize("exact", [True, False])
def test_a_known_change_comes_out_in_each_type_of_layer(tmp_path, states, exact):
    family, state = "SD 1.x", states["SD 1.x"]
    tuned, changes = moved(state, layers_of_each_kind(state, family))
    saved(state, tmp_path / "org.safetensors"), saved(tuned, tmp_path / "tuned.safetensors")
    path = extract(job_for(tmp_path, exact=exact), Reports().work)
    tensors = safetensors.torch.load_file(path)
    found = []
    for name, change in changes.items():
        key = next(key for key in {name.partition(".")[0] for name in tensors} if
                   tensors[f"{key}.lora_up.weight"].shape[0] == len(change)
                   and tensors[f"{key}.lora_down.weight"][0].numel() == change[0].numel()
                   and (change_in(tensors, key, change.shape) - change).abs().max() < 1e-4)
        found.append(key)
    assert len(set(found)) == len(changes) == len({name.partition(".")[0] for name in tensors})


@pytest.mark.parametrize("family", ["SD 1.x", "SD 2.x", "SDXL", "SSD-1B"][:count(3, 4)])
def test_merged_again_the_difference_is_back_in_each_layer(tmp_path, states, family):
    state = states[family]
    tuned, _ = moved(state, layers_of_each_kind(state, family))
    saved(state, tmp_path / "org.safetensors"), saved(tuned, tmp_path / "tuned.safetensors")
    lora = extract(job_for(tmp_path), Reports().work)
    job = MergeJob(checkpoint=str(tmp_path / "org.safetensors"), loras=[str(lora)], output_name="back")
    back = safetensors.torch.load_file(merge(job, Reports().work))
    for name in state:
        assert (back[name].float() - tuned[name].float()).abs().max() < 1e-4, name


def test_all_matrices_of_an_open_clip_attention_are_in_the_file(tmp_path, states):
    """The webui uses none of them where one is missing."""
    name = "cond_stage_model.model.transformer.resblocks.0.attn.out_proj.weight"
    tuned, _ = moved(states["SD 2.x"], [name])
    saved(states["SD 2.x"], tmp_path / "org.safetensors"), saved(tuned, tmp_path / "tuned.safetensors")
    tensors = safetensors.torch.load_file(extract(job_for(tmp_path, sv_fro=0.99), Reports().work))
    assert {key.partition(".")[0].rpartition("self_attn_")[2] for key in tensors} == {
        "q_proj", "k_proj", "v_proj", "out_proj"}


def test_the_error_is_that_of_the_best_approximation(tmp_path, sd1_state):
    name = f"{UNET}input_blocks.1.0.in_layers.2.weight"
    noise = randoms(3, {"n": tuple(sd1_state[name].shape)}, 0.1)["n"]
    tuned = sd1_state | {name: sd1_state[name] + noise}
    saved(sd1_state, tmp_path / "org.safetensors"), saved(tuned, tmp_path / "tuned.safetensors")
    reported = Reports()
    tensors = safetensors.torch.load_file(extract(job_for(tmp_path), reported.work))
    change = change_in(tensors, "lora_unet_down_blocks_0_resnets_0_conv1", noise.shape)
    difference = (sd1_state[name] + noise) - sd1_state[name]
    values = torch.linalg.svdvals(difference.flatten(1))
    assert float((change - difference).norm()) == pytest.approx(float(values[RANK:].norm()), rel=1e-4)
    result = reported.results[0]
    assert result["error"] == pytest.approx(float(values[RANK:].norm() / values.norm()), rel=1e-4)
    for point in result["curve"]:
        assert point["error"] == pytest.approx(float(values[point["rank"]:].norm() / values.norm()), rel=1e-3, abs=1e-5)
    assert "error" in result["table"] and str(RANK) in result["table"]


@pytest.mark.parametrize("rule", [{"sv_fro": 0.9}, {"sv_ratio": 4}, {"sv_cumulative": 0.6},
                                  {"dynamic_method": "sv_fro", "dynamic_param": 0.5}])
def test_kept_energy_decides_as_in_sd_scripts(tmp_path, sd1_state, rule):
    name = f"{UNET}input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"
    change = randoms(3, {"n": tuple(sd1_state[name].shape)}, 0.1)["n"] * torch.logspace(0, -2, 32)
    saved(sd1_state, tmp_path / "org.safetensors")
    saved(sd1_state | {name: sd1_state[name] + change}, tmp_path / "tuned.safetensors")
    reported = Reports()
    extract(job_for(tmp_path, network_dim=None, conv_dim=None, **rule), reported.work)
    values = torch.linalg.svdvals(change)
    share = rule.get("sv_fro", rule.get("dynamic_param", 0))
    if "sv_ratio" in rule:
        expected = int((values > values[0] / 4).sum())
    elif "sv_cumulative" in rule:
        expected = int((values.cumsum(0) / values.sum() < 0.6).sum()) + 1
    else:
        expected = int((values.square().cumsum(0) / values.square().sum() < share ** 2).sum()) + 1
    assert [layer["rank"] for layer in reported.results[0]["layers"]] == [expected + 1]  # as in resize_lora.py


def test_an_unchanged_text_encoder_is_said_and_left_out(tmp_path, sd1_state):
    tuned, _ = moved(sd1_state, [f"{UNET}input_blocks.1.1.proj_in.weight"])
    saved(sd1_state, tmp_path / "org.safetensors")
    saved({key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in tuned.items()},
          tmp_path / "tuned.safetensors")  # rounding is no difference
    reported = Reports()
    tensors = safetensors.torch.load_file(extract(job_for(tmp_path), reported.work))
    assert {key.partition(".")[0] for key in tensors} == {"lora_unet_down_blocks_0_attentions_0_proj_in"}
    assert any("text encoder is the same" in text for text in reported.warnings)


def test_one_text_encoder_of_two_may_be_unchanged(tmp_path, states):
    name = "conditioner.embedders.1.model.transformer.resblocks.1.attn.in_proj_weight"
    tuned, _ = moved(states["SDXL"], [name])
    saved(states["SDXL"], tmp_path / "org.safetensors"), saved(tuned, tmp_path / "tuned.safetensors")
    reported = Reports()
    tensors = safetensors.torch.load_file(extract(job_for(tmp_path), reported.work))
    assert {key.partition(".")[0] for key in tensors} == {
        f"lora_te2_text_model_encoder_layers_1_self_attn_{part}_proj" for part in ("q", "k", "v", "out")}
    assert reported.warnings == ["The first text encoder is the same in both checkpoints, so the LoRA leaves it out."]


def test_values_are_clamped_at_the_quantile(tmp_path, sd1_state):
    tuned, _ = moved(sd1_state, [f"{UNET}input_blocks.1.1.proj_in.weight"])
    saved(sd1_state, tmp_path / "org.safetensors"), saved(tuned, tmp_path / "tuned.safetensors")
    reported = Reports()
    tensors = safetensors.torch.load_file(extract(job_for(tmp_path, clamp_quantile=0.9), reported.work))
    key = "lora_unet_down_blocks_0_attentions_0_proj_in"
    every = torch.cat([tensors[f"{key}.lora_up.weight"].flatten(), tensors[f"{key}.lora_down.weight"].flatten()])
    assert int((every == every.max()).sum()) >= len(every) // 10
    assert reported.results[0]["error"] > 0.01


@pytest.mark.parametrize(("kind", "conv_dim"), [("LoRA-LierLa", None), ("LoRA-C3Lier", 2), ("LyCORIS-LoCon", 2)])
def test_types_of_network_have_the_layers_that_training_has(tmp_path, sd1_state, tiny_base, kind, conv_dim):
    changed = [f"{UNET}{name}.weight" for name in ("input_blocks.0.0", "input_blocks.1.0.in_layers.2",
                                                   "input_blocks.1.1.proj_in")]
    tuned, _ = moved(sd1_state, changed)
    saved(sd1_state, tmp_path / "org.safetensors"), saved(tuned, tmp_path / "tuned.safetensors")
    pair = open_pair(tmp_path / "org.safetensors", tmp_path / "tuned.safetensors")
    network = create_network(NetworkSettings(kind, 2), tiny_base.unet, tiny_base.text_encoder, 0)
    assert {target.key for target in targets_of(pair, kind)} == {*network.unet_keys, *network.text_encoder_keys}
    reported = Reports()
    extract(job_for(tmp_path, network_type=kind, conv_dim=conv_dim, only_curve=True), reported.work)
    found = {layer["layer"] for layer in reported.results[0]["layers"]}
    wanted = ["lora_unet_down_blocks_0_attentions_0_proj_in", "lora_unet_down_blocks_0_resnets_0_conv1",
              "lora_unet_conv_in"]
    assert found == set(wanted[:1 + ["LoRA-LierLa", "LoRA-C3Lier", "LyCORIS-LoCon"].index(kind)])
    assert not list(tmp_path.glob("out/*"))


def test_the_file_says_where_it_comes_from(tmp_path, sd1_state):
    from lib_lora_train.networks.save import load_network_file

    tuned, _ = moved(sd1_state, [f"{UNET}input_blocks.1.1.proj_in.weight"])
    saved(sd1_state, tmp_path / "org.safetensors"), saved(tuned, tmp_path / "tuned.safetensors")
    file = load_network_file(extract(job_for(tmp_path), Reports().work))
    assert file.metadata["ss_sd_model_name"] == "org.safetensors"
    assert file.metadata["train_lora_extracted_from"] == "tuned.safetensors"
    assert file.metadata["ss_base_model_version"] == "sd_v1"
    assert json.loads(file.metadata["ss_network_args"])["conv_dim"] == RANK
    assert file.facts.problem is None and file.facts.dim == RANK


def test_old_checkpoints_are_taken_too(tmp_path, sd1_state):
    tuned, changes = moved(sd1_state, [f"{UNET}input_blocks.1.1.proj_in.weight"])
    torch.save({"state_dict": sd1_state}, tmp_path / "org.ckpt")
    torch.save({"state_dict": tuned}, tmp_path / "tuned.ckpt")
    job = job_for(tmp_path, org=str(tmp_path / "org.ckpt"), tuned=str(tmp_path / "tuned.ckpt"))
    tensors = safetensors.torch.load_file(extract(job, Reports().work))
    (change,) = changes.values()
    found = change_in(tensors, "lora_unet_down_blocks_0_attentions_0_proj_in", change.shape)
    assert (found - change).abs().max() < 1e-4


@pytest.mark.parametrize("one, other", [("SD 1.x", "SDXL"), ("SDXL", "SSD-1B"), ("SD 2.x", "SD 1.x")])
def test_two_families_are_named(tmp_path, states, one, other):
    saved(states[one], tmp_path / "org.safetensors"), saved(states[other], tmp_path / "tuned.safetensors")
    with pytest.raises(CheckpointError) as caught:
        extract(job_for(tmp_path), Reports().work)
    assert f"is {one} and" in str(caught.value) and f"is {other}." in str(caught.value)


def test_bad_files_are_refused_in_a_sentence(tmp_path, sd1_state):
    def refusal(**settings):
        with pytest.raises((CheckpointError, RunError)) as caught:
            extract(job_for(tmp_path, **settings), Reports().work)
        return str(caught.value)

    org = saved(sd1_state, tmp_path / "org.safetensors")
    tuned = saved(sd1_state, tmp_path / "tuned.safetensors")
    assert "does not differ" in refusal()
    assert "same file" in refusal(tuned=str(org))
    tuned.write_bytes(org.read_bytes()[:-1000])
    assert "damaged or truncated" in refusal()
    name = f"{UNET}input_blocks.1.1.proj_in.weight"
    tuned.unlink()
    saved({key: tensor for key, tensor in sd1_state.items() if key != name}, tuned)
    assert f"{name} is missing" in refusal()
    saved(sd1_state | {name: torch.full_like(sd1_state[name], math.nan)}, tuned)
    assert "not numbers" in refusal()
    assert "There is no checkpoint" in refusal(tuned=str(tmp_path / "none.safetensors"))
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out/PENNY.safetensors").touch()
    assert "never overwritten" in refusal()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["PENNY.safetensors"]


def test_a_full_disk_is_said_before_the_work(tmp_path, sd1_state, monkeypatch):
    tuned, _ = moved(sd1_state, [f"{UNET}input_blocks.1.1.proj_in.weight"])
    saved(sd1_state, tmp_path / "org.safetensors"), saved(tuned, tmp_path / "tuned.safetensors")
    usage = type("usage", (), {"free": 50_001_000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    reported = Reports()
    with pytest.raises(RunError, match="has no room for"):
        extract(job_for(tmp_path), reported.work)
    assert reported.steps == 0


def test_a_stop_saves_nothing(tmp_path, sd1_state):
    tuned, _ = moved(sd1_state, [f"{UNET}input_blocks.1.1.proj_in.weight"])
    saved(sd1_state, tmp_path / "org.safetensors"), saved(tuned, tmp_path / "tuned.safetensors")
    with pytest.raises(Stopped):
        extract(job_for(tmp_path), Reports(stop_after=2).work)
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("settings, words", [
    ({"network_dim": None}, "network_dim is missing"), ({"sv_fro": 0.9, "sv_ratio": 2}, "both decide"),
    ({"network_dim": 0}, "network_dim is 0"), ({"network_type": "LoRA-LierLa"}, "has no 3x3"),
    ({"netwrok_dim": 3}, "Did you mean"), ({"output_name": "a/b"}, "output_name"),
    ({"clamp_quantile": 2}, "clamp_quantile"),
    ({"org": None}, "org is missing"), ({"dynamic_method": "sv_max", "dynamic_param": 1}, "dynamic_method")])
def test_settings_that_cannot_be_used(tmp_path, settings, words):
    with pytest.raises(ConfigError, match=words):
        job_for(tmp_path, **settings)
