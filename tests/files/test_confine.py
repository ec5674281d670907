"""What lies outside a folder is neither read nor written, whatever is named and whatever links are swapped."""

from __future__ import annotations

import contextlib
import os
import random
import threading
from pathlib import Path

import pytest

from lib_lora_train.errors import DatasetError
from lib_lora_train.files import confine
from lib_lora_train.files.confine import MOST_LEVELS, Confined, inside, is_inside, local_path, open_inside
from lib_lora_train.files.swap import SwapArea

SECRET = b"secret words"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "set"
    (made / "sub" / "deep").mkdir(parents=True)
    for name in ("a.txt", "sub/b.txt", "sub/deep/c.txt"):
        (made / name).write_bytes(b"penny")
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        (outside / name).write_bytes(SECRET)
    return made.resolve()


@pytest.mark.parametrize("name", ["../outside/a.txt", "/etc/passwd", "..", ".", "", "a\0.txt",
                                  "sub/../../outside/a.txt",
                                  "link.txt", "link/a.txt", "loop", "x" * 256, "/".join(["d"] * (MOST_LEVELS + 1)),
                                  "sub/", "gone.txt", "sub"])
def test_only_files_of_the_folder_are_opened(folder: Path, name: str):
    (folder / "link.txt").symlink_to("../outside/a.txt")
    (folder / "link").symlink_to("../outside")
    (folder / "loop").symlink_to("loop")
    with pytest.raises(DatasetError):
        open_inside(folder, name)


@pytest.mark.parametrize("name", ["a.txt", "sub/b.txt", "sub/deep/c.txt", "link.txt", "link/c.txt"])
def test_links_may_lead_elsewhere_in_the_folder(folder: Path, name: str):
    (folder / "link.txt").symlink_to("sub/deep/c.txt")
    (folder / "link").symlink_to("sub/deep")
    with open_inside(folder, name) as file:
        assert file.read() == b"penny"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_refused_instead_of_waited_for(folder: Path):
    os.mkfifo(folder / "pipe.txt")
    with pytest.raises(DatasetError, match="not a regular file"):
        open_inside(folder, "pipe.txt")


@pytest.mark.parametrize("name", [".lora_train/journal/state.json", ".lora_train_trash/x.png", "link/state.json"])
def test_the_editors_own_folders_are_no_part_of_the_dataset(folder: Path, name: str):
    (folder / ".lora_train").mkdir()
    (folder / "link").symlink_to(".lora_train")
    with pytest.raises(DatasetError, match="editor itself"):
        inside(folder, name)


def test_a_folder_is_inside_itself_and_neighbours_with_its_name_in_front_are_not(tmp_path: Path):
    (tmp_path / "set-2").mkdir()
    assert is_inside(tmp_path / "set", tmp_path / "set") and is_inside(tmp_path / "set", tmp_path / "set" / "x")
    assert not is_inside(tmp_path / "set", tmp_path / "set-2") and not is_inside(tmp_path / "set", tmp_path)


@pytest.mark.parametrize("text", [r"\\server\share\set", "//server/share", r"\/server/share", r"/\server\share",
                                  '"\\\\server\\share"', r"  \\server\share", r"\\?\UNC\server\share", r"\\.\pipe\x",
                                  "relative/set", "", "C:relative", "~nobody-at-all/set", "/a\0b"])
def test_other_machines_and_relative_paths_are_refused_before_any_disk_is_asked(text: str, monkeypatch):
    for name in ("stat", "lstat", "open", "scandir", "readlink"):
        monkeypatch.setattr(os, name, lambda *args, **more: pytest.fail("a disk was asked"))
    with pytest.raises(DatasetError):
        local_path(text)


@pytest.mark.parametrize("name", ["con.txt", "NUL", "sub/aux", "a.txt:stream", "C:a.txt", "sub\\b.txt", "sub./b.txt",
                                  "b.txt ", "com1.caption"])
def test_what_windows_reads_in_another_way_is_refused_there(folder: Path, name: str, monkeypatch):
    monkeypatch.setattr(confine.os, "name", "nt")
    with pytest.raises(DatasetError, match="not a name inside"):
        confine._check_name(name, str(folder))


def swapping(folder: Path, name: str, stop: threading.Event) -> None:
    """Now ``name`` is a folder of the dataset, now a link out of it."""
    kept, place = folder / "kept", folder / name
    while not stop.is_set():
        with contextlib.suppress(OSError):
            place.rename(kept)
            place.symlink_to(folder.parent / "outside")
            place.unlink()
        with contextlib.suppress(OSError):
            if place.is_symlink():  # something went wrong above, and the folder would never come back
                place.unlink()
            kept.rename(place)


