"""Text is text: in a job file, on the command line and in a job that is written, it stays as it is typed."""

from __future__ import annotations

import json
from functools import partial

import pytest
import yaml

from lib_lora_train.config.bake_job import load_bake_job
from lib_lora_train.config.job import all_settings
from lib_lora_train.config.load import job_from, job_to_dict, job_to_yaml, load_job
from lib_lora_train.config.tag_job import load_tag_job
from lib_lora_train.errors import ConfigError

TEXTS = ["???", "${x}", "${season={summer|winter}}", "${oc.env:HOME}", "no", "off", "Yes", "null", "~", "2024", "0123",
         "1e-4", "12:30", "2024-01-31", "1_000", ".5", "0x10", "true", "{red|blue}", "[artist]", "style: OUT", "a #b",
         "ペニー", "C:\\pictures\\${x}", "a, b", "=", "<<", "!x", "|||", "- x", "@name", "tab\tinside", "'", '"']
PLAIN_IN_YAML = ["???", "${x}", "${season={summer|winter}}", "${oc.env:HOME}", "no", "off", "null", "~", "0123", "1e-4",
                 "12:30", "2024-01-31", "1_000", "{red|blue}", "[artist]", "=", "<<"]
COMPLETE = {"base": {"checkpoint": "model.safetensors"}, "dataset": {"train_data_dir": "pictures"},
            "save": {"output_name": "penny", "output_dir": "Lora"}}
TEXT_SETTINGS = [field for field in all_settings() if field.type_name in ("str", "Optional[str]")
                 and not field.info.choices and not field.name.startswith("block_")]  # lists with names of their own


def with_value(field, value):
    return {**COMPLETE, field.group: {**COMPLETE.get(field.group, {}), field.name: value}}


@pytest.fixture
def job_file(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps(COMPLETE))
    return path


def taken(load, field):
    """The value of ``field`` that ``load`` gives, or that a check which spans settings names as it was typed."""
    try:
        return getattr(getattr(load(), field.group), field.name)
    except ConfigError as problem:
        return str(problem)


def is_as_typed(value, text):
    return value == text or text in value or repr(text) in value


@pytest.mark.parametrize("field", TEXT_SETTINGS, ids=lambda field: field.key)
def test_a_text_of_the_form_stays_as_it_is(field, tmp_path):
    written = tmp_path / "job.yaml"

    def through_the_run_folder(text):
        written.write_text(job_to_yaml(job_from(with_value(field, text))), encoding="utf-8")
        return load_job(written)

    for text in TEXTS:
        assert is_as_typed(taken(partial(through_the_run_folder, text), field), text), text


@pytest.mark.parametrize("key", ["dataset.activation_tag", "dataset.caption_prefix", "save.output_dir", "base.vae",
                                 "dataset.train_data_dir", "save.training_comment"])
def test_an_override_stays_as_it_is(key, job_file):
    for text in TEXTS:
        if text not in ("'", '"', "null", "~"):
            assert job_to_dict(load_job(job_file, [f"{key}={text}"]))[key.split(".")[0]][key.split(".")[1]] == text


@pytest.mark.parametrize("text", PLAIN_IN_YAML)
def test_a_text_without_quotes_in_a_job_file_stays_as_it_is(text, job_file):
    job_file.write_text(json.dumps(COMPLETE)[:-1].replace('"dataset": {', '"dataset": {"activation_tag": "@", ')
                        .replace('"@"', f'"{text}"') + "}")
    assert load_job(job_file).dataset.activation_tag == text
    job_file.write_text(yaml.safe_dump({group: COMPLETE[group] for group in ("base", "save")}) +
                        f"dataset:\n  train_data_dir: {text}\n  activation_tag: {text}\n")
    job = load_job(job_file)
    assert (job.dataset.activation_tag, job.dataset.train_data_dir) == (text, text)


