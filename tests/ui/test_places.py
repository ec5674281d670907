"""The folder browser and the completion of paths: what is seen, and what is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from lib_lora_train.config.job import GROUPS
from lib_lora_train.config.setting import IMAGES, PATH_KINDS, fields_of, groups_of
from lib_lora_train.config.tag_job import TagJob
from lib_lora_train.config.tool_jobs import TOOL_JOBS
from lib_lora_train.files import drives
from lib_lora_train.ui import places

from .conftest import HEADERS, Tab

TYPED_ELSEWHERE = {"checkpoint", "vae", "org", "tuned", "models_dir", "block_presets"}
"""Chosen from the webui's lists, or set by the program."""


def seen(tab: Tab, path: object = "", kind: str = "images", **more: object) -> dict:
    answer = tab.post("places", {"kind": kind, "path": str(path), **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(found: dict) -> list[str]:
    return [entry["name"] for entry in found["entries"]]


def completed(tab: Tab, text: object, kind: str = "images") -> list[str]:
    answer = tab.post("places/complete", {"kind": kind, "text": str(text)})
    assert answer.status_code == 200, answer.text
    return [entry["name"] for entry in answer.json()["entries"]]


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """Three sets: plain, with concept folders, and one without images."""
    folder = tmp_path / "sets"
    for name in ("penny/a.png", "penny/b.jpg", "red/10_fox/1.png", "red/2_cat/1.webp", "red/notes/1.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64)).save(folder / name)
    (folder / "penny" / "a.txt").write_text("penny")
    (folder / "texts").mkdir()
    (folder / "file.txt").write_text("x")
    (folder / ".hidden").mkdir()
    return folder


def test_a_folder_is_listed_with_its_images_counted_and_shown(tab, sets):
    found = seen(tab, sets)
    assert names(found) == ["penny", "red", "texts"]
    penny, red, texts = found["entries"]
    assert (penny["images"], penny["captions"], red["images"], texts["images"]) == (2, 1, 2, 0)
    assert len(penny["thumbnails"]) == len(red["thumbnails"]) == 2
    for url in (*penny["thumbnails"], *red["thumbnails"]):
        assert tab.client.get("/" + url).headers["content-type"] == "image/webp"
    assert (found["folder"], found["above"]) == (str(sets), str(sets.parent))
    assert seen(tab, sets / "penny")["itself"]["images"] == 2
    assert names(seen(tab, sets, hidden=True)) == [".hidden", "penny", "red", "texts"]


def test_without_a_path_it_begins_with_the_sets_used_last_then_home_and_drives(tab, monkeypatch, tmp_path):
    tab.post("dataset/overview", {"folder": str(tab.dataset), "settings": {}})
    found = seen(tab)
    assert [entry["path"] for entry in found["entries"]] == [str(tab.dataset), str(Path.home()), "/"]
    assert found["entries"][0]["images"] == 4
    assert completed(tab, "") == names(found)
    tab.dataset.rename(tmp_path / "elsewhere")
    assert str(tab.dataset) not in [entry["path"] for entry in seen(tab)["entries"]]


def test_on_windows_the_drives_are_listed(monkeypatch):
    monkeypatch.setattr(drives.os, "name", "nt")
    monkeypatch.setattr(drives, "_drive_mask", lambda: 0b10000000000000000000001100)
    assert drives.drives() == ["C:\\", "D:\\", "Z:\\"]


@pytest.mark.parametrize(("name", "attributes", "hidden"), [
    ("$RECYCLE.BIN", 0x16, True), ("System Volume Information", 0x4, True), ("pictures", 0x10, False),
    (".git", 0x10, True)])
def test_on_windows_hidden_and_system_folders_are_left_out(monkeypatch, name, attributes, hidden):
    class Stat:
        st_file_attributes = attributes

    class Entry:
        path = f"C:\\{name}"

        def stat(self, follow_symlinks: bool = True) -> Stat:
            return Stat()

    Entry.name = name
    monkeypatch.setattr(drives.os, "name", "nt")
    assert drives.is_hidden(Entry()) is hidden


def test_the_systems_own_folders_are_left_out(tab):
    assert not {"proc", "sys", "dev", "run"} & set(names(seen(tab, "/")))
    assert seen(tab, "/")["above"] is None


def test_a_path_that_does_not_exist_shows_the_nearest_folder_above(tab, sets):
    found = seen(tab, sets / "penni" / "more")
    assert (found["folder"], names(found)) == (str(sets), ["penny", "red", "texts"])
    assert "nearest folder" in found["note"]
    assert seen(tab, sets / "penny" / "a.png")["folder"] == str(sets / "penny")
    assert seen(tab, sets / "penny" / "a.png")["note"] == ""


@pytest.mark.parametrize(("typed", "proposed"), [
    ("{}/pe", ["penny"]), ("{}/PE", ["penny"]), ("{}/", ["penny", "red", "texts"]), ("{}/x", []),
    ("{}/.h", [".hidden"]), ("{}/penny/", []), ("{}/nowhere/a", []), ("penny", []), ('"{}/re', ["red"])])
def test_paths_are_completed(tab, sets, typed, proposed):
    assert completed(tab, typed.format(sets)) == proposed


def test_two_thousand_folders_are_paged_and_searched(tab, tmp_path):
    big = tmp_path / "big"
    big.mkdir()
    for number in range(2_000):
        (big / f"set_{number}").mkdir()
    first = seen(tab, big)
    assert (first["total"], len(first["entries"]), first["entries"][2]["name"]) == (2_000, 60, "set_2")
    assert names(seen(tab, big, start=1_960))[-1] == "set_1999"
    assert names(seen(tab, big, part="99"))[:3] == ["set_99", "set_199", "set_299"]
    assert seen(tab, big, start=10**9)["entries"] == seen(tab, big, start=-5, part="nothing")["entries"] == []
    answer = tab.post("places/complete", {"kind": "images", "text": f"{big}/set_1"}).json()
    assert (len(answer["entries"]), answer["more"]) == (12, True)


def test_links_are_followed_and_circles_are_not(tab, sets, tmp_path):
    other = tmp_path / "other" / "queen"
    other.mkdir(parents=True)
    for link, target in (("away", other), ("loop", "loop"), ("here", "."), ("gone", tmp_path / "nothing")):
        (sets / link).symlink_to(target)
    assert names(seen(tab, sets)) == ["away", "here", "penny", "red", "texts"]
    assert seen(tab, sets / "away")["folder"] == str(other)
    assert seen(tab, sets / "here" / "here" / "here")["folder"] == str(sets)


def test_a_folder_that_cannot_be_read_says_so(tab, sets, monkeypatch):
    real = os.scandir

    def scandir(path):
        if str(path) == str(sets / "red"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    red = next(entry for entry in seen(tab, sets)["entries"] if entry["name"] == "red")
    assert (red["images"], red["problem"]) == (None, "cannot be read: Permission denied")
    answer = tab.post("places", {"kind": "images", "path": str(sets / "red")})
    assert answer.status_code == 400
    assert "cannot be read: Permission denied" in answer.json()["error"]


@pytest.mark.parametrize("path", ["\\\\server\\share", "//server/share/x", "relative/sets", "\0", "~nobody-here/x"])
def test_other_machines_and_what_is_no_path_are_refused(tab, path):
    for route, body in (("places", {"kind": "images", "path": path}),
                        ("places/complete", {"kind": "images", "text": f"{path}/x"})):
        answer = tab.post(route, body)
        assert answer.status_code == 400 or answer.json()["entries"] == [], (route, path)
        if path.startswith("\\\\"):
            assert "another machine" in answer.json()["error"]


def test_no_file_system_is_asked_about_another_machine(tab, monkeypatch):
    real, asked = os.scandir, []
    monkeypatch.setattr(os, "scandir", lambda path=".": asked.append(str(path)) or real(path))
    monkeypatch.setattr(places, "_real", lambda path: asked.append(str(path)) or str(path))
    monkeypatch.setattr(places, "_is_folder", lambda path: asked.append(str(path)) or False)
    for kind in PATH_KINDS:
        for path in ("\\\\server\\share\\x", "//server/share/x", "\\/server/x"):
            assert tab.post("places", {"kind": kind, "path": path}).status_code == 400
            assert tab.post("places/complete", {"kind": kind, "text": path}).status_code == 400
    assert not [path for path in asked if "server" in path]


def test_with_hidden_folders_nothing_outside_of_the_webui_is_seen(make_tab, sets, tmp_path):
    tab = make_tab(hide_ui_dir_config=True)
    inside = tab.data / "sets" / "mine"
    inside.mkdir(parents=True)
    (inside / "out").symlink_to(sets)
    (inside / "1_out").symlink_to(sets / "penny")
    (inside / "a.png").symlink_to(sets / "penny" / "a.png")
    for path in (sets, "/", tmp_path, inside / "out", f"{inside}/../../../sets", Path.home()):
        for answer in (tab.post("places", {"kind": "images", "path": str(path)}),
                       tab.post("places/complete", {"kind": "images", "text": f"{str(path).rstrip('/')}/"})):
            assert answer.status_code == 400, (path, answer.text)
            assert "penny" not in answer.text
            assert "Only folders in" in answer.json()["error"]
    found = seen(tab, inside)
    assert (found["itself"]["images"], found["itself"]["thumbnails"], names(found)) == (0, [], [])
    roots = {str(root) for root in tab.services.host.access().folders}
    assert {entry["path"] for entry in seen(tab)["entries"]} == roots
    assert found["above"] is not None
    assert all(seen(tab, root)["above"] is None or seen(tab, root)["above"] in roots for root in roots)


def test_a_tagger_is_not_looked_for_where_folders_are_hidden(make_tab):
    answer = make_tab(hide_ui_dir_config=True).post("places", {"kind": "tagger", "path": "/"})
    assert answer.status_code == 400
    assert "from the list" in answer.json()["error"]


def test_a_tagger_is_an_onnx_file(tab, sets):
    (sets / "model.onnx").write_bytes(b"x")
    found = seen(tab, sets, kind="tagger")
    assert names(found) == ["penny", "red", "texts", "model.onnx"]
    assert found["entries"][-1]["value"] == str(sets / "model.onnx")


def test_loras_are_chosen_within_their_folder_by_their_names(tab, tmp_path):
    loras = tab.services.host.lora_dir
    (loras / "sub").mkdir()
    (tmp_path / "disk").mkdir()
    (loras / "disk").symlink_to(tmp_path / "disk")
    for name in ("penny.safetensors", "sub/fox.safetensors", "disk/queen.safetensors", "penny.txt", "old.pt"):
        (loras / name).write_bytes(b"x")
    found = seen(tab, kind="lora")
    assert [(entry["name"], entry["value"]) for entry in found["entries"] if not entry["folder"]] == [
        ("old.pt", "old.pt"), ("penny.safetensors", "penny")]
    assert [entry["value"] for entry in seen(tab, loras / "disk", kind="lora")["entries"]] == ["disk/queen"]
    assert completed(tab, "pe", kind="lora") == ["penny.safetensors"]
    assert completed(tab, "sub/", kind="lora") == ["fox.safetensors"]
    for path in (tmp_path, "/", f"{loras}/../../.."):
        assert tab.post("places", {"kind": "lora", "path": str(path)}).status_code == 400
    assert tab.post("places", {"kind": "lora-folder", "path": str(loras / "disk")}).status_code == 400
    assert names(seen(tab, kind="lora-folder")) == ["sub"]


def test_checkpoint_folders_are_those_of_the_webui(tab, tmp_path):
    folder = tab.services.host.checkpoints()[0].path.parent
    (folder / "mine").mkdir()
    assert names(seen(tab, kind="checkpoint-folder")) == ["mine"]
    assert tab.post("places", {"kind": "checkpoint-folder", "path": str(tmp_path)}).status_code == 400


@pytest.mark.parametrize("kind", ["", "x", "../..", "images\0"])
def test_another_kind_is_refused(tab, kind):
    assert tab.post("places", {"kind": kind, "path": "/"}).status_code == 400


def test_another_page_is_refused(tab):
    assert tab.client.post("/train-lora/places", json={"kind": "images"}).status_code == 403
    foreign = {**HEADERS, "sec-fetch-site": "cross-site"}
    assert tab.client.post("/train-lora/places", json={"kind": "images"}, headers=foreign).status_code == 403
    assert tab.client.post("/train-lora/places", json={"kind": "images"},
                           headers={**HEADERS, "host": "evil.example"}).status_code == 403


def test_a_name_that_is_not_utf8_can_be_chosen(tab, sets):
    odd = sets / os.fsdecode(b"\xe4ffchen")
    odd.mkdir()
    Image.new("RGB", (64, 64)).save(sets / "penny" / "c.png")
    (sets / "penny" / "c.png").rename(odd / "c.png")
    entry = next(one for one in seen(tab, sets)["entries"] if one["images"] == 1 and one["name"] != "penny")
    assert seen(tab, entry["path"])["itself"]["images"] == 1


def test_every_setting_that_is_a_path_has_a_browser():
    jobs = [*GROUPS.items(), *groups_of(TagJob).items(), *(("", job) for job in TOOL_JOBS.values())]
    for group, group_type in jobs:
        for field in fields_of(group, group_type):
            is_path = field.name.endswith(("_dir", "network_weights")) or field.name in ("lora", "loras", "model")
            if is_path and field.name not in TYPED_ELSEWHERE:
                assert field.info.path in PATH_KINDS, field.key
            assert is_path or not field.info.path or field.name in TYPED_ELSEWHERE, field.key
    assert IMAGES in PATH_KINDS
