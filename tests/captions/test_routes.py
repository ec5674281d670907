"""The caption editor through its routes: what the page sees, and that nothing outside the dataset is reachable."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from lib_lora_train.ui.captions.background import BACKGROUND
from lib_lora_train.ui.captions.editors import Session
from lib_lora_train.ui.routes import PREFIX

from .conftest import CAPTIONS, Dataset
from .sets import make_set, save_picture, texts

if TYPE_CHECKING:
    from tests.ui.conftest import Tab

ROUTES = ["open", "refresh", "view", "cells", "picture", "complete", "history", "apply", "preview", "text", "undo",
          "redo", "utf-8", "delete", "move", "copy", "lower-case", "rename-folder", "consolidate",
          "consolidate/accept", "doubtful", "doubtful/decide", "activation", "on-off", "doctor", "common", "copied",
          "paths", "rename-tag", "incoming", "incoming/files", "incoming/plan", "history/changes", "history/preview",
          "history/go", "weights", "mask/save", "mask/remove", "mask/preview", "mask/facts",
          "intake/begin", "intake/plan", "intake/add", "intake/cancel", "intake/new-set", "intake/piece",
          "send", "result", "crop/options", "crop/frame", "crop/save", "crop/batch", "crop/batch/save",
          "upscale", "upscale/plan", "upscale/state", "upscale/stop",
          "grow", "grow/draw", "grow/stop", "grow/add", "grow/discard", "grow/send",
          "causes/sample", "causes/name", "causes/named", "causes/tag", "causes/nearest", "causes/confidences",
          "suspects", "numbers"]


def test_opening_shows_what_there_is(dataset: Dataset):
    found = dataset.open()
    assert found["pictures"] == 5 and found["undo"] is None and found["messages"] == []
    assert found["folders"] == [{"path": "", "pictures": 4}, {"path": "2_cat", "pictures": 1}]


def test_a_view_has_pictures_in_order_and_tags_with_counts(dataset: Dataset):
    found = dataset.get("view")
    assert dataset.shown() == list(CAPTIONS)
    assert found["tags"] == [["penny", 3], ["hat", 2], ["boots", 1], ["cat", 1], ["red boots", 1]]
    assert found["without_caption"] == 1 and found["different_tags"] == 5
    found = dataset.get("view", filter="hat AND NOT boots", most_tags=1)
    assert found["tags"] == [["hat", 1]] and len(found["numbers"]) == 1
    assert dataset.get("view", tag_part="oo")["tags"] == [["boots", 1], ["red boots", 1]]
    assert dataset.shown(sort="-tags")[0] == "a.png"


def test_a_filter_that_is_not_understood_is_answered_with_the_place(dataset: Dataset):
    problem = dataset.get("view", filter="hat AND")["problem"]
    assert problem == {"text": "Something is missing after AND.", "start": 4, "end": 7}
    answer = dataset.ask("apply", filter="hat AND", operation={"kind": "dedupe"})
    assert answer.status_code == 422
    assert (answer.json()["start"], answer.json()["end"]) == (4, 7)


@pytest.mark.parametrize(("text", "place"), [("hat AND bots", "bots"), ("hats", "hats"),
                                             ("penny and hat", "penny and hat")])
def test_a_tag_of_the_filter_that_no_caption_has_is_a_hint_with_its_place(dataset: Dataset, text: str, place: str):
    hint = dataset.get("view", filter=text)["hint"]
    assert text[hint["start"]:hint["end"]] == place and place in hint["text"]
    assert dataset.get("view", filter="hat AND NOT boots")["hint"] is None


def test_selected_pictures_are_gone_only_when_they_leave_the_dataset(dataset: Dataset):
    first, second = dataset.numbers("a.png", "c.png")
    assert dataset.get("view", filter="cat", selected=[first, second])["gone"] == []
    dataset.get("delete", numbers=[first])
    assert dataset.get("view", filter="cat", selected=[first, second, 9999])["gone"] == [first, 9999]


def test_cells_and_pictures_carry_what_is_drawn(dataset: Dataset):
    number, = dataset.numbers("a.png")
    (dataset.folder / ".lora_train" / "confidences.json").write_text(json.dumps({"a.png": {"hat": 0.42}}))
    found = dataset.get("picture", numbers=[number])
    tags = [{name: value for name, value in tag.items() if name not in ("begins", "ends")} for tag in found["tag_list"]]
    assert tags == [
        {"tag": "penny", "count": 3, "confidence": None}, {"tag": "red boots", "count": 1, "confidence": None},
        {"tag": "boots", "count": 1, "confidence": None}, {"tag": "hat", "count": 2, "confidence": pytest.approx(0.42)}]
    assert found["text"] == CAPTIONS["a.png"] and found["tokens"] > 4
    wait_for_sizes(dataset)
    assert [cell["width"] for cell in dataset.get("cells", numbers=dataset.get("view")["numbers"])["cells"]] == [64] * 5


def test_the_chosen_picture_has_its_size_before_all_sizes_are_read(tab: Tab, tmp_path: Path,
                                                                   monkeypatch: pytest.MonkeyPatch):
    """The page opens no tool on an image without a size."""
    monkeypatch.setattr(Session, "read_sizes_soon", lambda session: None)
    dataset = Dataset(tab, make_set(tmp_path / "set", CAPTIONS))
    dataset.open()
    number, = dataset.numbers("a.png")
    assert dataset.get("cells", numbers=[number])["cells"][0]["width"] == 0
    found = dataset.get("picture", numbers=[number])
    assert (found["width"], found["height"], found["bucket"]) == (64, 64, [512, 512])


def wait_for_sizes(dataset: Dataset) -> None:
    deadline = time.monotonic() + 240
    while not dataset.get("view")["sizes_ready"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_pictures_are_served_small(dataset: Dataset):
    answer = dataset.tab.get("captions/image", folder=str(dataset.folder), session=dataset.session, path="2_cat/e.png")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/webp"
    assert "immutable" in answer.headers["cache-control"]


def test_an_edit_of_the_filtered_pictures_and_its_undo(dataset: Dataset):
    before = texts(dataset.folder)
    done = dataset.apply("add", text="hat", tags=["solo"])
    assert done["label"] == "Added solo to 2 captions" and done["undo"] == done["label"]
    assert texts(dataset.folder)["b.txt"] == "penny, hat, solo"
    assert dataset.get("undo")["redo"] == "Added solo to 2 captions"
    assert texts(dataset.folder) == before
    dataset.get("redo")
    assert dataset.get("history")["edits"][0]["files"] == 2


def test_a_caption_is_set_as_text_or_as_tags(dataset: Dataset):
    number, other = dataset.numbers("b.png", "c.png")
    dataset.get("text", number=number, before="penny, hat", tags=["hat", "penny", "new"])
    assert texts(dataset.folder)["b.txt"] == "hat, penny, new"
    dataset.get("text", number=other, before=CAPTIONS["c.png"], text="A girl runs.")
    assert texts(dataset.folder)["c.txt"] == "A girl runs."
    stale = dataset.ask("text", number=number, before="penny, hat", text="mine")
    assert stale.status_code == 409 and stale.json()["problems"] == ["b.txt"]


def test_a_conflict_names_the_files_and_undo_can_leave_them(dataset: Dataset):
    dataset.apply("add", tags=["solo"])
    (dataset.folder / "b.txt").write_text("theirs")
    answer = dataset.ask("undo")
    assert answer.status_code == 409 and answer.json()["problems"] == ["b.txt"]
    assert texts(dataset.folder)["a.txt"].endswith("solo")
    dataset.get("undo", leave=["b.txt"])
    assert texts(dataset.folder)["a.txt"] == CAPTIONS["a.png"] and texts(dataset.folder)["b.txt"] == "theirs"


def test_a_preview_shows_before_and_after(dataset: Dataset):
    found = dataset.get("preview", operation={"kind": "regex_tag", "pattern": "^h", "replacement": "c"})
    assert found["captions"] == 2
    assert found["previews"][0]["after"] == "penny, red boots, boots, cat"


@pytest.mark.parametrize("operation", [
    {}, {"kind": "explode"}, {"kind": "add", "tags": "abc"}, {"kind": "add", "tags": [1]}, {"kind": "add", "evil": 1},
    {"kind": "regex_tag", "pattern": "(", "replacement": ""}, {"kind": "cut", "limit": "x"}])
def test_an_operation_that_makes_no_sense_is_refused_in_words(dataset: Dataset, operation: dict):
    answer = dataset.ask("apply", operation=operation)
    assert answer.status_code == 400 and answer.json()["error"].endswith(".")


def test_refreshing_reports_whether_anything_changed(dataset: Dataset):
    assert dataset.get("refresh")["changed"] is False
    (dataset.folder / "a.txt").write_text("other")
    assert dataset.get("refresh")["changed"] is True


def test_tags_are_completed_from_the_dataset_and_then_from_the_taggers(dataset: Dataset):
    tagger = dataset.tab.services.host.models_dir / "TrainLora" / "taggers" / "mini"
    tagger.mkdir(parents=True)
    (tagger / "model.onnx").touch()
    (tagger / "selected_tags.csv").write_text(
        "tag_id,name,category,count\n1,general,9,9\n2,boat,0,50\n3,boots,0,900\n4,ankle_boots,0,80\n5,robot,0,70\n")
    assert dataset.get("complete", tag="bo")["tags"] == [
        {"tag": "boots", "count": 1}, {"tag": "red boots", "count": 1}, {"tag": "boat", "count": None},
        {"tag": "ankle boots", "count": None}, {"tag": "robot", "count": None}]
    assert dataset.get("complete", tag=" ")["tags"] == []


def test_pictures_are_deleted_moved_and_copied_by_name_only(dataset: Dataset):
    assert dataset.ask("delete", filter="hat").status_code == 400
    dataset.get("delete", numbers=dataset.numbers("b.png"))
    assert not (dataset.folder / "b.png").exists()
    dataset.get("undo")
    dataset.get("move", numbers=dataset.numbers("a.png"), target="2_cat")
    dataset.get("copy", numbers=dataset.numbers("c.png"), target="2_cat")
    assert sorted(path.name for path in (dataset.folder / "2_cat").iterdir()) == [
        "a.png", "a.txt", "c.png", "c.txt", "e.png", "e.txt"]
    dataset.get("rename-folder", of="2_cat", name="5_cat")
    assert dataset.shown()[-1] == "5_cat/e.png"


def test_suggestions_are_accepted_singly_or_together(dataset: Dataset):
    for name in ("b", "d"):
        (dataset.folder / f"{name}.txt").write_text("penny, red boots, boots, hair, long hair")
    dataset.get("refresh")
    found = dataset.get("consolidate", tag="penny")["suggestions"]
    assert [(item["keep"], item["drop"], item["pictures"]) for item in found] == [
        ("red boots", ["boots"], 3), ("long hair", ["hair"], 2)]
    assert found[0]["examples"][0]["after"] == ["penny", "red boots", "hat"]
    dataset.get("consolidate/accept", chosen=[{"keep": item["keep"], "drop": item["drop"]} for item in found])
    assert texts(dataset.folder)["b.txt"] == "penny, red boots, long hair"
    assert texts(dataset.folder)["a.txt"] == "penny, red boots, hat"
    assert dataset.get("undo")["redo"] == "Consolidated to red boots, long hair in 3 captions"
    assert dataset.ask("consolidate/accept", chosen=[{"keep": "x"}]).status_code == 400


def test_doubtful_tags_are_fixed_or_kept(tab, tmp_path: Path):
    captions = {f"{n}.png": "blonde hair, hat" for n in range(20)} | {"x.png": "brown hair", "y.png": "brown hair"}
    dataset = Dataset(tab, make_set(tmp_path / "set", captions))
    dataset.open()
    found = dataset.get("doubtful")["doubts"]
    assert [(item["picture"], item["fix"]) for item in found] == [
        ("x.png", "Replace with blonde hair"), ("y.png", "Replace with blonde hair")]
    dataset.get("doubtful/decide", keys=[found[0]["key"]], keep=True)
    dataset.get("doubtful/decide", keys=[found[1]["key"]])
    assert texts(dataset.folder)["y.txt"] == "blonde hair" and texts(dataset.folder)["x.txt"] == "brown hair"
    assert dataset.get("doubtful")["doubts"] == []
    assert dataset.ask("doubtful/decide", keys=["nothing"]).status_code == 400


def test_activation_tag_and_on_and_off(dataset: Dataset):
    assert dataset.get("activation", tag="penny")["numbers"] == dataset.numbers("c.png", "d.png")
    assert dataset.get("on-off", tag="hat") | {"advice": ""} == {"tag": "hat", "on": 2, "off": 2, "advice": ""}


def test_the_doctor_runs_in_the_background_and_reports(dataset: Dataset):
    assert dataset.get("doctor")["state"] == "none"
    dataset.get("doctor", begin=True, settings={"activation_tag": "penny"})
    deadline = time.monotonic() + 240
    while (found := dataset.get("doctor"))["state"] == "running" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found["state"] == "ready", found
    ids = [item["id"] for item in found["report"]["findings"]]
    assert "left-out" in ids and len(found["report"]["crops"]) == found["report"]["pictures"]
    number = found["report"]["crops"][0]["number"]
    assert found["report"]["cells"][str(number)]["path"] == "2_cat/e.png"


def test_a_page_of_an_older_session_has_to_open_again(dataset: Dataset):
    assert dataset.tab.post("captions/view", {"folder": str(dataset.folder), "session": "old"}).status_code == 410


def test_other_caption_files_are_a_new_session(dataset: Dataset):
    old = dataset.session
    (dataset.folder / "a.caption").write_text("other words")
    dataset.open(caption_extension=".caption")
    assert dataset.session != old
    assert dataset.get("picture", numbers=dataset.numbers("a.png"))["text"] == "other words"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    save_picture(outside / "secret.png")
    (outside / "secret.txt").write_text("secret words")
    return outside


OUTSIDE = ["../outside/secret.png", "/etc/passwd", "..", ".", "", "link/secret.png", "link.png",
           "2_cat/../../outside/secret.png", "..%2foutside%2fsecret.png", ".lora_train/journal/state.json",
           ".lora_train_trash/x.png", "a.txt", "a\0.png", "\\..\\outside\\secret.png", "~/secret.png",
           "file:///etc/passwd", "C:\\Windows\\win.ini"]


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_picture_outside_the_dataset_is_served(dataset: Dataset, secret: Path, path: str):
    (dataset.folder / "link").symlink_to(secret)
    (dataset.folder / "link.png").symlink_to(secret / "secret.png")
    dataset.get("refresh")
    for route in ("captions/image",):
        answer = dataset.tab.get(route, folder=str(dataset.folder), session=dataset.session, path=path)
        assert answer.status_code == 400, answer.content[:80]


@pytest.mark.parametrize("target", ["../outside", "/tmp", "link", "2_cat/../../outside", ".lora_train", "..",
                                    "C:\\x\\..\\..", "a\0b", "link/deeper"])
@pytest.mark.parametrize("route", ["move", "copy"])
def test_no_picture_is_put_outside_the_dataset(dataset: Dataset, secret: Path, route: str, target: str):
    (dataset.folder / "link").symlink_to(secret)
    before = sorted(path for path in secret.parent.rglob("*.png"))
    answer = dataset.ask(route, numbers=dataset.numbers("a.png"), target=target)
    assert answer.status_code == 400, answer.text
    assert sorted(path for path in secret.parent.rglob("*.png") if ".lora_train" not in path.parts) == before


def test_captions_behind_links_are_neither_read_nor_written(dataset: Dataset, secret: Path):
    (dataset.folder / "d.txt").symlink_to(secret / "secret.txt")
    (dataset.folder / "z.png").symlink_to(secret / "secret.png")
    dataset.get("refresh")
    number, = dataset.numbers("d.png")
    shown = dataset.get("picture", numbers=[number])
    assert shown["text"] is None and "secret words" not in json.dumps(shown)
    dataset.apply("add", tags=["x"])
    assert dataset.ask("text", number=number, before="", text="x").status_code == 400
    assert (secret / "secret.txt").read_text() == "secret words"
    assert "z.png" not in dataset.shown()


def test_a_link_that_appears_between_reading_and_writing_is_not_followed(dataset: Dataset, secret: Path):
    (dataset.folder / "b.txt").unlink()
    (secret / "secret.txt").write_text("penny, hat")
    (dataset.folder / "b.txt").symlink_to(secret / "secret.txt")
    assert dataset.ask("apply", operation={"kind": "add", "tags": ["x"]}).status_code == 400
    assert (secret / "secret.txt").read_text() == "penny, hat"


def test_a_journal_that_came_with_a_dataset_cannot_reach_out(tab, tmp_path: Path, secret: Path):
    from lib_lora_train.captions.journal.format import Move, Write, write_batch
    from lib_lora_train.captions.journal.journal import Journal
    folder = make_set(tmp_path / "set", {"a.png": "new"})
    Journal(folder).do("x", [Write("a.txt", b"new", b"newer")], {})
    Journal(folder).settle()
    for change in (Write("../outside/secret.txt", b"evil", b"secret words"), Move("a.png", "../outside/secret.png")):
        write_batch(folder / ".lora_train" / "journal", 1, [change])
        dataset = Dataset(tab, folder)
        dataset.open()
        assert dataset.ask("undo").status_code == 400
        assert (secret / "secret.txt").read_text() == "secret words"


def test_weights_are_set_for_named_images_only_and_within_their_range(dataset: Dataset):
    a, b = dataset.numbers("a.png", "b.png")
    assert dataset.get("weights", numbers=[a, b], weight=0.5, repeats=2)["changed"] == [a, b]
    cells = dataset.get("cells", numbers=[a, b])["cells"]
    assert [(cell["weight"], cell["repeats"]) for cell in cells] == [(0.5, 2)] * 2
    for wrong, words in (({"weight": 0}, "0 is out of range"), ({"repeats": -1}, "-1 repeats"),
                         ({"numbers": []}, "No image")):
        answer = dataset.ask("weights", **{"numbers": [a], **wrong})
        assert answer.status_code == 400 and words in answer.json()["error"]


def test_with_hidden_folders_a_dataset_elsewhere_is_not_opened(make_tab, tmp_path: Path):
    tab = make_tab(hide_ui_dir_config=True)
    folder = make_set(tmp_path / "set", CAPTIONS)
    answer = tab.post("captions/open", {"folder": str(folder)})
    assert answer.status_code == 400 and "--hide-ui-dir-config" in answer.json()["error"]
    assert not (folder / ".lora_train").exists()


def test_strangers_are_refused(make_tab, dataset: Dataset):
    body = {"folder": str(dataset.folder), "session": dataset.session}
    with_login = make_tab(auth=("me", "secret"))
    assert {route: with_login.post(f"captions/{route}", body).status_code for route in ROUTES} == \
        dict.fromkeys(ROUTES, 401)
    public = make_tab(listen=True)
    assert {route: public.post(f"captions/{route}", body).status_code for route in ROUTES} == dict.fromkeys(ROUTES, 403)
    make_tab()
    client: TestClient = dataset.tab.client  # without the header of the page
    assert {route: client.post(f"{PREFIX}/captions/{route}", json=body).status_code for route in ROUTES} == \
        dict.fromkeys(ROUTES, 403)


def test_every_route_is_among_those_tried(dataset: Dataset):
    found = {route.path.removeprefix(f"{PREFIX}/captions/") for route in dataset.tab.client.app.routes
             if route.path.startswith(f"{PREFIX}/captions/")}
    assert found == {*ROUTES, "image", "mask-image", "mask-overlay"}


def test_every_part_of_prose_is_a_chip_so_that_none_is_lost_by_moving_one(dataset: Dataset):
    number, = dataset.numbers("c.png")
    dataset.get("text", number=number, before=CAPTIONS["c.png"], text="penny, a girl walks over a wide field.")
    found = dataset.get("picture", numbers=[number])
    assert [item["tag"] for item in found["tag_list"]] == ["penny", "a girl walks over a wide field."]
    assert found["prose"]


def test_the_fixture_leaves_no_editor_that_would_save_in_a_folder_that_is_gone(tmp_path):
    from tests.ui.conftest import tabs_in

    before = set(threading.enumerate())
    with tabs_in(tmp_path) as make:
        dataset = Dataset(make(), make_set(tmp_path / "set", CAPTIONS))
        dataset.open()
        dataset.apply("add", tags=["late"])
        assert any(isinstance(thread, threading.Timer) for thread in set(threading.enumerate()) - before)
    assert not [thread for thread in threading.enumerate() if thread.name == BACKGROUND]


def test_a_picture_lists_its_chunks(dataset: Dataset):
    tags = ", ".join(f"quizzical thing {number}" for number in range(40))
    number, = dataset.numbers("b.png")
    dataset.get("text", number=number, before="penny, hat", text=tags)
    found = dataset.get("picture", numbers=[number])
    assert found["trained_tokens"] > 75 and found["chunk_ends"][0]["tokens"] == 75 and found["line"] == tags
    assert [tag["begins"] < tag["ends"] for tag in found["tag_list"]] == [True] * 40
    framed = dataset.get("picture", numbers=[number], prefix="one two,")
    assert framed["trained_tokens"] == found["trained_tokens"] + 3
