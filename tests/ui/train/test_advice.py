"""What the tab is told of the guide's presets."""

from __future__ import annotations

import pytest

from lib_lora_train.config.job import all_settings
from lib_lora_train.config.load import read_job


@pytest.mark.parametrize("images_seen", [0, 21])
def test_every_preset_is_a_job_that_can_be_read_and_its_reasons_are_about_settings(tab, images_seen):
    presets = tab.get("presets", images_per_epoch=images_seen).json()["presets"]
    keys = {setting.key for setting in all_settings()}
    assert presets
    for preset in presets:
        assert preset["title"] and preset["text"]
        assert read_job(preset["values"])[1] == []
        assert set(preset["reasons"]) <= keys


def test_with_a_folder_the_presets_know_how_many_epochs_it_takes(tab):
    easy = tab.get("presets", images_per_epoch=94).json()["presets"][0]
    assert easy["values"]["training"]["max_train_epochs"] == 13  # 1000 images and 18 % for its dampening, 94 at a time
    assert "94" in easy["reasons"]["training.max_train_epochs"]
    assert "max_train_epochs" not in tab.get("presets").json()["presets"][0]["values"].get("training", {})


def checked(tab, difficulty="", **groups):
    values = tab.job()
    for group, content in groups.items():
        values[group] = {**values.get(group, {}), **content}
    return tab.post("job/check", {"job": values, "difficulty": difficulty}).json()["advice"]


FIXED = {"optimizer_type": "AdamW", "learning_rate": 1e-4}
UNBRAKED = {"network_dim": 64, "network_alpha": 64}


def test_a_run_that_is_too_short_says_how_long_it_should_be(tab):
    advice = checked(tab, network=UNBRAKED, optimizer=FIXED)  # 4 pictures, 3 epochs
    assert advice == ["The run sees 12 images in total, repeats included. Fewer than 800 are rarely enough: 250 epochs "
                      "would show 1000."]
    assert checked(tab, network=UNBRAKED, optimizer=FIXED, training={"max_train_epochs": 250}) == []


def test_what_slows_learning_is_named_with_what_to_do(tab):
    advice = checked(tab, network={"network_dim": 32, "network_alpha": 1}, optimizer=FIXED,
                     training={"max_train_epochs": 250})
    assert advice == ["Some dampening: add a few epochs, or raise the learning rate a little. Biggest brakes on "
                      "learning: network_alpha (has no other effect), network_dim (gives a smaller file that holds "
                      "less)."]


def test_the_network_is_judged_by_what_it_has_to_hold(tab):
    long = {"max_train_epochs": 250}
    [advice] = checked(tab, "H", network=UNBRAKED, optimizer=FIXED, training=long)
    assert "A network_dim of 64 is low for category H: use 128 to 192" in advice
    assert checked(tab, "D", network=UNBRAKED, optimizer=FIXED, training=long) == []
    assert checked(tab, "nonsense", network=UNBRAKED, optimizer=FIXED, training=long) == []


def test_every_category_comes_with_what_it_asks_for(tab):
    answer = tab.get("difficulties").json()
    assert [one["letter"] for one in answer["difficulties"]] == list("ABCDEFGHI")
    for one in answer["difficulties"]:
        assert one["lowest_rank"] <= one["suggested_rank"] <= one["highest_rank"] and one["networks"]
    assert "male" in answer["male_characters"]
    of_set = tab.get("difficulties", images_per_epoch=24).json()["difficulties"]
    assert of_set[5]["values"]["training"]["max_train_epochs"] == 63  # 1500 images
    assert of_set[0]["values"]["training"]["max_train_epochs"] == 42
