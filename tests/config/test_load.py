"""A job file is read with every problem named at once, and written so that it can be read again."""

from __future__ import annotations

import dataclasses

import pytest

from lib_lora_train.config.check import name_problems, problems_of
from lib_lora_train.config.job import GROUPS, Job, all_settings
from lib_lora_train.config.load import job_from, job_to_yaml, load_job, read_job
from lib_lora_train.config.tag_job import load_tag_job
from lib_lora_train.errors import ConfigError

COMPLETE = {"base": {"checkpoint": "model.safetensors"}, "dataset": {"train_data_dir": "pictures"},
            "save": {"output_name": "penny", "output_dir": "Lora"}}


def with_values(**groups):
    return {name: {**COMPLETE.get(name, {}), **groups.get(name, {})} for name in {*COMPLETE, *groups}}


def test_a_minimal_job_takes_the_defaults():
    job = job_from(COMPLETE)
    assert job.network.network_dim == 32
    assert job.dataset.size == (512, 512)
    assert dataclasses.replace(job.network, network_alpha=0.0).alpha == 32


def test_all_problems_are_listed_at_once():
    values = with_values(base={"clip_skip": "many"}, network={"network_dim": 5000, "netwrok_alpha": 1},
                         lossy={}, optimizer={"optimizer_type": "Adam"})
    with pytest.raises(ConfigError) as caught:
        job_from(values, source="penny.yaml")
    text = "\n".join(sorted(caught.value.problems))
    assert "base.clip_skip is 'many'. It has to be a whole number." in text
    assert "network.network_dim is 5000. It has to be between 1 and 768." in text
    assert "no setting 'netwrok_alpha'. Did you mean 'network_alpha'?" in text
    assert "there is no group 'lossy'. Did you mean 'loss'?" in text
    assert "optimizer.optimizer_type is 'Adam'. Choose one of: AdamW" in text
    assert len(caught.value.problems) == 5


@pytest.mark.parametrize("values, words", [
    ({"dataset": {"resolution": "big"}}, "dataset.resolution is 'big'"),
    ({"dataset": {"resolution": "512x"}}, "dataset.resolution is '512x'"),
    ({"dataset": {"min_bucket_reso": 640}}, "Lower it to 512"),
    ({"dataset": {"max_bucket_reso": 256}}, "Raise it to 512"),
    ({"dataset": {"bucket_reso_steps": 20}}, "multiple of 8"),
    ({"dataset": {"caption_extension": "txt"}}, "with its dot"),
    ({"network": {"network_dim": 8, "network_alpha": 16}}, "higher than network_dim 8"),
    ({"network": {"network_train_unet_only": True, "network_train_text_encoder_only": True}}, "nothing would be"),
    ({"training": {"max_train_epochs": None}}, "both empty"),
    ({"base": {"max_token_length": 100}}, "Choose 75, 150 or 225"),
    ({"save": {"output_dir": ""}}, "save.output_dir is empty"),
    ({"optimizer": {"optimizer_type": "AdamW"}}, "optimizer.learning_rate is 1, which turns a LoRA to noise"),
    ({"optimizer": {"optimizer_type": "Lion", "learning_rate": 1e-4, "text_encoder_lr": 2.0}}, "text_encoder_lr is 2"),
])
def test_contradictions_are_said_with_the_way_out(values, words):
    with pytest.raises(ConfigError, match=words):
        job_from(with_values(**values))


@pytest.mark.parametrize("name", ["a:b", "a<b", "a>b", "a,b", "a/b", "a\\b", "", "  ", ".hidden", "con", "nul.x",
                                  "tab\t", "x" * 181])
def test_names_that_a_prompt_or_a_file_system_cannot_hold_are_refused(name):
    assert name_problems(name)


@pytest.mark.parametrize("name", ["penny", "Penny v2.1", "ペニー", "penny-000004", "a_b-c"])
def test_names_that_work_are_taken(name):
    assert name_problems(name) == []


def test_what_is_written_is_read_again(tmp_path):
    job = job_from(with_values(sample={"sample_prompts": ["penny, red boots", "x"]}, loss={"min_snr_gamma": None}))
    path = tmp_path / "job.yaml"
    path.write_text(job_to_yaml(job))
    assert load_job(path) == job


def test_overrides_win_over_the_file(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(job_to_yaml(job_from(COMPLETE)))
    job = load_job(path, ["network.network_dim=8", "network.network_alpha=4", "sample.sample_prompts=[a, b]"])
    assert (job.network.network_dim, job.sample.sample_prompts) == (8, ["a", "b"])


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2", "just words"])
def test_a_file_that_is_no_job_is_an_error_and_not_a_crash(tmp_path, text):
    path = tmp_path / "job.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_job(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no job file .*gone.yaml"):
        load_job(tmp_path / "gone.yaml")


def test_a_partial_job_is_read_for_the_form():
    job, problems = read_job({"network": {"network_dim": 0}})
    assert isinstance(job, Job)
    assert problems == ["The job: network.network_dim is 0. It has to be between 1 and 768."]


def test_every_setting_says_what_it_is_for():
    fields = list(all_settings())
    assert {field.group for field in fields} == set(GROUPS)
    assert [field.key for field in fields if not field.info.help.endswith(".")] == []


def test_a_job_cannot_be_changed_once_loaded():
    with pytest.raises(dataclasses.FrozenInstanceError):
        job_from(COMPLETE).network.network_dim = 4


def test_a_choice_that_had_another_name_in_earlier_versions_is_still_read(tmp_path):
    path = tmp_path / "tag.yaml"
    path.write_text("dataset: {train_data_dir: set}\nwrite: {mode: look-only}\n", encoding="utf-8")
    assert load_tag_job(path).write.mode == "confidences-only"
    assert load_tag_job(path, ["write.mode=confidences-only"]).write.mode == "confidences-only"
    assert load_tag_job(path, ["write.mode=append"]).write.mode == "append"
    with pytest.raises(ConfigError, match="write.mode is 'look'"):
        load_tag_job(path, ["write.mode=look"])

@pytest.mark.parametrize("argument", ["d_coef=" + "9" * 400, "d_coef=1e999", "betas=0.9," + "9" * 400, "eps=-1e999",
                                      "weight_decay=" + "(" * 5000])
def test_a_number_beyond_any_float_is_a_problem_of_the_job(argument):
    job, problems = read_job({"optimizer": {"optimizer_type": "Prodigy", "optimizer_args": [argument]}})
    assert not problems
    found = " ".join(problems_of(job))
    assert "too large for a number" in found or "(((" in argument
