"""``training.phases`` is read from a file, the command line and the form, and checked before anything starts."""

from __future__ import annotations

import pytest

from benchmarks.weights import shapes_of
from lib_lora_train.advice.memory import fit
from lib_lora_train.config.change import changed
from lib_lora_train.config.check import captions_can_be_kept
from lib_lora_train.config.job import all_settings
from lib_lora_train.config.load import job_from, job_to_yaml, load_job, read_job
from lib_lora_train.config.phases.effective import network_of_all, phases_of
from lib_lora_train.config.phases.rules import CHANGEABLE, why_not
from lib_lora_train.errors import ConfigError

PATHS = {"base": {"checkpoint": "x.safetensors"}, "dataset": {"train_data_dir": "images", "activation_tag": "penny"},
         "save": {"output_name": "penny", "output_dir": "loras"}}
POLISH = {"name": "polish", "epochs": 2, "optimizer": {"learning_rate": 0.3}, "scheduler": {"lr_scheduler": "cosine"},
          "dataset": {"only_folders": ["1_best"], "resolution": "768"}}


def with_phases(*phases, **groups):
    values = {group: {**PATHS.get(group, {}), **groups.get(group, {})} for group in {*PATHS, *groups}}
    return {**values, "training": {**values.get("training", {}), "phases": list(phases)}}


def test_phases_are_read_from_a_file_and_the_command_line_and_written_back(tmp_path):
    file = tmp_path / "job.yaml"
    wanted = job_from(with_phases(POLISH, {"steps": 100}))
    file.write_text(job_to_yaml(wanted))
    assert load_job(file) == wanted
    file.write_text(job_to_yaml(job_from(PATHS)))
    given = ("[{name: polish, epochs: 2, optimizer: {learning_rate: 0.3}, scheduler: {lr_scheduler: cosine}, dataset: "
             "{only_folders: [1_best], resolution: 768}}, {steps: 100}]")
    assert load_job(file, [f"training.phases={given}"]) == wanted
    assert [load_job(file, [f"training.phases={none}"]).training.phases for none in ("", "[]")] == [[], []]


def test_each_phase_has_the_changes_of_those_before_it():
    job = job_from(with_phases(POLISH, {"steps": 100, "dataset": {"resolution": "512"}}))
    first, polish, last = phases_of(job)
    assert (first.job.dataset, first.job.training.max_train_epochs) == (job.dataset, 10)
    assert [phase.starts_curve for phase in (first, polish, last)] == [True, True, False]
    assert (last.job.dataset.only_folders, last.job.dataset.resolution) == (["1_best"], "512")
    assert (last.job.optimizer.learning_rate, last.job.training.max_train_steps) == (0.3, 100)
    assert [phase.title for phase in (first, polish, last)] == ["phase 1", "polish", "phase 3"]


@pytest.mark.parametrize("field", all_settings(), ids=lambda field: field.key)
def test_every_setting_can_change_or_is_refused_by_name_with_the_reason(field):
    value = field.default
    problems = read_job(with_phases({"epochs": 1, field.group: {field.name: value}}))[1]
    assert (field.key in CHANGEABLE) == (not why_not(field.key))
    if field.key in CHANGEABLE:
        assert not problems
    else:
        [problem] = problems
        assert "training.phases, phase 2" in problem and f"{field.key} cannot change" in problem
        assert why_not(field.key) in problem


@pytest.mark.parametrize(("phase", "words"), [
    ({}, "phase 2: give either epochs or steps"),
    ({"epochs": 1, "steps": 2}, "give either epochs or steps"),
    ({"epochs": 0}, "epochs is 0. It has to be a whole number"),
    ({"steps": "many"}, "steps is 'many'"),
    ({"epochs": 1, "name": "x" * 61}, "its name cannot be used"),
    ({"epochz": 1}, "Did you mean 'epochs'?"),
    ({"epochs": 1, "optimizer": {"lr": 1}}, "optimizer has no setting 'lr'"),
    ({"epochs": 1, "optimizer": 3}, "optimizer has to be a list of settings"),
    ({"epochs": 1, "dataset": {"train_batch_size": 0}}, "dataset.train_batch_size is 0"),
    ({"epochs": 1, "name": "polish", "dataset": {"resolution": "5"}}, "phase 2 (polish): dataset.resolution is '5'"),
    ({"epochs": 1, "optimizer": {"learning_rate": 0}}, "neither the UNet nor the text encoder is trained"),
    ({"epochs": 1, "network": {"network_train_unet_only": True, "network_train_text_encoder_only": True}}, "both on"),
    ({"epochs": 1, "network": {"block_lr_weight": "1" + ",0.5" * 16}}, "can only be left out, with 0"),
    ({"epochs": 1, "loss": {"noise_offset": 0.1, "multires_noise_iterations": 3}}, "do the same thing twice"),
    (7, "phase 2 is 7"),
])
def test_a_mistake_is_found_before_the_start_with_its_phase_and_setting(phase, words):
    with pytest.raises(ConfigError) as caught:
        job_from(with_phases(phase, {"epochs": 1}))
    assert words in str(caught.value) and "training.phases, phase 2" in str(caught.value)
    assert "phase 3" not in str(caught.value)  # it has the same settings, and the mistake is not its own


def test_a_rate_cannot_change_where_the_optimizer_sets_its_own():
    with pytest.raises(ConfigError, match=r"scheduler.lr_scheduler cannot change .*AdaFactor sets the rate by itself"):
        job_from(with_phases({"epochs": 1, "scheduler": {"lr_scheduler": "linear"}},
                             optimizer={"optimizer_type": "AdaFactor"}))


def test_the_network_has_every_block_and_part_that_some_phase_trains():
    without = "0," + ",".join(["1"] * 16)
    job = job_from(with_phases({"epochs": 1, "network": {"network_train_unet_only": True, "block_lr_weight": without}},
                               network={"block_lr_weight": "1," + ",".join(["0"] * 16)}))
    network = network_of_all(job)
    assert set(network.block_rates.values()) == {1.0} and not network.network_train_unet_only
    assert network_of_all(job_from(PATHS)) == job_from(PATHS).network


def test_the_first_phase_has_a_name_if_there_are_others():
    job = job_from(with_phases(POLISH, training={"first_phase_name": "base"}))
    assert [phase.title for phase in phases_of(job)] == ["base", "polish"]
    assert all(not phase.job.training.first_phase_name for phase in phases_of(job))
    for name in ("x" * 61, "a\nb"):
        with pytest.raises(ConfigError, match="training.first_phase_name cannot be used"):
            job_from(with_phases(POLISH, training={"first_phase_name": name}))


@pytest.mark.parametrize(("change", "can"), [
    ({"network": {"network_train_unet_only": False}}, False), ({"dataset": {"shuffle_caption": True}}, False),
    ({"dataset": {"enable_wildcard": True}}, False), ({"dataset": {"caption_prefix": "art of"}}, True)])
def test_captions_are_encoded_once_only_if_every_phase_leaves_them_as_they_are(change, can):
    """Also where a VRAM limit switches that on by itself."""
    job = job_from(with_phases({"epochs": 1}, {"epochs": 1, **change}, network={"network_train_unet_only": True},
                               dataset={"shuffle_caption": False}))
    assert captions_can_be_kept(job) == can
    assert captions_can_be_kept(changed(job, {"training.phases": []}))
    limited = changed(job, {"training.fit_in_gb": 1.0})
    assert fit(shapes_of("sd15"), limited)[0].training.cache_text_encoder_outputs == can
