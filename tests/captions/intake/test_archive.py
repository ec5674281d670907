"""Zip files of unknown origin: nothing leaves the folder, nothing fills the disk, and what is skipped is listed."""

from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from lib_lora_train.captions.intake import archive
from lib_lora_train.captions.intake.archive import unpack
from lib_lora_train.errors import DatasetError


def unpacked(path: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    taken: dict[str, bytes] = {}
    left: dict[str, str] = {}
    unpack(path, "set.zip", lambda name, content, size: taken.update({name: content.read()}), left.__setitem__)
    return taken, left


def zipped(path: Path, files: dict[str, bytes], **options: int) -> Path:
    with zipfile.ZipFile(path, "w", **options) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return path


def test_files_are_unpacked_and_hostile_paths_are_listed(tmp_path: Path):
    hostile = ["../up.png", "a/../../up.png", "/etc/x.png", "C:\\x.png", "..\\up.png", "\\\\server\\x.png"]
    taken, left = unpacked(zipped(tmp_path / "a.zip", {"a/b.png": b"x", "c.txt": b"y", **dict.fromkeys(hostile, b"!")}))
    assert taken == {"a/b.png": b"x", "c.txt": b"y"}
    assert len(left) == len(hostile)
    assert all("absolute" in reason or "leads out" in reason for reason in left.values())


def test_links_encrypted_files_and_archives_inside_are_listed(tmp_path: Path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as made:
        link = zipfile.ZipInfo("link.png")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, "/etc/passwd")
        made.writestr("inner.zip", b"PK")
        made.writestr("inner.tar.gz", b"x")
        made.writestr("secret.png", b"x")
        made.writestr("fine.png", b"x")
    data = bytearray(path.read_bytes())
    for sign, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.index(b"secret.png") if sign == b"PK\3\4" else data.rindex(b"secret.png")
        data[data.rindex(sign, 0, at) + flags] |= 1
    path.write_bytes(data)
    taken, left = unpacked(path)
    assert list(taken) == ["fine.png"]
    assert left["link.png"] == "it is a link" and "encrypted" in left["secret.png"]
    assert "not unpacked" in left["inner.zip"] and "not unpacked" in left["inner.tar.gz"]


def test_a_bomb_is_refused_before_anything_is_unpacked(tmp_path: Path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made, made.open("big.bmp", "w") as file:
        for _ in range(300):
            file.write(bytes(1 << 20))
    with pytest.raises(DatasetError, match=r"set.zip was not unpacked: its .* would become 315 MB"):
        unpacked(path)


def test_a_bomb_that_states_a_small_size_is_kept_to_it(tmp_path: Path):
    path = zipped(tmp_path / "liar.zip", {"a.bmp": bytes(5_000_000), "b.png": b"x"}, compression=zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    for sign, at in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        place = data.index(sign) + at
        data[place:place + 4] = struct.pack("<L", 100)
    path.write_bytes(data)
    taken, left = unpacked(path)
    assert sum(map(len, taken.values())) <= 101 and "b.png" in taken
    assert "cannot be unpacked" in left["a.bmp"]


def test_too_many_files_are_refused_by_the_directory_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = zipped(tmp_path / "many.zip", {f"{number}.txt": b"" for number in range(51)})
    monkeypatch.setattr(archive, "MOST_ENTRIES", 50)
    monkeypatch.setattr(zipfile, "ZipFile", None)  # not even opened
    with pytest.raises(DatasetError, match="more than 50 files"):
        unpacked(path)


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\3\4" + bytes(500), b"PK\5\6", b"PK\5\6" + b"\xff" * 40,
                                     b"PK\6\7" + b"\xff" * 16 + b"PK\5\6" + bytes(18)])
def test_what_is_no_zip_is_refused_in_words(tmp_path: Path, content: bytes):
    (tmp_path / "x.zip").write_bytes(content)
    try:
        taken, _ = unpacked(tmp_path / "x.zip")
    except DatasetError as refused:
        assert "cannot be unpacked" in str(refused)
    else:
        assert not taken


def test_a_damaged_entry_is_listed_and_the_others_are_taken(tmp_path: Path):
    path = zipped(tmp_path / "a.zip", {"a.png": b"0123456789" * 50, "b.png": b"x"})
    data = bytearray(path.read_bytes())
    data[data.index(b"0123456789") + 20] ^= 255
    path.write_bytes(data)
    taken, left = unpacked(path)
    assert "b.png" in taken and "CRC" in left["a.png"]


def test_an_unknown_compression_is_listed(tmp_path: Path):
    path = zipped(tmp_path / "a.zip", {"a.png": b"x", "b.png": b"y"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\3\4") + 8] = 9
    data[data.index(b"PK\1\2") + 10] = 9
    path.write_bytes(data)
    taken, left = unpacked(path)
    assert list(taken) == ["b.png"] and "not supported" in left["a.png"]
