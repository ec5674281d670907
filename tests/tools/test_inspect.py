"""What is in a LoRA file, whoever made it."""

from __future__ import annotations

import json
import math

import pytest
import torch
import yaml

from lib_lora_train.__main__ import main
from lib_lora_train.config.load import job_to_dict, read_job
from lib_lora_train.errors import CheckpointError
from lib_lora_train.runs.events import read_events
from lib_lora_train.runs.folder import create_run
from lib_lora_train.tools.inspect import inspect
from tests.tools.stand_ins import layer_of, randoms, save_layers

Q = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
CONV = "lora_unet_down_blocks_0_resnets_0_conv1"
TE = "lora_te_text_model_encoder_layers_0_mlp_fc1"
SD_SCRIPTS = {
    "ss_learning_rate": "0.0003", "ss_unet_lr": "None", "ss_optimizer":
    "bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1,betas=(0.9, 0.99))", "ss_num_epochs": "12",
    "ss_batch_size_per_device": "2", "ss_resolution": "(512, 768)", "ss_lr_scheduler": "cosine_with_restarts",
    "ss_clip_skip": "2", "ss_min_snr_gamma": "5.0", "ss_shuffle_caption": "True", "ss_keep_tokens": "1",
    "ss_network_module": "networks.lora", "ss_seed": "31337", "ss_mixed_precision": "fp16",
    "ss_sd_model_name": "nai.ckpt", "ss_base_model_version": "sd_v1",
    "ss_tag_frequency": json.dumps({"10_penny": {"penny": 20, "smile ": 4}, "1_more": {"smile": 3}})}


def three():
    return {Q: layer_of("lora", 32, 32, 0), CONV: layer_of("lora", 32, 32, 3, 2), TE: layer_of("lora", 16, 8, 0, 3)}


def test_a_file_of_sd_scripts(tmp_path):
    layers = three()
    found = inspect(save_layers(tmp_path / "penny.safetensors", layers, SD_SCRIPTS))
    assert (found["layers"], found["unet_layers"], found["text_encoder_layers"]) == (3, 2, 1)
    assert found["ranks"] == {"2": 3} and found["alphas"] == {"1": 3}
    assert found["tags"] == [["penny", 20], ["smile", 7]] and found["family"] == "SD 1.x"
    assert found["base_model"]["name"] == "nai.ckpt" and "C3Lier" in found["kind"]
    for block, keys in (("BASE", [TE]), ("IN01", [Q, CONV])):
        products = [layers[key]["lora_up.weight"].flatten(1) @ layers[key]["lora_down.weight"].flatten(1) / 2
                    for key in keys]
        squares = sum(float(product.square().sum()) for product in products)
        assert found["norms"][block] == pytest.approx(math.sqrt(squares), rel=1e-4)
    job = yaml.safe_load(found["job"])
    assert job["optimizer"]["optimizer_type"] == "AdamW8bit" and job["optimizer"]["learning_rate"] == 0.0003
    assert job["dataset"]["resolution"] == "512x768" and job["dataset"]["keep_tokens"] == 1
    assert job["training"]["max_train_epochs"] == 12 and job["network"]["network_dim"] == 2
    assert read_job(job)[1] == [] and found["job_from"] == "its metadata"


def test_settings_of_ones_own_file_are_the_job(tmp_path):
    own = job_to_dict(read_job({"network": {"network_dim": 7}, "optimizer": {"optimizer_type": "Prodigy"}})[0])
    found = inspect(save_layers(tmp_path / "a.safetensors", three(), {"train_lora_job": json.dumps(own)}))
    assert yaml.safe_load(found["job"])["optimizer"]["optimizer_type"] == "Prodigy"
    assert yaml.safe_load(found["job"])["network"]["network_dim"] == 2  # the tensors know better


@pytest.mark.parametrize("kind, words", [("loha", "LoHa"), ("lokr", "LoKR"), ("ia3", "(IA)^3"),
                                         ("full", "whole weights"),
                                         ("oft", "OFT"), ("glora", "GLoRA"), ("boft", "OFT"), ("lora dora", "DoRA"),
                                         ("old oft", "OFT")])
