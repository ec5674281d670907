"""What differs between jobs, how a group and its values are named, and group files that are damaged."""

from __future__ import annotations

import json

import pytest

from lib_lora_train.config.change import changed
from lib_lora_train.config.check import name_problems
from lib_lora_train.config.job import Job, all_settings
from lib_lora_train.errors import ConfigError
from lib_lora_train.runs.compare.differences import differences
from lib_lora_train.runs.compare.group import GROUP_FILE, RunGroup, read_group, write_group
from lib_lora_train.runs.compare.values import in_words, title_of, variant_name, varied_field
from lib_lora_train.runs.folder import create_run
from lib_lora_train.runs.summary import RunIndex

GROUP = RunGroup("20261128-1", "Rank: 8, 16", "network.network_dim", "8", 0, grid=True)


@pytest.fixture
def run(tmp_path):
    return create_run(tmp_path, "penny", "save:\n  output_name: penny\n")


def test_only_what_differs_is_reported_with_the_labels_of_the_form():
    jobs = [changed(Job(), {"network.network_dim": dim, "save.output_name": name, "base.checkpoint": base,
                            "optimizer.optimizer_args": args})
            for dim, name, base, args in ((8, "a", "x.safetensors", []), (16, "b", "x.safetensors", ["eps=1"]),
                                          (16, "c", "y.safetensors", []))]
    found = {one.key: (one.label, one.values) for one in differences(jobs)}
    assert found == {
        "base.checkpoint": ("Checkpoint", ("x.safetensors", "x.safetensors", "y.safetensors")),
        "network.network_dim": ("Network dim (rank)", (8, 16, 16)),
        "optimizer.optimizer_args": ("Optimizer args", ([], ["eps=1"], []))}


def test_a_run_that_cannot_be_read_makes_no_difference():
    jobs = [None, changed(Job(), {"training.seed": 1}), changed(Job(), {"training.seed": 2}), None]
    assert [(one.key, one.values) for one in differences(jobs)] == [("training.seed", (None, 1, 2, None))]
    assert differences([None, Job()]) == [] and differences([None, None]) == []


@pytest.mark.parametrize(("key", "value", "name", "words"), [
    ("network.network_dim", 16, "penny-dim16", "16"),
    ("optimizer.unet_lr", 0.0001, "penny-unet0.0001", "0.0001"),
    ("optimizer.unet_lr", 5e-7, "penny-unet5e-07", "5e-07"),
    ("optimizer.optimizer_type", "Prodigy", "penny-Prodigy", "Prodigy"),
    ("base.checkpoint", r"C:\models\nai 1.5.safetensors", "penny-on-nai_1.5", "nai 1.5.safetensors"),
    ("base.checkpoint", "/models/ünicode.ckpt", "penny-on-ünicode", "ünicode.ckpt"),
    ("dataset.train_data_dir", "/sets/10_penny", "penny-with-10_penny", "10_penny"),
    ("dataset.flip_aug", True, "penny-flip_augon", "on"),
    ("loss.min_snr_gamma", None, "penny-min_snr_gammaempty", "empty"),
    ("network.block_lr_weight", "1,0,0,<:>", "penny-block_lr_weight1_0_0", "1,0,0,<:>")])
def test_a_value_is_named_in_headings_and_in_the_file(key, value, name, words):
    field = varied_field(key)
    assert (variant_name("penny", field, value), in_words(field, value)) == (name, words)
    assert name_problems(variant_name("penny", field, value)) == []


def test_any_setting_makes_a_name_that_a_prompt_can_hold():
    for field in all_settings():
        if field.key not in ("save.output_name", "save.output_dir"):
            for value in (field.default, "x" * 500, "..", " a/b:c ", True, [1, "a"], {"a": 1}):
                assert name_problems(variant_name("p" * 200, varied_field(field.key), value)) == [], (field.key, value)


def test_what_cannot_be_varied_says_why():
    for key, why in (("save.output_name", "a name of its own"), ("save.output_dir", "where the file goes"),
                     ("network.rank", "no setting 'network.rank'"), ("", "no setting ''")):
        with pytest.raises(ConfigError, match=why):
            varied_field(key)
    assert title_of(varied_field("training.seed"), [1, 2]) == "Seed: 1, 2"


def test_a_group_is_kept_with_the_run_and_in_its_summary(run, tmp_path):
    index = RunIndex(tmp_path)
    assert read_group(run) is None and index.of(run).group is None
    write_group(run, GROUP)
    assert read_group(run) == GROUP and index.of(run).group == GROUP


@pytest.mark.parametrize("content", [
    b"", b"{", b"[]", b"\xff\xfe", b'{"id": "x"}', b'{"id": 3, "title": "", "key": "", "value": "", "position": 0}',
    json.dumps({"id": "", "title": "t", "key": "k", "value": "v", "position": 0}).encode(),
    json.dumps({"id": "x", "title": "t", "key": "k", "value": "v", "position": 0.5}).encode(),
    json.dumps({"id": "x", "title": "t", "key": "k", "value": "v", "position": 0, "grid": "yes"}).encode()])
def test_a_damaged_group_is_reported_and_the_run_is_shown(run, tmp_path, content):
    (run.path / GROUP_FILE).write_bytes(content)
    summary = RunIndex(tmp_path).of(run)
    assert summary.state == "waiting" and summary.group is not None and summary.group.id == ""
    assert str(run.path / GROUP_FILE) in summary.group.problem and "damaged" in summary.group.problem
