"""Settings that do nothing, and optimizers that are set against each other, are named in a sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lib_lora_train.advice.notes import notes_on
from lib_lora_train.advice.surroundings import PlanFacts, Surroundings
from lib_lora_train.config.change import changed
from lib_lora_train.config.check import problems_of
from lib_lora_train.config.concepts import AS_FOR_ALL, ConceptSettings
from lib_lora_train.config.groups.scheduler import LR_SCHEDULERS
from lib_lora_train.config.job import Job
from lib_lora_train.config.optimizer_facts import OPTIMIZERS


@dataclass(frozen=True)
class Image:
    """A picture of a plan."""

    caption: str = "penny, hat, ball, sun, moon"
    caption_lines: tuple[str, ...] = ()
    concept: str = ""
    has_alpha: bool = False
    regularization: bool = False
    repeats: int = 1
    own: ConceptSettings = AS_FOR_ALL
    path: Path = Path("set") / "1.png"
    weight: float = 1.0


PLAN = PlanFacts((Image(),), 0, 10, 40, 4, 8, False, lambda settings: (), 30)
CPU = Surroundings("cpu", False, "SD 1.x", 1, True, False, {}, PLAN)
GPU = Surroundings("cuda", True, "SDXL", 2, False, False, {}, PLAN)
FILLED = {"base.checkpoint": "model.safetensors", "dataset.train_data_dir": "set", "save.output_name": "penny",
          "save.output_dir": "loras"}


def notes(around: Surroundings = CPU, **changes: Any) -> dict[str, str]:
    job = changed(Job(), {key.replace("__", "."): value for key, value in changes.items()})
    found: dict[str, str] = {}
    for note in notes_on(job, around):
        found[note.key] = f"{found.get(note.key, '')} {note.text}".strip()
    return found


def test_a_job_as_it_is_has_no_notes():
    assert notes() == notes(GPU) == {}
    assert notes_on(Job(), Surroundings()) == []


@pytest.mark.parametrize("key, words, changes", [
    ("scheduler.lr_scheduler_timescale", "only inverse_sqrt", {"scheduler__lr_scheduler_timescale": 50}),
    ("scheduler.lr_scheduler_num_cycles", "only cosine_with_restarts", {
        "scheduler__lr_scheduler_num_cycles": 3, "scheduler__lr_scheduler": "cosine"}),
    ("optimizer.unet_lr", "AdaFactor sets the rate by itself", {
        "optimizer__optimizer_type": "AdaFactor", "optimizer__unet_lr": 1e-4}),
    ("scheduler.lr_scheduler", "has its own schedule", {
        "optimizer__optimizer_type": "AdaFactor", "scheduler__lr_scheduler": "polynomial"}),
    ("scheduler.lr_warmup_steps", "has its own schedule", {
        "optimizer__optimizer_type": "AdaFactor", "scheduler__lr_warmup_steps": 0.1}),
    ("loss.adaptive_noise_scale", "noise_offset, which is 0", {"loss__adaptive_noise_scale": 0.1}),
    ("dataset.validation_split", "none can be held out", {"dataset__validation_split": 0.2}),
    ("optimizer.text_encoder_lr2", "SD 1.x has one text encoder", {"optimizer__text_encoder_lr2": 1e-5}),
    ("training.checkpointing_blocks", "gradient_checkpointing is off", {"training__checkpointing_blocks": "outer"}),
    ("training.fit_in_gb", "on the CPU", {"training__fit_in_gb": 6}),
    ("training.weights_on_cpu", "on the CPU", {"training__weights_on_cpu": 50}),
    ("training.webui_model", "no webui", {"training__webui_model": "lent"}),
    ("sample.sample_by", "no webui", {"sample__sample_by": "webui", "sample__sample_prompts": ["penny"]}),
    ("sample.sample_by", "no sample_prompts", {"sample__sample_by": "both"}),
    ("sample.cfg_scale", "no sample_prompts", {"sample__cfg_scale": 6.0}),
    ("network.dylora_unit", "plain LoRA", {"network__network_type": "LyCORIS-DyLoRA", "network__network_dim": 4,
                                           "network__network_alpha": 2.0}),
    ("scheduler.lr_warmup_steps", "the run has 40 steps", {"scheduler__lr_warmup_steps": 500.0}),
    ("sample.sample_width", "they are 64 px", {"sample__sample_width": 100, "sample__sample_prompts": ["penny"]}),
    ("sample.sample_height", "they are 448 px", {"sample__sample_height": 500, "sample__sample_prompts": ["penny"]}),
    ("training.max_train_epochs", "max_train_steps is 9", {"training__max_train_epochs": 3,
                                                           "training__max_train_steps": 9}),
    ("save.save_every_n_steps", "40 steps", {"save__save_every_n_steps": 100}),
    ("network.network_dim", "no rank", {"network__network_type": "LyCORIS-(IA)^3", "network__network_dim": 8}),
    ("network.network_dim", "network_weights", {"network__network_weights": "a.safetensors",
                                                "network__network_dim": 8}),
])
def test_what_does_nothing_is_named(key, words, changes):
    found = notes(**changes)
    assert words in found[key] and found[key].startswith(key)


@pytest.mark.parametrize("key, changes", [
    ("training.fit_in_gb", {"training__fit_in_gb": 6}), ("training.weights_on_cpu", {"training__weights_on_cpu": 50}),
    ("optimizer.text_encoder_lr2", {"optimizer__text_encoder_lr2": 0.5, "optimizer__optimizer_type": "AdamW"}),
    ("sample.sample_by", {"sample__sample_by": "webui", "sample__sample_prompts": ["penny"]}),
    ("sample.cfg_scale", {"sample__cfg_scale": 5.0}),  # NoobAI's default
    ("training.webui_model", {"training__webui_model": "copy"}),
    ("training.webui_model", {"training__webui_model": "lent", "training__base_weights": "fp8"}),
    ("training.webui_model", {"training__webui_model": "lent", "training__fit_in_gb": 6}),
    ("training.webui_model", {"training__webui_model": "copy", "training__weights_on_cpu": 50}),
    ("scheduler.lr_scheduler_timescale", {"scheduler__lr_scheduler_timescale": 9,
                                          "scheduler__lr_scheduler": "inverse_sqrt"}),
])
def test_where_it_does_something_nothing_is_said(key, changes):
    assert key not in notes(GPU, **changes)


PLUS = {"optimizer__optimizer_type": "ProdigyPlusScheduleFree"}


@pytest.mark.parametrize("key, words, changes", [
    ("optimizer.learning_rate", "Set it to 1", {"optimizer__learning_rate": 1e-4}),
    ("optimizer.unet_lr", "Set it to 1", {"optimizer__unet_lr": 1e-4, "optimizer__optimizer_type": "DAdaptAdam"}),
    ("optimizer.learning_rate", "burns", {"optimizer__learning_rate": 20.0}),
    ("optimizer.d_coef", "8 is used", {"network__network_type": "LyCORIS-(IA)^3"}),
    ("optimizer.d_coef", "too little for", {"network__network_dim": 4, "network__network_alpha": 2.0,
                                           "optimizer__optimizer_args": ["d_coef=2"]}),
    ("optimizer.d_coef", "too much for", {"optimizer__d_coef": 8.0}),
    ("optimizer.learning_rate", "8 to 10 times", {"network__network_type": "LyCORIS-(IA)^3",
                                                  "optimizer__optimizer_type": "AdamW",
                                                  "optimizer__learning_rate": 1e-4}),
    ("scheduler.lr_scheduler", "stay at 1", {"optimizer__optimizer_type": "DAdaptLion",
                                             "scheduler__lr_scheduler": "cosine"}),
    ("scheduler.lr_warmup_steps", "stay at 1", {"optimizer__optimizer_type": "DAdaptAdam",
                                                "scheduler__lr_warmup_steps": 0.1}),
    ("scheduler.lr_warmup_steps", "switched on", {"scheduler__lr_warmup_steps": 0.1}),
    ("optimizer.optimizer_args", "too high a rate", {"scheduler__lr_warmup_steps": 0.1,
                                                     "optimizer__optimizer_args": ["safeguard_warmup=False"]}),
    ("optimizer.optimizer_args", "scale_parameter and warmup_init are off", {
        "optimizer__optimizer_type": "AdaFactor", "optimizer__optimizer_args": ["relative_step=False"],
        "optimizer__learning_rate": 1e-3}),
    ("scheduler.lr_scheduler", "Use constant", {"optimizer__optimizer_type": "AdamWScheduleFree",
                                                "optimizer__learning_rate": 1e-3,
                                                "scheduler__lr_scheduler": "linear"}),
    ("scheduler.lr_scheduler", "Use constant", {**PLUS, "scheduler__lr_scheduler": "cosine"}),
    ("optimizer.max_grad_norm", "Set it to 0", PLUS),
    ("optimizer.learning_rate", "Set it to 1", {**PLUS, "optimizer__learning_rate": 1e-4}),
    ("optimizer.text_encoder_lr", "Set it to 1", {**PLUS, "optimizer__text_encoder_lr": 5e-5}),
    ("optimizer.d_coef", "2 is used, which suits a dim of 4", {**PLUS, "network__network_dim": 4,
                                                              "network__network_alpha": 2.0}),
    ("optimizer.d_coef", "never raise its rate", {**PLUS, "optimizer__d_coef": 0.5}),
    ("optimizer.d_coef", "too much for", {**PLUS, "optimizer__d_coef": 8.0}),
])
def test_an_optimizer_that_is_set_against_itself_is_named(key, words, changes):
    assert words in notes(**changes)[key]


def test_prodigy_plus_without_averaging_may_have_a_schedule_and_no_clipping_is_right():
    found = notes(**PLUS, optimizer__max_grad_norm=0.0, scheduler__lr_scheduler="cosine",
                  optimizer__optimizer_args=["use_schedulefree=False"])
    assert not found.keys() & {"scheduler.lr_scheduler", "optimizer.max_grad_norm"}


@pytest.mark.parametrize("name", [name for name, facts in OPTIMIZERS.items() if facts.eight_bit])
def test_8_bit_on_the_cpu_is_said_to_be_slow_with_its_twin_to_use_instead(name):
    key, twin = "optimizer.optimizer_type", OPTIMIZERS[name].twin
    assert f"Use {twin}, which learns the same." in notes(optimizer__optimizer_type=name)[key]
    for around in (GPU, Surroundings()):
        assert key not in notes(around, optimizer__optimizer_type=name)
    assert key not in notes(optimizer__optimizer_type=twin)


@pytest.mark.parametrize("given", ["relative_step=False", "relative_step=false", "relative_step = False"])
def test_adafactor_at_a_rate_of_one_is_refused_once_the_rate_counts(given):
    job = changed(Job(), {**FILLED, "optimizer.optimizer_type": "AdaFactor", "optimizer.optimizer_args": [given]})
    assert ["turns a LoRA to noise" in problem for problem in problems_of(job)] == [True]
    assert problems_of(changed(job, {"optimizer.learning_rate": 1e-4})) == []


@pytest.mark.parametrize("arguments, d_coef, words", [
    (["weight_decay"], None, "name=value"), (["d_coef=2"], 1.0, "only once"), (["lr=1"], None, "learning_rate"),
    (["fused_back_pass=True"], None, "never take a step")])
def test_arguments_that_cannot_be_used_are_found_before_the_run(arguments, d_coef, words):
    job = changed(Job(), {**FILLED, "optimizer.optimizer_args": arguments, "optimizer.d_coef": d_coef})
    assert words in " ".join(problems_of(job))
    notes_on(job, CPU)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("schedule", LR_SCHEDULERS)
def test_notes_are_made_for_every_pair_of_optimizer_and_schedule(name, schedule):
    job = changed(Job(), {"optimizer.optimizer_type": name, "scheduler.lr_scheduler": schedule,
                          "scheduler.lr_warmup_steps": 0.1})
    keys = {note.key for note in notes_on(job, CPU)}
    if name.startswith("DAdapt") or name == "AdaFactor" or "Free" in name:
        plain = schedule in ("constant", "constant_with_warmup")
        assert keys & {"scheduler.lr_scheduler", "scheduler.lr_warmup_steps"} or (plain and "Free" in name)


@pytest.mark.parametrize("changes", [{"dataset.resolution": "big"}, {"network.block_dims": "1,2"},
                                     {"network.block_lr_weight": "nonsense"}, {"dataset.concept_settings": ["x"]}])
def test_settings_that_cannot_be_read_are_left_to_the_problems(changes):
    job = changed(Job(), {**FILLED, **changes})
    assert problems_of(job)
    notes_on(job, CPU)


@pytest.mark.parametrize("family, velocity, forced, yaml, noted", [
    ("SDXL", True, False, False, True), ("SD 1.x", True, False, False, True), ("SDXL", False, True, False, True),
    ("SDXL", True, False, True, False), ("SDXL", False, False, False, False), ("SD 2.x-v", True, False, False, False),
    ("SDXL", True, False, None, False)])
def test_v_prediction_that_the_webui_does_not_see_is_said(family, velocity, forced, yaml, noted):
    around = Surroundings(family=family, velocity=velocity, yaml_beside=yaml)
    job = changed(Job(), {"base.checkpoint": "/models/noob.safetensors", "base.v_parameterization": forced})
    texts = [note.text for note in notes_on(job, around) if "webui 1.10.1" in note.text]
    assert len(texts) == noted
    assert all("no noob.yaml beside it" in text for text in texts)


@pytest.mark.parametrize(("mark", "velocity", "forced", "yaml", "noted"), [
    (True, False, False, True, True), (False, False, False, True, False), (True, True, False, True, False),
    (True, False, True, True, False), (True, None, False, True, False), (True, False, False, False, False)])
def test_a_yaml_that_says_noise_of_a_file_marked_as_v_prediction_is_doubted(mark, velocity, forced, yaml, noted):
    around = Surroundings(family="SDXL", velocity=velocity, yaml_beside=yaml, webui=False, reads_v_prediction=(),
                          shapes={"v_pred": (0,)} if mark else {})
    job = changed(Job(), {"base.checkpoint": "/models/noob.safetensors", "base.v_parameterization": forced})
    texts = [note.text for note in notes_on(job, around) if "training follows the YAML" in note.text]
    assert len(texts) == noted
    assert all("noob.safetensors has a tensor 'v_pred'" in text and "correct noob.yaml" in text for text in texts)


def test_scaling_the_loss_of_velocity_is_idle_where_noise_is_predicted():
    job = changed(Job(), {"loss.scale_v_pred_loss_like_noise_pred": True})
    for velocity, noted in ((False, True), (True, False)):
        keys = [note.key for note in notes_on(job, Surroundings(velocity=velocity))]
        assert ("loss.scale_v_pred_loss_like_noise_pred" in keys) == noted


@pytest.mark.parametrize(("least", "gamma", "velocity", "words"), [
    (600, 1.0, False, "has no effect"), (400, 2.0, False, "has no effect"), (100, 20.0, False, "has no effect"),
    (600, 1.0, True, "makes no difference"), (100, 1.0, False, ""), (0, 1.0, False, ""), (50, 5.0, False, ""),
    (600, None, False, "")])
def test_min_snr_below_its_gamma_in_the_whole_range_is_said(least, gamma, velocity, words):
    job = changed(Job(), {**FILLED, "loss.min_timestep": least, "loss.min_snr_gamma": gamma})
    notes = [note.text for note in notes_on(job, Surroundings(velocity=velocity)) if note.key == "loss.min_snr_gamma"]
    assert [words in note for note in notes] == ([True] if words else [])


@pytest.mark.parametrize(("changes", "key", "words"), [
    ({"dataset__only_folders": ["a", "b"]}, "dataset.only_folders", "names every folder"),
    ({"dataset__only_folders": ["b", "a", "a"]}, "dataset.only_folders", "leaves none out"),
    ({"dataset__min_image_weight": 0.5}, "dataset.min_image_weight", "no image has a lower loss weight"),
    ({"dataset__min_image_weight": 0.0}, "dataset.min_image_weight", "leaves none out"),
    ({"dataset__only_folders": ["a"], "dataset__min_image_weight": 1.0}, "", "")])
def test_a_choice_of_images_that_leaves_none_out_is_named(changes, key, words):
    every = tuple(Image(path=Path(folder) / "1.png", weight=weight) for folder, weight in (("a", 0.5), ("b", 1.0)))
    found = notes(replace(CPU, plan=replace(PLAN, every=every)), **changes)
    assert words in found[key] if key else not found
