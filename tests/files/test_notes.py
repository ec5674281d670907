"""Small files that the project keeps beside images: one that is nested without end is damaged, as any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_lora_train.captions.confidences import confidences_file, read_confidences
from lib_lora_train.captions.doubtful import KEPT_FILE, read_kept
from lib_lora_train.errors import DatasetError
from lib_lora_train.pictures.facts import PictureFacts
from lib_lora_train.tagging.results import ResultFile

NESTED = ["[" * 200_000, "[" * 500 + "]" * 500, '{"a":' * 100_000, "[NaN, Infinity"]


@pytest.mark.parametrize("text", NESTED)
def test_a_nested_note_is_an_error_that_names_the_file_or_counts_as_none(tmp_path: Path, text: str):
    file = confidences_file(tmp_path)
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(DatasetError, match=r"confidences\.json"):
        read_confidences(tmp_path)
    (file.parent / KEPT_FILE).write_text(text)
    with pytest.raises(DatasetError, match=r"kept\.json"):
        read_kept(tmp_path)
    (tmp_path / "facts.json").write_text(text)
    PictureFacts(tmp_path, tmp_path / "facts.json")
    (tmp_path / "results.jsonl").write_text(text + "\n")
    with ResultFile(tmp_path / "results.jsonl", tmp_path) as kept:
        assert not kept.results