def is_refused(folder: Path, chance: random.Random) -> bool:
    """Read or write one of the files below ``sub`` as the editor does, and never what is outside."""
    name = chance.choice(["sub/b.txt", "sub/deep/c.txt", "sub/new.txt"])
    try:
        confined, area = Confined(folder), SwapArea(folder / "area")
        if chance.random() < 0.5 and name != "sub/new.txt":
            assert SECRET not in confined.read(name)
        else:
            area.put_in_place(area.stage(confined.at(name), b"penny", None), confined.at(name))
    except (DatasetError, OSError):
        return True
    return False


def assert_nothing_outside_has_changed(folder: Path) -> None:
    outside = folder.parent / "outside"
    contents = {file.name: file.read_bytes() for file in outside.iterdir()}
    assert contents == dict.fromkeys(("a.txt", "b.txt", "c.txt"), SECRET)


@pytest.mark.skipif(not confine._BY_DESCRIPTOR, reason="this system cannot open relative to a folder")
def test_a_link_that_is_swapped_in_between_check_and_use_is_never_followed(folder: Path):
    """A race: how many are refused depends on the scheduler, that nothing outside is touched does not."""
    (folder / "area").mkdir()
    stop, chance = threading.Event(), random.Random(1)
    thread = threading.Thread(target=swapping, args=(folder, "sub", stop))
    thread.start()
    try:
        for _ in range(3000):
            is_refused(folder, chance)
    finally:
        stop.set()
        thread.join()
    assert_nothing_outside_has_changed(folder)
    assert not is_refused(folder, chance), "the folder is in its place again"


@pytest.mark.skipif(not confine._BY_DESCRIPTOR, reason="this system cannot open relative to a folder")
def test_a_swap_before_any_question_to_the_disk_is_never_followed(folder: Path, monkeypatch):
    """Each of the questions that one access asks in turn finds the link in the folder's place; before it, the folder
    was there."""
    (folder / "area").mkdir()
    (folder / "sub" / "new.txt").write_bytes(b"penny")
    place, kept, left = folder / "sub", folder / "kept", iter(())
    originals = {name: getattr(os, name) for name in ("open", "stat", "lstat", "rename", "replace", "readlink")}

    def hooked(name: str):
        def call(*args, **more):
            if next(left, None) == 0:
                originals["rename"](place, kept)
                place.symlink_to(folder.parent / "outside")
            return originals[name](*args, **more)
        return call

    refused = []
    for name in originals:
        monkeypatch.setattr(os, name, hooked(name))
    for seed in range(6):
        for at in range(1000):
            left = iter(range(at, -1, -1))
            refused.append(is_refused(folder, random.Random(seed)))
            if not place.is_symlink():  # fewer questions than that
                break
            place.unlink()
            originals["rename"](kept, place)
    assert_nothing_outside_has_changed(folder)
    assert True in refused and not refused[-1]


@pytest.mark.skipif(not confine._BY_DESCRIPTOR, reason="this system cannot open relative to a folder")
@pytest.mark.parametrize("act", ["read", "write", "remove", "make a folder"])
def test_a_link_that_is_put_in_place_after_the_check_is_refused(folder: Path, act: str, monkeypatch):
    """The swap happens right behind the check, every time: as unlucky as it can be."""
    original = confine._resolved

    def swapped(root: str, relative: str) -> str:
        found = original(root, relative)
        if not (folder / "sub").is_symlink():
            (folder / "sub").rename(folder / "kept")
            (folder / "sub").symlink_to(folder.parent / "outside")
        return found

    (folder / "area").mkdir()
    area, confined = SwapArea(folder / "area"), Confined(folder)
    monkeypatch.setattr(confine, "_resolved", swapped)
    with pytest.raises((DatasetError, OSError)):
        if act == "read":
            confined.read("sub/b.txt")
        elif act == "write":
            area.put_in_place(area.stage(confined.at("sub/b.txt"), b"x", None), confined.at("sub/b.txt"))
        elif act == "remove":
            area.take_away(confined.at("sub/b.txt"))
        else:
            confined.make_folder_of("sub/more/x.txt")
    assert sorted(file.name for file in (folder.parent / "outside").iterdir()) == ["a.txt", "b.txt", "c.txt"]
    assert (folder.parent / "outside" / "b.txt").read_bytes() == SECRET


def test_folders_that_are_held_open_do_not_add_up(folder: Path):
    confined = Confined(folder)
    for number in range(300):
        (folder / f"d{number}").mkdir()
        (folder / f"d{number}" / "a.txt").write_bytes(b"penny")
        assert confined.read(f"d{number}/a.txt") == b"penny"
    if Path("/proc/self/fd").exists():
        assert len(list(Path("/proc/self/fd").iterdir())) < 150