def test_every_kind_is_detected(tmp_path, kind, words):
    found = inspect(save_layers(tmp_path / "a.safetensors", {Q: layer_of(kind, 32, 32, 0)}))
    assert words in found["kind"]
    known = kind in ("loha", "lokr", "full", "lora dora")
    assert bool(found["norms"]) == known and found["norms_unknown"] == (0 if known else 1)


@pytest.mark.parametrize("layer, names", [
    ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", ("lora_A.weight", "lora_B.weight")),
    ("base_model.model.mid_block.attentions.0.proj_in", ("lora_A.default.weight", "lora_B.default.weight")),
    ("unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k", ("lora.down.weight", "lora.up.weight"))])
def test_names_of_other_programs(tmp_path, layer, names):
    tensors = dict(zip(names, randoms(1, {"down": (3, 8), "up": (8, 3)}).values(), strict=True))
    found = inspect(save_layers(tmp_path / "a.safetensors", {layer: tensors}))
    assert found["ranks"] == {"3": 1} and found["layers"] == 1 and len(found["norms"]) == 1


def test_a_pickled_file_and_one_with_nan(tmp_path):
    layers = three()
    layers[Q]["lora_up.weight"][0] = math.nan
    torch.save({f"{key}.{name}": tensor for key, tensors in layers.items() for name, tensor in tensors.items()},
               tmp_path / "old.pt")
    found = inspect(tmp_path / "old.pt")
    assert found["broken"] == [f"{Q}.lora_up.weight"] and any("NaN" in text for text in found["sentences"])
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_what_is_no_lora_is_said(tiny_file, tmp_path):
    with pytest.raises(CheckpointError, match="is not a LoRA"):
        inspect(tiny_file)
    path = save_layers(tmp_path / "a.safetensors", three())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="damaged"):
        inspect(path)


def test_it_prints_sentences_and_the_job_or_json(tmp_path, capsys):
    path = save_layers(tmp_path / "penny.safetensors", three(), SD_SCRIPTS)
    path.with_suffix(".json").write_text('{"activation text": "penny girl"}')
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    assert "Trigger word: penny girl." in text and "network_dim: 2" in text and "penny (20)" in text
    assert main(["inspect", "--json", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["trigger"] == "penny girl"


def test_in_a_run_folder_it_leaves_its_result_there(tmp_path):
    path = save_layers(tmp_path / "penny.safetensors", three())
    run = create_run(tmp_path / "runs", "inspect-penny", f"lora: {path}\n", "inspect")
    assert main(["inspect", str(run.job_file)]) == 0
    assert json.loads(run.result_file.read_text())["layers"] == 3
    assert [event["event"] for event in read_events(run.events_file)[0]] == ["phase", "result", "finished"]


@pytest.mark.parametrize("content, words", [
    ({"string_to_token": {"*": 265}, "string_to_param": {"*": torch.zeros(2, 768)}, "name": "x"},
     "is a textual inversion embedding, not a LoRA"),
    ({768: [{"linear.0.weight": torch.zeros(2, 2)}], "step": 5}, "is a hypernetwork, not a LoRA"),
    ({"decoder.norm_out.weight": torch.zeros(2), "encoder.conv_in.weight": torch.zeros(2)}, "not a LoRA, but a VAE"),
    ({"step": 5}, "holds no weights by name, so it is not a LoRA"), ([1, 2], "so it is not a LoRA")])
def test_old_kinds_of_files_are_named(tmp_path, content, words):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=words):
        inspect(tmp_path / "x.pt")


@pytest.mark.parametrize("name", ["x.safetensors", "x.pt"])
@pytest.mark.parametrize("content", [b"", b"<html>login</html>", b"version https://git-lfs.github.com/spec", b"\0" * 9])
def test_damaged_files_are_said_to_be_no_usable_lora(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="LoRA"):
        inspect(tmp_path / name)
