"""The README's table of settings is the schema's."""

from __future__ import annotations

from pathlib import Path

from lib_lora_train.cli.settings import explained, markdown_table
from lib_lora_train.config.job import GROUPS, all_settings
from lib_lora_train.config.load import read_job

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_readme_lists_every_setting_as_it_is():
    assert markdown_table() in README.read_text(), "run: python -m lib_lora_train settings --markdown"


def test_the_explained_job_file_is_a_job_file():
    from omegaconf import OmegaConf

    text = "\n".join(f"{group}:\n" + "\n".join(
        "  " + line for field in all_settings() if field.group == group for line in explained(field).splitlines())
        for group in GROUPS)
    _, problems = read_job(OmegaConf.to_container(OmegaConf.create(text)))
    assert problems == []
