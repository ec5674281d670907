"""A job that is exported and imported again is the same job, as far as the other program can say it."""

from __future__ import annotations

import dataclasses

import pytest

from lib_lora_train.config.change import changed
from lib_lora_train.config.exporting.formats import FORMATS, YAML, export_text, preset_text
from lib_lora_train.config.exporting.sd_scripts import SD1, SD2, SDXL, covered, export_job
from lib_lora_train.config.groups.network import C3LIER, DYLORA, IA3, LIERLA, NETWORK_TYPES
from lib_lora_train.config.groups.optimizer import OptimizerSettings
from lib_lora_train.config.importing.option_table import KNOWN
from lib_lora_train.config.importing.read import read_settings
from lib_lora_train.config.job import Job, all_settings
from lib_lora_train.config.load import job_from, job_to_dict
from lib_lora_train.config.optimizer_args import arguments_of
from lib_lora_train.config.optimizer_facts import OPTIMIZERS

from ..importing.reading import Machine

BASE = {"base.checkpoint": "/models/base model.safetensors", "dataset.train_data_dir": "/sets/it's penny",
        "save.output_name": "penny", "save.output_dir": "/lora", "dataset.min_bucket_reso": 320,
        "dataset.max_bucket_reso": 1024, "training.mixed_precision": "fp16", "optimizer.d_coef": 1.5}
PATHS = [BASE[key] for key in ("base.checkpoint", "dataset.train_data_dir", "save.output_dir")]
OTHER = {"network.network_dim": 24, "network.network_alpha": 12.0, "network.rank_dropout": 0.1,
         "dataset.shuffle_caption": False, "dataset.keep_tokens": 3, "dataset.caption_prefix": "a 'photo' of $x, ",
         "dataset.activation_tag": "penny", "dataset.resolution": "512x640", "loss.min_snr_gamma": None,
         "loss.noise_offset": 0.05, "training.max_train_epochs": 7, "training.seed": 99, "base.clip_skip": 2,
         "base.max_token_length": 75, "optimizer.optimizer_type": "AdamW8bit", "optimizer.learning_rate": 1e-4,
         "optimizer.text_encoder_lr": 5e-5, "optimizer.optimizer_args": ["weight_decay=0.2"],
         "scheduler.lr_scheduler": "cosine_with_restarts", "scheduler.lr_scheduler_num_cycles": 3,
         "scheduler.lr_warmup_steps": 0.1, "save.save_every_n_epochs": None, "save.save_precision": "bf16",
         "optimizer.d_coef": None, "dataset.flip_aug": True, "training.gradient_checkpointing": True,
         "save.training_comment": 'say "hi" `now` \\ %PATH%'}


def job(**changes):
    return changed(Job(), {**BASE, **changes})


def back(exported):
    imported = read_settings(exported, Machine(PATHS))
    return job_from(imported.values)


def differences(one, other):
    """Settings that are not the same, by key, those of an optimizer's arguments by what they add up to."""
    found = {}
    for group, settings in job_to_dict(one).items():
        for name, value in settings.items():
            if value != job_to_dict(other)[group][name]:
                found[f"{group}.{name}"] = (value, job_to_dict(other)[group][name])
    same = arguments_of(one.optimizer, one.scheduler) == arguments_of(other.optimizer, other.scheduler)
    return {key: value for key, value in found.items() if not (same and key == "optimizer.optimizer_args")}


@pytest.mark.parametrize("wanted", FORMATS)
@pytest.mark.parametrize("changes", [{}, OTHER])
def test_every_format_gives_back_the_job(wanted, changes):
    one = job(**changes)
    assert differences(one, back(export_text(one, wanted).text)) == {}


@pytest.mark.parametrize("family", [SD1, SD2, SDXL])
@pytest.mark.parametrize("kind", NETWORK_TYPES)
def test_every_network_type_and_family(kind, family):
    values = {"network.network_type": kind, "network.network_dim": 8, "network.network_alpha": 4.0}
    if kind not in (LIERLA, IA3):
        values |= {"network.conv_dim": 4, "network.conv_alpha": 2.0}
    if kind == DYLORA:
        values |= {"network.dylora_unit": 2}
    one = job(**values)
    for wanted in FORMATS:
        exported = export_text(one, wanted, family)
        assert differences(one, back(exported.text)) == {}, (wanted, exported.text)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_runs_with_the_same_arguments(optimizer):
    one = job(**{"optimizer.optimizer_type": optimizer, "optimizer.learning_rate": 1e-3,
                 "optimizer.d_coef": 1.5 if OPTIMIZERS[optimizer].usual_d_coef else None})
    assert differences(one, back(export_text(one, "toml").text)) == {}


def test_an_optimizer_of_a_package_goes_out_by_its_class():
    exported = export_job(job(**{"optimizer.optimizer_type": "ProdigyPlusScheduleFree", "optimizer.d_coef": None}), SD1)
    assert exported.options["optimizer_type"] == "prodigyplus.ProdigyPlusScheduleFree"
    assert "d_coef=1" in exported.options["optimizer_args"]
    assert any("prodigy-plus-schedule-free" in note for note in exported.notes)
    assert any(note.startswith("optimizer.d_coef") and "has 1." in note for note in exported.notes)


@pytest.mark.parametrize("family, count", [(SD1, 26), (SDXL, 20)])
def test_block_lists(family, count):
    rates = ",".join(["1", *(f"{place / 10:g}" for place in range(1, count))])
    one = job(**{"network.network_type": C3LIER, "network.network_alpha": 8.0, "network.block_lr_weight": rates,
                 "network.conv_dim": 4, "network.conv_alpha": 2.0})
    again = back(export_text(one, "sd-scripts", family).text)
    assert again.network.block_rates == one.network.block_rates


@pytest.mark.parametrize("values, words", [
    ({"training.fit_in_gb": 8.0}, "training.fit_in_gb"), ({"training.base_weights": "nf4"}, "nf4"),
    ({"dataset.concept_settings": ["10_penny: keep_tokens=2"]}, "Add a subset"),
    ({"sample.sample_prompts": ["penny, standing"]}, "penny_prompts.txt"),
    ({"training.mixed_precision": "auto"}, "auto"), ({"network.dora_wd": True}, "dora_wd"),
    ({"dataset.min_bucket_reso": None}, "min_bucket_reso"), ({"optimizer.d_coef": None}, "d_coef")])
def test_what_the_other_program_cannot_say_is_reported(values, words):
    assert any(words in note for note in export_text(job(**values), "toml").notes)


def test_every_setting_goes_out_or_is_reported():
    assert set(covered()) == {setting.key for setting in all_settings()}


def test_every_option_written_is_one_of_sd_scripts():
    for one in (job(), job(**OTHER)):
        for family in (SD1, SD2, SDXL):
            assert set(export_job(one, family).options) <= KNOWN


def test_a_preset_is_a_job_file_with_some_settings():
    text = preset_text({"network": {"network_dim": 64, "gone": 1}, "loss": {"min_snr_gamma": None}})
    imported = read_settings(text, Machine())
    assert imported.values == {"network": {"network_dim": 64}, "loss": {"min_snr_gamma": None}}


def test_yaml_holds_every_setting():
    one = job(**OTHER)
    assert dataclasses.asdict(back(export_text(one, YAML).text)) == dataclasses.asdict(one)
    assert OptimizerSettings().optimizer_type == "Prodigy"
