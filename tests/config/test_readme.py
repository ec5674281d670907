"""The README's table of settings is the schema's."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from lib_lora_train.cli.settings import explained, markdown_table
from lib_lora_train.config.job import GROUPS, all_settings
from lib_lora_train.config.load import read_job
from lib_lora_train.config.setting import setting

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_readme_lists_every_setting_as_it_is():
    assert markdown_table() in README.read_text(), "run: python -m lib_lora_train settings --markdown"


def test_the_explained_job_file_is_a_job_file():
    from lib_lora_train.config.text_yaml import read_yaml

    text = "\n".join(f"{group}:\n" + "\n".join(
        "  " + line for field in all_settings() if field.group == group for line in explained(field).splitlines())
        for group in GROUPS)
    _, problems = read_job(read_yaml(text))
    assert problems == []


@pytest.mark.parametrize("text", ["such as |||: what", "{red|blue}", "<repeats>_<concept>", "*background*", "C:\\x"])
def test_the_table_shows_text_as_it_is(text):
    @dataclasses.dataclass(frozen=True)
    class Group:
        """One setting."""

        mark: str = setting("", text)

    row = markdown_table({"group": Group}).splitlines()[-1]
    cells = re.split(r"(?<!\\)\|", row)  # an unescaped bar ends a cell, as GitHub's tables have it
    assert len(cells) == 6
    assert not re.search(r"(?<!\\)[<*]", cells[4])
    assert re.sub(r"\\([|*<\\])", r"\1", cells[4]).strip() == text


def test_the_readme_has_the_marks_that_are_to_be_written():
    assert r"\|\|\|" in README.read_text() and r"{red\|blue}" in README.read_text()
