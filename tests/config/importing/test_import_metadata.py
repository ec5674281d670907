"""Settings out of a LoRA file: sd-scripts' ``ss_`` keys, and the whole job of files made here."""

from __future__ import annotations

import json

import pytest

from lib_lora_train.config.importing.read import read_lora_metadata
from lib_lora_train.config.importing.report import CHANGED, NOT_NEEDED
from lib_lora_train.config.job import Job
from lib_lora_train.config.load import job_to_dict, read_job
from lib_lora_train.errors import ConfigError

from .reading import Machine, answer_to, values_of

SS = {"ss_network_module": "lycoris.kohya", "ss_network_dim": "16", "ss_network_alpha": "8.0",
      "ss_network_args": json.dumps({"algo": "loha", "conv_dim": "4", "conv_alpha": "2"}),
      "ss_optimizer": "bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1,betas=(0.9, 0.99))",
      "ss_learning_rate": "0.0001", "ss_unet_lr": "0.0002", "ss_text_encoder_lr": "5e-05", "ss_num_epochs": "8",
      "ss_max_train_steps": "1200", "ss_resolution": "(512, 768)", "ss_clip_skip": "2", "ss_max_token_length": "225",
      "ss_seed": "7", "ss_min_snr_gamma": "5.0", "ss_shuffle_caption": "True", "ss_keep_tokens": "1",
      "ss_enable_bucket": "True", "ss_min_bucket_reso": "320", "ss_max_bucket_reso": "1024", "ss_noise_offset": "None",
      "ss_sd_model_name": "base.safetensors", "ss_mixed_precision": "fp16", "ss_lr_scheduler": "cosine",
      "ss_dataset_dirs": json.dumps({"10_penny": {"n_repeats": 10, "img_count": 20}}), "ss_steps": "1200",
      "ss_tag_frequency": "{}", "sshs_model_hash": "abc"}


def lora(folder, metadata):
    header = json.dumps({"__metadata__": metadata, "lora_unet_x.alpha": {"dtype": "F16", "shape": [], "data_offsets":
                                                                        [0, 2]}}).encode()
    path = folder / "penny.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    return path


def test_the_metadata_of_sd_scripts(tmp_path):
    imported = read_lora_metadata(lora(tmp_path, SS), {}, Machine(["base.safetensors"]))
    values = values_of(imported)
    assert (values["network.network_type"], values["network.conv_dim"]) == ("LyCORIS-LoHa", 4)
    assert values["optimizer.optimizer_type"] == "AdamW8bit"
    assert values["optimizer.optimizer_args"] == ["weight_decay=0.1", "betas=(0.9,0.99)"]
    assert (values["training.max_train_epochs"], values["training.max_train_steps"]) == (8, None)
    assert values["dataset.resolution"] == "512x768"
    assert values["base.checkpoint"] == "base.safetensors"
    assert values["loss.noise_offset"] == 0
    assert "10_penny (20 images, 10 repeats)" in answer_to(imported, "ss_dataset_dirs").value
    assert answer_to(imported, "ss_dataset_dirs").answer == CHANGED
    assert answer_to(imported, "ss_steps").answer == NOT_NEEDED
    assert {answer.option.split()[0] for answer in imported.answers} >= set(SS)
    assert read_job(imported.values)[1] == []


def test_settings_of_a_dataset_configuration_inside_the_metadata(tmp_path):
    datasets = [{"resolution": [640, 640], "enable_bucket": True, "batch_size_per_device": 3,
                 "subsets": [{"num_repeats": 4, "keep_tokens": 2, "shuffle_caption": True}]}]
    metadata = {key: value for key, value in SS.items() if key not in ("ss_resolution", "ss_keep_tokens")}
    imported = read_lora_metadata(lora(tmp_path, {**metadata, "ss_datasets": json.dumps(datasets)}), {}, Machine())
    values = values_of(imported)
    assert (values["dataset.resolution"], values["dataset.train_batch_size"]) == ("640", 3)
    assert (values["dataset.keep_tokens"], values["dataset.dataset_repeats"]) == (2, 4)


def test_a_file_made_here_gives_back_its_job(tmp_path):
    job = job_to_dict(Job())
    job["network"]["network_dim"], job["save"]["output_name"] = 7, "penny"
    job["base"]["checkpoint"], job["dataset"]["train_data_dir"] = "base.safetensors", "10_penny"
    path = lora(tmp_path, {"train_lora_job": json.dumps(job), **SS})
    values = values_of(read_lora_metadata(path, {}, Machine(["base.safetensors"])))
    assert (values["network.network_dim"], values["save.output_name"]) == (7, "penny")
    assert values["base.checkpoint"] == "base.safetensors"
    assert "dataset.train_data_dir" not in values
    assert values["optimizer.optimizer_type"] == "Prodigy"


def test_tensors_go_before_the_metadata(tmp_path):
    tensors = {"network_type": "LoRA-C3Lier", "network_dim": 4, "network_alpha": 2.0}
    values = values_of(read_lora_metadata(lora(tmp_path, SS), tensors, Machine()))
    assert (values["network.network_type"], values["network.network_dim"]) == ("LoRA-C3Lier", 4)


@pytest.mark.parametrize("content", [b"", b"\x10\0\0\0\0\0\0\0{", b"not a tensor file at all"])
def test_a_damaged_file_is_a_sentence(tmp_path, content):
    path = tmp_path / "penny.safetensors"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"penny\.safetensors is damaged"):
        read_lora_metadata(path, {}, Machine())
