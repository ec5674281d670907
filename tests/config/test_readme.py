"""The table of settings in the docs is the schema's."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from lib_lora_train.cli.settings import explained, markdown_table
from lib_lora_train.config.job import GROUPS, all_settings
from lib_lora_train.config.load import read_job
from lib_lora_train.config.setting import setting

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ROOT / "docs" / "settings.md"


def test_the_docs_list_every_setting_as_it_is():
    assert markdown_table() in SETTINGS.read_text(encoding="utf-8"), "run: python -m lib_lora_train settings --markdown"


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


def test_the_docs_have_the_marks_that_are_to_be_written():
    assert r"\|\|\|" in SETTINGS.read_text(encoding="utf-8") and r"{red\|blue}" in SETTINGS.read_text(encoding="utf-8")


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            if page != SETTINGS:
                assert (page.parent / link).exists(), f"{page.name} links to {link}"
