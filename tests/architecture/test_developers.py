"""What the guide for developers says of the code is true: every file and every name in it exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "developers.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.(?:py|js|txt|md))(?:::?(\w+))?`", GUIDE)))
FOLDERS = sorted(set(re.findall(r"`((?:tests|[\w]+)/[\w/]*/)`", GUIDE)))


def found(path: str) -> Path | None:
    roots = (ROOT, ROOT / "lib_lora_train", ROOT / "javascript" / "modules")
    return next((root / path for root in roots if (root / path).exists()), None)


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_file_that_is_named_exists_and_defines_what_is_named(path: str, name: str):
    file = found(path)
    assert file is not None, path
    defines = rf"(?m)^\s*(?:export |async |static )*(?:def |class |function |const )?{name}\b\s*[=:(\[{{]?"
    assert not name or re.search(defines, file.read_text(encoding="utf-8")), f"{path} has no {name}"


def test_folders_that_are_named_exist_and_the_paths_of_the_tour_are_read():
    assert [folder for folder in FOLDERS if found(folder) is None] == []
    assert len([name for _, name in NAMED if name]) >= 25
