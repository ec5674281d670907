"""The page's types of what the server answers are those of the Python dataclasses."""

from __future__ import annotations

import pytest

from .answer_types import RECORDS, record_file, record_types


@pytest.mark.parametrize("room", RECORDS)
def test_the_file_is_what_the_script_makes(room: str) -> None:
    assert record_file(room).read_text(encoding="utf-8") == record_types(room), "Run: python -m tests.ui.answer_types"


def test_every_field_of_every_dataclass_is_typed() -> None:
    assert "    total_steps: number|null;" in record_types("runs")
    assert "    files: [string, string][];" in record_types("captions")
    assert "    fixes: Fix[];" in record_types("captions")
    assert "    defaults: Record<string, unknown>|null;" in record_types("train")
