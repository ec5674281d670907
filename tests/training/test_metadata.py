from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from lib_lora_train.batches.summary import BucketSummary, DatasetSummary, FolderSummary
from lib_lora_train.config.job import Job
from lib_lora_train.config.load import read_job
from lib_lora_train.models.family import SD1
from lib_lora_train.models.hashes import ModelHashes
from lib_lora_train.training.metadata import TrainingFacts, build_metadata, sidecar_json

DATASET = DatasetSummary(
    folders=(FolderSummary("10_penny", 10, 12), FolderSummary("3_hat", 3, 4)),
    buckets=(BucketSummary(512, 512, 100), BucketSummary(448, 576, 32)),
    tag_frequency={"10_penny": {"penny": 12, "smile": 5}, "3_hat": {"hat": 4, "smile": 1}})
FACTS = TrainingFacts(
    step=600, epoch=4, base_checkpoint=Path("/home/someone/models/anime.safetensors"),
    base_hashes=ModelHashes("ab" * 32, "12345678", "cd" * 32, "87654321"), family=SD1, prediction_type="epsilon",
    base_vae=Path("/home/someone/vae/good.pt"), total_steps=1500, total_epochs=10, batches_per_epoch=150)


@pytest.fixture
def job() -> Job:
    values = {"base": {"checkpoint": "/home/someone/models/anime.safetensors", "clip_skip": 2},
              "dataset": {"train_data_dir": "/home/someone/pictures/penny", "resolution": "512x768",
                          "activation_tag": "penny", "train_batch_size": 2},
              "network": {"network_dim": 16, "network_alpha": 0},
              "optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-4, "optimizer_args": ["weight_decay=0.1"]},
              "save": {"output_name": "penny", "output_dir": "/home/someone/loras", "training_comment": 'first "try"'}}
    made, problems = read_job(values)
    assert problems == []
    return made


def as_the_webui_reads(metadata: dict[str, str]) -> dict[str, Any]:
    """The webui decodes values that begin with a brace and takes the others as they are."""
    return {key: json.loads(value) if value[:1] == "{" else value for key, value in metadata.items()}


def test_every_value_is_a_text(job):
    metadata = build_metadata(job, DATASET, FACTS)
    assert all(isinstance(key, str) and isinstance(value, str) for key, value in metadata.items())
    assert "None" not in metadata.values()


def test_what_the_webui_shows_of_a_lora_is_there(job):
    read = as_the_webui_reads(build_metadata(job, DATASET, FACTS, "penny-000004"))
    assert read["ss_output_name"] == "penny-000004"
    assert read["ss_sd_model_name"] == "anime.safetensors"
    assert (read["ss_clip_skip"], read["ss_network_module"]) == ("2", "networks.lora")
    assert [(bucket["resolution"], int(bucket["count"])) for bucket in read["ss_bucket_info"]["buckets"].values()] == [
        ([512, 512], 100), ([448, 576], 32)]
    assert sum(int(folder["img_count"]) for folder in read["ss_dataset_dirs"].values()) == 16
    assert read["ss_tag_frequency"]["10_penny"] == {"penny": 12, "smile": 5}
    assert (read["ss_resolution"], read["ss_num_train_images"]) == ("(512, 768)", "132")


def test_the_webui_takes_it_for_sd1(job):
    metadata = build_metadata(job, DATASET, FACTS)
    assert not metadata["ss_base_model_version"].startswith("sdxl_")
    assert metadata["ss_v2"] == "False"


def test_base_network_and_run_are_reported(job):
    metadata = build_metadata(job, DATASET, FACTS)
    expected = {"ss_new_sd_model_hash": "ab" * 32, "ss_sd_model_hash": "12345678", "ss_new_vae_hash": "cd" * 32,
                "ss_vae_name": "good.pt", "ss_network_dim": "16", "ss_network_alpha": "16.0", "ss_steps": "600",
                "ss_epoch": "4", "ss_num_epochs": "10", "ss_max_train_steps": "1500", "ss_seed": "42",
                "ss_unet_lr": "0.0001", "ss_optimizer": "AdamW(weight_decay=0.1)", "ss_total_batch_size": "2",
                "ss_min_snr_gamma": "5.0", "ss_training_comment": 'first "try"'}
    assert expected.items() <= metadata.items()


def test_the_model_spec_is_complete(job):
    metadata = build_metadata(job, DATASET, FACTS, "penny-000004")
    spec = {key.removeprefix("modelspec."): value for key, value in metadata.items() if key.startswith("modelspec.")}
    assert {"sai_model_spec", "architecture", "implementation", "title", "resolution"} <= set(spec)
    assert spec["architecture"] == "stable-diffusion-v1/lora"
    assert (spec["title"], spec["resolution"]) == ("penny-000004", "512x768")
    assert (spec["prediction_type"], spec["encoder_layer"], spec["trigger_phrase"]) == ("epsilon", "2", "penny")


def test_what_is_not_known_is_left_out(job):
    facts = dataclasses.replace(FACTS, base_vae=None, total_epochs=None,
                                base_hashes=ModelHashes("ab" * 32, "12345678"))
    metadata = build_metadata(job, DATASET, facts)
    gone = {"ss_vae_name", "ss_vae_hash", "ss_new_vae_hash", "ss_num_epochs"}
    assert gone.isdisjoint(metadata)
    assert gone <= set(build_metadata(job, DATASET, FACTS))


def test_the_run_can_be_repeated_from_the_file_but_folders_of_the_machine_are_left_out(job):
    metadata = build_metadata(job, DATASET, FACTS)
    assert not any("someone" in value for value in metadata.values())
    again, problems = read_job(json.loads(metadata["train_lora_job"]))
    assert problems == []
    assert (again.network, again.optimizer, again.training, again.loss) == (job.network, job.optimizer, job.training,
                                                                            job.loss)
    assert (again.base.checkpoint, again.dataset.train_data_dir) == ("anime.safetensors", "penny")


def test_windows_paths_are_shortened_too(job):
    dataset = dataclasses.replace(job.dataset, train_data_dir=r"C:\Users\someone\penny")
    metadata = build_metadata(dataclasses.replace(job, dataset=dataset), DATASET, FACTS)
    assert "someone" not in metadata["train_lora_job"]


def test_the_sidecar_has_what_the_webuis_card_editor_reads(job):
    content = json.loads(sidecar_json(job, DATASET, FACTS))
    assert set(content) == {"description", "sd version", "activation text", "preferred weight", "negative text",
                            "notes"}
    assert (content["sd version"], content["activation text"]) == ("SD1", "penny")
    assert float(content["preferred weight"]) == 0.0
    assert "16 images" in content["notes"] and "anime" in content["notes"] and "600 steps" in content["notes"]
    assert "someone" not in content["notes"]
