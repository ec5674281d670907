"""A disk that refuses while a tagger is downloaded or a set is tagged: a sentence, and every caption is whole."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib_lora_train.config.taggers import KnownTagger, find_tagger
from lib_lora_train.errors import TaggerError
from lib_lora_train.tagging import download
from tests.crashes import cut_off, failing, killed_at, operations_seen, refused_in_turn
from tests.figures import FULL, count, figure

from .conftest import captions_of, make_dataset, tag, tag_job
from .fake_hub import FakeHub

BEFORE = {"red_1": "mine", "blue_1": None, "green_1": "hat"}
AFTER = {"red_1": "mine, penny (series), red thing, ^_^", "blue_1": "blue thing, ^_^",
         "green_1": "hat, green thing, ^_^"}
CODES = [errno.ENOSPC, errno.EROFS, errno.EACCES]
HINTS = ("Free some space", "another disk", "writable for you")
TAGGER = KnownTagger("mini", "me/mini", "small")
FILES = {"me/mini/model.onnx": bytes(range(256)) * 1000, "me/mini/selected_tags.csv": b"name,category\nhat,0\n"}


@pytest.mark.slow
@pytest.mark.parametrize("code", CODES)
def test_a_run_whose_write_is_refused_says_so_and_its_next_try_completes_it(tmp_path: Path, colour_tagger: Path,
                                                                            code: int):
    folder, results = tmp_path / "set", tmp_path / "run" / "tags.jsonl"
    job = tag_job(folder, colour_tagger, write__mode="append", tagger__decoding_threads=1)
    refused = at = 0
    with figure("refused writes: tagging") as counted:
        while True:
            at += count(5, 1)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(results.parent, ignore_errors=True)
            make_dataset(folder, BEFORE)
            with failing(at, 1, code):
                reported = tag(job, results)
            counted.tried += 1
            seen, text = operations_seen(), str([*reported.warnings, reported.last.get("text")])
            assert "[Errno" not in text and "error in the program" not in text, (at, text)
            if reported.last["event"] == "error":
                refused += 1
                assert any(hint in reported.last["text"] for hint in HINTS), (at, text)
                assert all(caption in (BEFORE[name], AFTER[name]) for name, caption in captions_of(folder).items()), at
                assert tag(job, results).last["event"] == "finished"
            assert captions_of(folder) == AFTER, at
            if seen < at:
                break
    assert refused > count(2, 10)


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    """One for all, since the client keeps the address that it was loaded with."""
    found = FakeHub(FILES)
    with pytest.MonkeyPatch.context() as patch:
        import huggingface_hub.constants as constants
        import huggingface_hub.file_download as client

        for place in (constants, client):
            patch.setattr(place, "HUGGINGFACE_CO_URL_TEMPLATE", found.url + "/{repo_id}/resolve/{revision}/{filename}",
                          raising=False)
        patch.setattr(constants, "ENDPOINT", found.url)
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield found
    found.close()


def fetch(models: Path) -> bool:
    return download.download_tagger(TAGGER, models, progress=lambda file, done, total: None, stopped=lambda: False,
                                    note=print)


def is_whole(models: Path) -> bool:
    """Whether the tagger would be used; then every byte of it has to be there."""
    if find_tagger(models, "mini") is None:
        return False
    assert {f"me/mini/{file.name}": file.read_bytes() for file in (models / "mini").iterdir()
            if file.name in ("model.onnx", "selected_tags.csv")} == FILES
    return True


@pytest.mark.slow
def test_a_download_that_is_refused_anywhere_is_reported_and_the_next_one_completes_it(tmp_path: Path, hub):
    models = tmp_path / "taggers"

    def check(sentence: str | None, at: int) -> None:
        is_whole(models)
        if sentence is not None:
            assert "mini" in sentence and any(hint in sentence for hint in HINTS), (at, sentence)
        assert fetch(models) and is_whole(models), at

    with figure("refused writes: download") as counted:
        counted.tried = refused_in_turn(lambda: fetch(models), lambda: shutil.rmtree(models, ignore_errors=True), check,
                                        [errno.ENOSPC], lambda at: FULL or at % 4 == 1)
    assert counted.tried >= count(1, 5)


@pytest.mark.parametrize("written", [0, 1000, 200_000])
def test_a_download_that_does_not_fit_is_reported_and_the_next_one_completes_it(tmp_path: Path, hub, written: int):
    with cut_off(1, written), pytest.raises(TaggerError, match="mini") as caught:
        fetch(tmp_path)
    assert "[Errno" not in str(caught.value)
    assert not is_whole(tmp_path)
    assert fetch(tmp_path) and is_whole(tmp_path)


@pytest.mark.slow
def test_a_download_that_is_killed_anywhere_leaves_no_half_of_a_tagger(tmp_path: Path, hub):
    models, at = tmp_path / "taggers", 0
    with figure("kills: download"):
        while True:
            at += count(5, 1)
            shutil.rmtree(models, ignore_errors=True)
            ended = killed_at(at, lambda: fetch(models))
            is_whole(models)
            assert fetch(models) and is_whole(models), at
            if not ended:
                break
    assert at > count(5, 10)
