"""The page's types of the settings are those of the Python dataclasses."""

from __future__ import annotations

from lib_lora_train.config.job import all_settings

from .settings_types import FILE, settings_types


def test_the_file_is_what_the_script_makes() -> None:
    assert FILE.read_text(encoding="utf-8") == settings_types(), "Run: python -m tests.ui.settings_types"


def test_every_setting_of_every_group_is_typed() -> None:
    text = settings_types()
    missing = [field.key for field in all_settings() if f"\n    {field.name}:" not in text]
    assert not missing


def test_choices_and_empty_values_are_part_of_a_type() -> None:
    text = settings_types()
    assert '|"cosine"' in text
    assert "lr_scheduler_timescale: number|null;" in text
    assert "sample_prompts: string[];" in text
