"""What the tab is told of the guide's presets."""

from __future__ import annotations

import pytest

from lib_lora_train.config.job import all_settings
from lib_lora_train.config.load import read_job


@pytest.mark.parametrize("looks", [0, 21])
def test_every_preset_is_a_job_that_can_be_read_and_its_reasons_are_about_settings(tab, looks):
    presets = tab.get("presets", looks_per_epoch=looks).json()["presets"]
    keys = {setting.key for setting in all_settings()}
    assert presets
    for preset in presets:
        assert preset["title"] and preset["text"]
        assert read_job(preset["values"])[1] == []
        assert set(preset["reasons"]) <= keys


def test_with_a_folder_the_presets_know_how_many_epochs_it_takes(tab):
    easy = tab.get("presets", looks_per_epoch=94).json()["presets"][0]
    assert easy["values"]["training"]["max_train_epochs"] == 11  # 1000 looks, 94 at a time
    assert "94" in easy["reasons"]["training.max_train_epochs"]
    assert "max_train_epochs" not in tab.get("presets").json()["presets"][0]["values"].get("training", {})
