"""A dataset folder may hold anything: it is said what cannot be used, and the rest works."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.files.nested import nested


def link_to_itself(folder: Path) -> None:
    (folder / "loop").symlink_to("loop")


def picture_that_is_a_link_to_itself(folder: Path) -> None:
    (folder / "loop.png").symlink_to("loop.png")


def links_to_each_other(folder: Path) -> None:
    (folder / "one.png").symlink_to("two.png")
    (folder / "two.png").symlink_to("one.png")


def link_to_the_folder_above(folder: Path) -> None:
    (folder / "up").symlink_to("..")
    (folder / "here").symlink_to(".")


def link_that_leads_nowhere(folder: Path) -> None:
    (folder / "gone.png").symlink_to("nowhere.png")


def pipe_with_the_ending_of_a_picture(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")


def picture_that_is_a_folder(folder: Path) -> None:
    (folder / "folder.png").mkdir()


ODD = [link_to_itself, picture_that_is_a_link_to_itself, links_to_each_other, link_to_the_folder_above,
       link_that_leads_nowhere, pipe_with_the_ending_of_a_picture, picture_that_is_a_folder]
SAID = {picture_that_is_a_link_to_itself: "loop.png", links_to_each_other: "one.png", link_to_itself: "loop",
        link_that_leads_nowhere: "gone.png", pipe_with_the_ending_of_a_picture: "pipe.png"}


def answers(tab: Any) -> dict[str, Any]:
    folder = str(tab.dataset)
    asked = {"captions/open": {"folder": folder}, "dataset/overview": {"folder": folder, "settings": {}},
             "job/check": {"job": tab.job()}}
    found = {route: tab.post(route, body) for route, body in asked.items()}
    for route, answer in found.items():
        assert answer.status_code == 200, (route, answer.text)
    return {route: answer.json() for route, answer in found.items()}


@pytest.mark.parametrize("add", ODD)
def test_the_pictures_beside_it_are_edited_and_trained_on(tab, add: Callable[[Path], None]):
    add(tab.dataset)
    found = answers(tab)
    assert found["captions/open"]["pictures"] == found["dataset/overview"]["pictures"] == 4
    assert found["job/check"]["problems"] == [] and found["job/check"]["steps_per_epoch"] == 4
    for route in ("captions/open", "dataset/overview"):
        left_out = [Path(item["path"]).name for item in found[route]["left_out"]]
        assert SAID.get(add, "") in ["", *left_out], (route, found[route]["left_out"])


@pytest.mark.parametrize("add", [
    lambda caption: caption.symlink_to(caption.name), lambda caption: os.mkfifo(caption),
    lambda caption: caption.mkdir(), lambda caption: caption.symlink_to("/dev/zero")])
def test_a_caption_that_cannot_be_read_is_named(tab, add: Callable[[Path], None]):
    (tab.dataset / "0.txt").unlink()
    add(tab.dataset / "0.txt")
    found = answers(tab)
    assert found["captions/open"]["pictures"] == found["dataset/overview"]["pictures"] == 4
    assert "0.txt" in str(found["dataset/overview"]["problems"]) and "0.txt" in str(found["job/check"]["problems"])


@pytest.mark.parametrize(("levels", "name"), [(1500, "d"), (1500, "concept"), (100, "n" * 200)])
def test_folders_inside_each_other_without_end_are_said_and_the_rest_works(tab, levels: int, name: str):
    with nested(tab.dataset, levels, name):
        found = answers(tab)
        assert found["captions/open"]["pictures"] == found["dataset/overview"]["pictures"] == 4
        assert any("folders deep" in item["reason"] or "cannot be read" in item["reason"]
                   for item in found["captions/open"]["left_out"])


def test_pictures_several_folders_down_are_edited(tab):
    deep = tab.dataset / "/".join(["d"] * 20)
    deep.mkdir(parents=True)
    (tab.dataset / "0.png").rename(deep / "0.png")
    assert tab.post("captions/open", {"folder": str(tab.dataset)}).json()["pictures"] == 4


def test_links_in_a_circle_among_the_loras_stop_neither_the_list_nor_the_check(tab):
    loras = tab.data / "models" / "Lora"
    (loras / "penny.safetensors").touch()
    for number in range(12):
        (loras / f"l{number}").symlink_to(".")
    (loras / "loop").symlink_to("loop")
    assert tab.post("job/check", {"job": tab.job()}).json()["output_name_final"] == "penny-v2"
    assert tab.get("lora/files").json()["names"] == ["penny"]


def test_a_dataset_folder_that_is_a_link_to_itself_is_said(tab):
    (tab.data / "loop").symlink_to("loop")
    for route, body in (("captions/open", {"folder": str(tab.data / "loop")}),
                        ("dataset/overview", {"folder": str(tab.data / "loop"), "settings": {}})):
        answer = tab.post(route, body)
        assert answer.status_code == 400 and "There is no folder" in answer.json()["error"]
    job = tab.job()
    job["save"]["output_dir"] = str(tab.data / "models" / "Lora" / "loop")
    (tab.data / "models" / "Lora" / "loop").symlink_to("loop")
    assert tab.post("job/check", {"job": job}).status_code == 200


@pytest.mark.parametrize("target", ["/".join(["d"] * 1500), "n" * 300, "/".join(["x"] * 65)])
@pytest.mark.parametrize("route", ["move", "copy", "rename-folder"])
def test_pictures_are_not_moved_too_deep_or_to_names_too_long(tab, route: str, target: str):
    opened = tab.post("captions/open", {"folder": str(tab.dataset)}).json()
    body = {"folder": str(tab.dataset), "session": opened["session"]}
    answer = tab.post(f"captions/{route}", {**body, "of": target, "name": target} if route == "rename-folder" else
                      {**body, "numbers": [0], "target": target})
    assert answer.status_code == 400, answer.text
    assert "levels of folders" in answer.text or "too long" in answer.text or "names no" in answer.text, answer.text
