"""The estimate of memory: by hand for a checkpoint of a few layers, and the order in which switches are tried."""

from __future__ import annotations

import dataclasses

import pytest

from lib_lora_train.advice.memory import GB, estimate_memory, fit, out_of_memory_advice, savings
from lib_lora_train.config.change import changed
from lib_lora_train.config.job import Job

UNET = "model.diffusion_model."
# the layers of a real SD 1.5 would be 860 M values; these have as many where it counts
SD15 = {UNET + "input_blocks.0.0.weight": [320, 4, 3, 3],
        **{f"{UNET}input_blocks.{number}.0.in_layers.2.weight": [1280, 1280, 3, 3] for number in range(4, 12)},
        **{f"{UNET}output_blocks.{number}.0.in_layers.2.weight": [1280, 2560, 3, 3] for number in range(12)},
        UNET + "input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight": [320, 320],
        UNET + "time_embed.0.weight": [1280, 320],
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": [49408, 768],
        "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight": [3072, 768]}


def job(**changes: object) -> Job:
    return changed(Job(), {key.replace("__", "."): value for key, value in changes.items()})


def estimate(**changes: object):
    found = estimate_memory(SD15, job(**changes))
    assert found is not None
    return found


def test_parts_by_hand() -> None:
    blocks = 320 * 4 * 9 + 8 * 1280 * 1280 * 9 + 12 * 1280 * 2560 * 9 + 320 * 320
    found = estimate(dataset__resolution="512x768", dataset__train_batch_size=3, network__network_train_unet_only=True,
                     optimizer__optimizer_type="AdamW", network__network_dim=8)
    assert found.unet == 2 * (blocks + 1280 * 320)
    assert found.text_encoder == 2 * (49408 * 768 + 3072 * 768)
    assert found.activations == 3 * 64 * 96 * 309_220
    assert found.network == 8 * (320 + 320) * (4 + 4 + 8)
    assert found.total == found.unet + found.text_encoder + found.network + found.activations + found.libraries


def test_each_switch_takes_off_what_it_should() -> None:
    whole = estimate()
    assert estimate(training__base_weights="fp8").unet == pytest.approx(whole.unet / 2, rel=0.01)
    assert estimate(training__base_weights="nf4").unet == pytest.approx(whole.unet * 4.5 / 16, rel=0.01)
    assert estimate(training__weights_on_cpu=75).unet == pytest.approx(whole.unet / 4, rel=0.01)
    assert estimate(training__gradient_checkpointing=True).activations < whole.activations / 3
    outer = estimate(training__gradient_checkpointing=True, training__checkpointing_blocks="outer")
    assert whole.activations / 2 < outer.activations < whole.activations * 2 / 3
    assert estimate(training__fused_backward_pass=True).network < whole.network
    assert estimate(training__mixed_precision="no").unet == 2 * whole.unet


def test_a_checkpoint_of_another_kind_is_not_guessed_at() -> None:
    assert estimate_memory({"text_model.x": [3]}, Job()) is None
    limited = job(training__fit_in_gb=4.0)
    assert fit({}, limited) == (limited, [])


def test_without_a_limit_nothing_is_switched() -> None:
    assert fit(SD15, Job()) == (Job(), [])


def test_switches_are_tried_in_the_order_of_their_price() -> None:
    outer = {"training__gradient_checkpointing": True, "training__checkpointing_blocks": "outer"}
    needed = [estimate(), estimate(**outer), estimate(training__gradient_checkpointing=True),
              estimate(training__gradient_checkpointing=True, training__base_weights="fp8")]
    for steps, enough in enumerate(needed):
        fitted, reported = fit(SD15, job(training__fit_in_gb=enough.total / GB + 0.001))
        assert len(reported) == max(steps - 1, min(steps, 1))  # all blocks take the place of the outer ones
        assert estimate_memory(SD15, fitted) == enough


def test_captions_are_encoded_once_first_where_they_stay_the_same() -> None:
    free = {"network__network_train_unet_only": True, "dataset__shuffle_caption": False}
    fitted, reported = fit(SD15, job(training__fit_in_gb=estimate(**free).total / GB - 0.001, **free))
    assert fitted.training.cache_text_encoder_outputs and len(reported) == 1
    assert estimate(training__cache_text_encoder_outputs=True, **free).text_encoder == 0


def test_what_cannot_fit_is_said() -> None:
    fitted, reported = fit(SD15, job(training__fit_in_gb=1.0, dataset__resolution="2048"))
    assert fitted.training.weights_on_cpu == 100
    assert "still needs about" in reported[-1] and "resolution" in reported[-1]


def test_advice_names_the_three_that_save_most() -> None:
    text = out_of_memory_advice(SD15, job(dataset__train_batch_size=4, dataset__resolution="768"))
    assert text.count("GB") == 3 and "gradient checkpointing" in text and "train_batch_size of 1" in text
    assert "dataset.resolution" in out_of_memory_advice(None, Job())


def test_savings_are_differences_of_estimates() -> None:
    start = job(dataset__train_batch_size=2, training__gradient_checkpointing=True)
    whole = estimate_memory(SD15, start)
    for saving in savings(SD15, start):
        after = estimate_memory(SD15, changed(start, saving.changes))
        assert whole is not None and after is not None and saving.bytes == whole.total - after.total > 0


def test_every_switch_of_the_ladder_is_off_in_a_job_that_fits_already() -> None:
    fitted, reported = fit(SD15, job(training__fit_in_gb=100.0))
    assert not reported and dataclasses.replace(fitted.training, fit_in_gb=None) == Job().training


def test_outer_blocks_are_passed_over_where_they_save_nothing() -> None:
    sdxl = {**SD15, "conditioner.embedders.1.model.ln_final.weight": [1280]}
    _, reported = fit(sdxl, job(training__fit_in_gb=2.0, dataset__resolution="1024"))
    assert "outer" not in reported[0] and "checkpointing" in reported[0]
