"""The form folds away what does nothing with the choices made so far, and nothing else."""

from __future__ import annotations

import dataclasses

import pytest

from lib_lora_train.advice import applicable
from lib_lora_train.advice.applicable import not_applicable
from lib_lora_train.advice.no_effect import no_effect_notes
from lib_lora_train.advice.surroundings import Surroundings
from lib_lora_train.config.change import changed
from lib_lora_train.config.groups.network import C3LIER, DYLORA, IA3, LIERLA, LOKR
from lib_lora_train.config.job import GROUPS, Job, all_settings

SD1 = Surroundings(device="cuda", webui=True, family="SD 1.x", text_encoders=1, velocity=False)
SDXL = Surroundings(device="cuda", webui=True, family="SDXL", text_encoders=2, velocity=False, reads_clip_skip=False)


def job_with(**settings: object) -> Job:
    """A job with ``group__name=value`` changed."""
    job = Job()
    for key, value in settings.items():
        group, name = key.split("__")
        job = dataclasses.replace(job, **{group: dataclasses.replace(getattr(job, group), **{name: value})})
    return job


@pytest.mark.parametrize(("settings", "around", "idle", "of_use"), [
    ({"network__network_type": LIERLA}, SD1, ["network.conv_dim", "network.lokr_factor", "network.dylora_unit"],
     ["network.loraplus_lr_ratio", "network.network_dropout", "network.block_dims"]),
    ({"network__network_type": C3LIER}, SD1, ["network.lokr_factor", "network.dylora_unit"], ["network.conv_dim"]),
    ({"network__network_type": LOKR}, SD1, ["network.dylora_unit", "network.loraplus_lr_ratio"],
     ["network.lokr_factor", "network.decompose_both", "network.conv_dim"]),
    ({"network__network_type": DYLORA}, SDXL, ["network.dora_wd"], ["network.dylora_unit"]),
    ({"network__network_type": IA3}, SDXL, ["network.network_dim", "network.network_alpha", "network.block_dims"],
     ["network.block_lr_weight"]),
    ({"optimizer__optimizer_type": "Prodigy"}, SD1, ["optimizer.text_encoder_lr2"], ["optimizer.d_coef"]),
    ({"optimizer__optimizer_type": "AdamW"}, SDXL, ["optimizer.d_coef", "base.clip_skip"],
     ["optimizer.text_encoder_lr2", "optimizer.learning_rate", "optimizer.unet_lr"]),
    ({"scheduler__lr_scheduler": "polynomial"}, SD1, ["scheduler.lr_scheduler_num_cycles"],
     ["scheduler.lr_scheduler_power", "scheduler.lr_warmup_steps"]),
    ({"scheduler__lr_scheduler": "constant"}, SD1, ["scheduler.lr_scheduler_power"], ["scheduler.lr_scheduler"]),
    ({"loss__loss_type": "huber"}, SD1, ["loss.zero_terminal_snr"], ["loss.huber_c", "loss.huber_schedule"]),
    ({}, dataclasses.replace(SDXL, velocity=True), ["base.v_parameterization"], ["loss.zero_terminal_snr"]),
    ({"dataset__enable_bucket": False}, SD1, ["dataset.bucket_reso_steps", "dataset.min_bucket_reso"], []),
    ({"sample__sample_prompts": ["penny"]}, SD1, [], ["sample.cfg_scale", "sample.sample_by"]),
    ({}, dataclasses.replace(SD1, device="cpu"), ["training.weights_on_cpu", "training.fit_in_gb"], []),
])
def test_what_does_nothing_is_named_with_its_reason_and_what_acts_is_not(settings, around, idle, of_use):
    reasons = not_applicable(job_with(**settings), around)
    assert [key for key in idle if not reasons.get(key, "").endswith(".")] == []
    assert [key for key in of_use if key in reasons] == []


def test_what_was_changed_is_never_folded_away():
    job = job_with(network__conv_dim=8, scheduler__lr_scheduler_power=2.0)
    reasons = not_applicable(job, SD1)
    assert not {"network.conv_dim", "scheduler.lr_scheduler_power"} & set(reasons)
    assert "network.conv_alpha" in reasons


KINDS = [job_with(**settings) for settings in (
    {"network__network_type": LOKR, "sample__sample_prompts": ["penny"], "loss__loss_type": "huber",
     "loss__noise_offset": 0.1, "loss__multires_noise_iterations": 6, "dataset__reg_data_dir": "reg",
     "dataset__validation_split": 0.1, "dataset__token_warmup_step": 0.1, "optimizer__optimizer_type": "Prodigy",
     "training__gradient_checkpointing": True, "dataset__masked_loss": True, "dataset__activation_tag": "penny",
     "loss__preservation_weight": 1.0},
    {"network__network_type": DYLORA, "sample__sample_prompts": ["penny"]}, {},
    *({"scheduler__lr_scheduler": name} for name in (
        "cosine_with_restarts", "polynomial", "inverse_sqrt", "warmup_stable_decay")))]
SURROUNDINGS = (SD1, SDXL, dataclasses.replace(SD1, velocity=True))


def test_each_setting_can_be_of_use_somewhere():
    always_idle = set.intersection(*(set(not_applicable(job, around)) for job in KINDS for around in SURROUNDINGS))
    assert always_idle == set()
    assert {field.key for field in all_settings()} > set(not_applicable(Job(), SD1))


def test_only_the_notes_of_its_group_are_about_a_setting(monkeypatch):
    quick = [not_applicable(job, around) for job in KINDS for around in SURROUNDINGS]
    monkeypatch.setattr(applicable, "IMAGE_GROUPS", tuple(GROUPS))
    monkeypatch.setattr(applicable, "no_effect_notes", lambda job, around, group: no_effect_notes(job, around))
    assert [not_applicable(job, around) for job in KINDS for around in SURROUNDINGS] == quick


@pytest.mark.parametrize("settings", [{"network.block_lr_weight": "1,2"}, {"network.block_dims": "x"},
                                      {"dataset.resolution": "big"}, {"dataset.concept_settings": ["x"]}])
def test_nothing_is_said_while_a_setting_cannot_be_read(settings):
    assert not_applicable(changed(Job(), settings), SD1) == {}
