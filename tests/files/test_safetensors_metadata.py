"""What a file says of itself is changed; its tensors are the same bits, and one whole file has the name at any time."""

from __future__ import annotations

import errno
import itertools
import json
import os
import struct
from pathlib import Path

import pytest

from lib_lora_train.errors import CheckpointError, WriteError
from lib_lora_train.files import safetensors_metadata
from lib_lora_train.files.safetensors_header import read_safetensors_header
from lib_lora_train.files.safetensors_metadata import change_metadata
from tests.crashes import killed_at, killed_inside, refused_in_turn
from tests.standin.lora_file import write_lora

BEFORE = {"ss_epoch": "3", "modelspec.title": "old", "sshs_model_hash": "abc", "ss_tag_frequency": "{\"a\": 1}"}
CODES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)
LARGE = {"lora_unet_x.lora_down.weight": (64, 64, 3, 3)}


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    return write_lora(tmp_path / "penny.safetensors", BEFORE, LARGE)


def tensors_of(path: Path) -> tuple[list, bytes]:
    """Name, type, shape and place of each tensor, and all their bytes."""
    header, data = read_safetensors_header(path), path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    table = [(name, one.dtype, one.shape, one.begin - start, one.end - start) for name, one in header.tensors.items()]
    return table, data[start:]


def metadata_of(path: Path) -> dict[str, str]:
    return dict(read_safetensors_header(path).metadata)


@pytest.mark.parametrize("changes", [
    {"modelspec.title": "Penny, the robot"}, {"modelspec.title": None}, {"note": "日本語 ü \n \"quoted\" \0"},
    {"note": "x" * 200_000}, {"modelspec.title": "", "ss_epoch": None, "new": "1"}, {}])
def test_the_entries_change_and_nothing_else(lora: Path, changes):
    before = tensors_of(lora)
    change_metadata(lora, changes)
    assert metadata_of(lora) == {key: value for key, value in {**BEFORE, **changes}.items() if value is not None}
    assert tensors_of(lora) == before
    assert list(lora.parent.iterdir()) == [lora]


def test_a_file_without_metadata_and_with_bytes_behind_its_tensors(lora: Path):
    header = json.dumps({"a.alpha": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}).encode()
    lora.write_bytes(len(header).to_bytes(8, "little") + header + struct.pack("<f", 4) + b"behind")
    change_metadata(lora, {"modelspec.title": "new"})
    assert metadata_of(lora) == {"modelspec.title": "new"} and tensors_of(lora)[1] == struct.pack("<f", 4) + b"behind"


def test_the_file_is_newer_afterwards_whatever_the_clock_says(lora: Path):
    """The webui keeps metadata that it has read until the file is newer."""
    in_a_year = lora.stat().st_mtime + 3e7
    os.utime(lora, (in_a_year, in_a_year))
    lora.chmod(0o640)
    change_metadata(lora, {"modelspec.title": "new"})
    assert lora.stat().st_mtime >= in_a_year + 1 and lora.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(lora: Path, tmp_path: Path):
    link = tmp_path / "below" / "link.safetensors"
    link.parent.mkdir()
    link.symlink_to(lora)
    change_metadata(link, {"modelspec.title": "new"})
    assert link.is_symlink() and metadata_of(lora)["modelspec.title"] == "new" and len([*link.parent.iterdir()]) == 1


@pytest.mark.parametrize("code", CODES)
def test_each_refused_operation_leaves_the_file_as_it_was(lora: Path, code: int):
    before = lora.read_bytes()

    def check(sentence: str | None, at: int) -> None:
        if sentence is None:
            assert metadata_of(lora)["modelspec.title"] == "new", at
        else:
            assert lora.read_bytes() == before, at
            assert "penny.safetensors" in sentence
        assert not [path for path in lora.parent.iterdir() if path != lora], at

    refused = refused_in_turn(lambda: change_metadata(lora, {"modelspec.title": "new"}),
                              lambda: lora.write_bytes(before), check, [code])
    assert refused >= 3


def test_killed_at_every_operation_one_whole_file_is_there(lora: Path):
    before, tensors = metadata_of(lora), tensors_of(lora)
    whole = lora.read_bytes()

    def act() -> None:
        change_metadata(lora, {"modelspec.title": "new"})

    def still_whole(at: str) -> None:
        assert tensors_of(lora) == tensors, at
        assert metadata_of(lora) in (before, {**before, "modelspec.title": "new"}), at

    for number in itertools.count(1):
        lora.write_bytes(whole)
        ended = killed_at(number, act)
        still_whole(f"operation {number}")
        for written in (0, 100, 100_000):
            killed_inside(number, written, act)
            still_whole(f"{written} bytes after operation {number}")
        act()
        assert [*lora.parent.iterdir()] == [lora], "what the killed program left is removed by the next"
        if not ended:
            break
    assert number > 3


def test_a_copy_that_came_out_differently_is_not_used(lora: Path, monkeypatch):
    before, read = lora.read_bytes(), safetensors_metadata._read

    def flipped(file, path):
        chunk = read(file, path)
        return chunk[:-1] + bytes([chunk[-1] ^ 1]) if path.name.endswith(".tmp") and chunk else chunk

    monkeypatch.setattr(safetensors_metadata, "_read", flipped)
    with pytest.raises(CheckpointError, match=r"penny\.safetensors did not come out the same"):
        change_metadata(lora, {"modelspec.title": "new"})
    assert lora.read_bytes() == before and [*lora.parent.iterdir()] == [lora]


def test_a_file_that_another_program_writes_meanwhile_is_left_to_it(lora: Path, monkeypatch):
    digest = safetensors_metadata._tensor_digest

    def written_meanwhile(path, start, take):
        found = digest(path, start, take)
        if path == lora:
            lora.write_bytes(lora.read_bytes() + b"more")
        return found

    monkeypatch.setattr(safetensors_metadata, "_tensor_digest", written_meanwhile)
    with pytest.raises(CheckpointError, match="was changed by another program"):
        change_metadata(lora, {"modelspec.title": "new"})
    assert lora.read_bytes().endswith(b"more") and "new" not in metadata_of(lora).values()


def test_a_file_in_use_as_on_windows_is_left_as_it_is(lora: Path, monkeypatch):
    before = lora.read_bytes()

    def in_use(self, target):
        raise PermissionError(errno.EACCES, "Access is denied", str(self), 5, str(target))

    monkeypatch.setattr(Path, "replace", in_use)
    with pytest.raises(WriteError, match="open in another program, close it there"):
        change_metadata(lora, {"modelspec.title": "new"})
    assert lora.read_bytes() == before and [*lora.parent.iterdir()] == [lora]


DAMAGED = {"empty": b"", "no header": b"PK\3\4 a pickle", "cut short": None,
           "a name twice": b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
                           b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_left_as_it_is(lora: Path, kind: str):
    content = DAMAGED[kind]
    if content is None:
        content = lora.read_bytes()[:-100]
    elif kind == "a name twice":
        content = len(content).to_bytes(8, "little") + content + b"x"
    lora.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"penny\.safetensors is damaged"):
        change_metadata(lora, {"modelspec.title": "new"})
    assert lora.read_bytes() == content


def test_more_than_can_be_read_again_is_refused(lora: Path):
    before = lora.read_bytes()
    with pytest.raises(CheckpointError, match="would take 40 MB"):
        change_metadata(lora, {"note": "x" * 40_000_000})
    assert lora.read_bytes() == before