def test_the_environment_of_the_trainer_is_in_no_job(job_file, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    job = load_job(job_file, ["dataset.activation_tag=${oc.env:SECRET_TOKEN}",
                              "save.training_comment=${oc.env:SECRET_TOKEN}"])
    assert "hunter2" not in job_to_yaml(job) + json.dumps(job_to_dict(job))


@pytest.mark.parametrize("text, wanted", [
    ("[a, b]", ["a", "b"]), ('["red, boots", b]', ["red, boots", "b"]),
    ("[{red|blue} hat, ${x}]", ["{red|blue} hat", "${x}"]),
    ("[{red|blue}]", ["{red|blue}"]), ("[no, ???, 1e-4]", ["no", "???", "1e-4"]), ("[]", []), ("", []),
    ("penny, red boots", ["penny, red boots"])])
def test_a_list_of_texts_on_the_command_line(text, wanted, job_file):
    assert load_job(job_file, [f"sample.sample_prompts={text}"]).sample.sample_prompts == wanted


def test_entries_of_a_list_in_a_job_file_stay_as_they_are(job_file):
    job_file.write_text(json.dumps(COMPLETE)[1:-1].replace('}, "', '}\n"') + "\nsample:\n  sample_prompts:\n  - no\n"
                        "  - ${x}\n  - 'red: boots'\n  - masterpiece, artist: foo\n  - {red|blue}\n")
    assert load_job(job_file).sample.sample_prompts == ["no", "${x}", "red: boots", "masterpiece, artist: foo",
                                                         "{red|blue}"]


def test_numbers_switches_and_empty_values_are_still_read(job_file):
    job = load_job(job_file, ["network.network_dim=8", "network.network_alpha=4", "optimizer.unet_lr=1e-4",
                              "loss.min_snr_gamma=null", "training.max_train_steps=", "dataset.shuffle_caption=no",
                              "base.vae=null", 'dataset.activation_tag="no"'])
    assert (job.network.network_dim, job.optimizer.unet_lr, job.loss.min_snr_gamma) == (8, 1e-4, None)
    assert (job.training.max_train_steps, job.dataset.shuffle_caption, job.base.vae) == (None, False, None)
    assert job.dataset.activation_tag == "no"


@pytest.mark.parametrize("override", ["network_dim=8", "network.network_dim", "=8", ".x=1", "network.=1"])
def test_an_override_that_names_no_setting_is_an_error_in_words(override, job_file):
    with pytest.raises(ConfigError, match="group.name=value"):
        load_job(job_file, [override])


@pytest.mark.parametrize("line", ["activation_tag: a: b", "activation_tag: @name", "activation_tag: *name"])
def test_what_yaml_cannot_read_is_said_with_the_way_out(line, job_file):
    job_file.write_text(f"dataset:\n  {line}\n")
    with pytest.raises(ConfigError, match="needs quotes"):
        load_job(job_file)


@pytest.mark.parametrize("separator", ["", " ", "\t"])
def test_tags_need_something_between_them(separator, job_file):
    with pytest.raises(ConfigError, match="dataset.caption_separator is .*such as a comma"):
        load_job(job_file, [f"dataset.caption_separator={separator}"])


def test_a_tag_job_and_a_bake_job_take_text_as_it_is(tmp_path):
    path = tmp_path / "tag.yaml"
    path.write_text("dataset:\n  train_data_dir: ${x}\ntags:\n  always_first_tags:\n  - no\n  - ???\n  - on\n"
                    "tagger:\n  model: 2024\n")
    job = load_tag_job(path)
    assert (job.dataset.train_data_dir, job.tags.always_first_tags, job.tagger.model) == ("${x}", ["no", "???", "on"],
                                                                                           "2024")
    bake = tmp_path / "bake.yaml"
    bake.write_text("lora: ${x}.safetensors\nblocks: " + ",".join(["1"] * 17) + "\noutput_name: no\n")
    assert (load_bake_job(bake).lora, load_bake_job(bake).output_name) == ("${x}.safetensors", "no")


@pytest.mark.parametrize("name", ["style: OUT", "concept: IN", "OUTS:1,0,0,0,0,0,0,0,0,1,1,1"])
def test_a_block_list_by_name_is_given_on_the_command_line_as_it_is_typed(tmp_path, name):
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(COMPLETE), encoding="utf-8")
    job = load_job(tmp_path / "job.yaml", [f"network.block_lr_weight={name}"])
    assert job.network.block_lr_weight == name
    assert job.network.block_rates is not None and job.network.block_rates["BASE"] == 1
