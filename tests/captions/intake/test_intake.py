"""Images that come in through the routes: in pieces, with captions and masks; nothing is overwritten or lost."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lib_lora_train.captions.intake import intake as intake_module
from tests.ui.conftest import HEADERS

from ..conftest import Dataset
from ..sets import texts


def png(seed: int, size: int = 32) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (size, size), (seed * 37 % 256, seed * 91 % 256, seed)).save(data, "PNG")
    return data.getvalue()


def send(dataset: Dataset, intake: str, number: int, path: str, content: bytes, piece: int = 1 << 20) -> list[Any]:
    """Send a file in pieces; what the pieces were answered."""
    found = []
    for start in range(0, max(1, len(content)), piece):
        answer = dataset.tab.client.post(
            "/train-lora/captions/intake/piece", content=content[start:start + piece], headers=HEADERS,
            params={"intake": intake, "number": number, "path": path, "start": start, "total": len(content)})
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["refused"])
    return found


def incoming(dataset: Dataset, files: dict[str, bytes]) -> str:
    intake = dataset.get("intake/begin", files=len(files), size_bytes=sum(map(len, files.values())))["intake"]
    for number, (path, content) in enumerate(files.items()):
        send(dataset, intake, number, path, content)
    return intake


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and ".lora_train" not in path.as_posix()}


def in_trash(folder: Path) -> set[str]:
    return {"/".join(path.relative_to(folder).parts[2:]) for path in folder.glob(".lora_train_trash/*/**/*")
            if path.is_file()}


def test_images_with_captions_and_masks_are_added_as_one_step_and_undone_into_the_trash(dataset: Dataset):
    before = everything(dataset.folder)
    files = {"new/fox.PNG": png(1), "new/fox.caption": b"fox, red", "new/fox-mask.png": png(2), "new/owl.png": png(3),
             "new/masks/owl.png": png(4), "new/owl.txt": b"owl"}
    intake = incoming(dataset, files)
    plan = dataset.get("intake/plan", intake=intake, target="2_cat")
    assert (plan["images"], plan["captions"], plan["masks"], plan["left"]) == (2, 2, 2, [])
    assert everything(dataset.folder) == before
    done = dataset.get("intake/add", intake=intake, target="2_cat")
    assert done["label"] == "Added 2 images with 2 captions and 2 masks" and len(done["added"]) == 2
    after = everything(dataset.folder)
    new = {"2_cat/fox.png": png(1), "2_cat/fox.txt": b"fox, red", "2_cat/fox-mask.png": png(2),
           "2_cat/owl.png": png(3), "2_cat/owl-mask.png": png(4), "2_cat/owl.txt": b"owl"}
    assert after == {**before, **new}
    assert not list((dataset.folder / ".lora_train" / "incoming").iterdir())
    dataset.get("undo")
    assert everything(dataset.folder) == before and in_trash(dataset.folder) == set(new)
    dataset.get("redo")
    assert everything(dataset.folder) == after


def test_nothing_is_overwritten_and_a_caption_follows_its_image_to_the_new_name(dataset: Dataset):
    before = everything(dataset.folder)
    done = dataset.get("intake/add", intake=incoming(dataset, {
        "A.png": png(1), "a.txt": b"new", "a.jpg": png(2), "x/CON.png": png(3), "x/con.txt": b"device"}))
    assert len(done["added"]) == 3
    after = everything(dataset.folder)
    assert {name: after[name] for name in before} == before
    new = {name: content for name, content in after.items() if name not in before}
    assert new["_CON.png"] == png(3) and new["_CON.txt"] == b"device"
    assert sorted(new.values()) == sorted([png(1), png(2), png(3), b"device", b"new", b"new"])


def test_exact_duplicates_are_named_and_skipped_unless_they_are_wanted(dataset: Dataset):
    (content,) = [(dataset.folder / "a.png").read_bytes()]
    intake = incoming(dataset, {"copy.png": content, "copy.txt": b"lost?", "one.png": png(1), "two.png": png(1)})
    plan = dataset.get("intake/plan", intake=intake)
    assert plan["same"] == [["copy.png", "a.png"], ["two.png", "one.png"]] and plan["images"] == 1
    assert dataset.get("intake/plan", intake=intake, duplicates=True)["images"] == 3
    done = dataset.get("intake/add", intake=intake)
    assert len(done["added"]) == 1 and "2 images skipped, since the set already has them" in done["left"][0]


def test_what_cannot_be_added_is_listed_with_its_reason(dataset: Dataset, monkeypatch: pytest.MonkeyPatch):
    intake = incoming(dataset, {
        "good.png": png(1), "film.mp4": b"x", "torn.png": png(2)[:60], "text.png": b"hello", "empty.png": b"",
        "set.rar": b"x", "Thumbs.db": b"x", "._a.png": png(3), "long.txt": b"x" * 70_000, "nobody.txt": b"tags",
        "a.caption": b"a has a caption", "../up.png": png(4), "d.txt": b"the missing caption", "zero.png": bytes(20)})
    plan = dataset.get("intake/plan", intake=intake)
    reasons = dict(plan["left"])
    assert (plan["images"], plan["captions"]) == (1, 1)
    for path, words in (("film.mp4", "neither an image"), ("torn.png", "truncated"), ("text.png", "not"),
                        ("empty.png", "empty"),
                        ("set.rar", "only zip"), ("Thumbs.db", "system"), ("._a.png", "system"),
                        ("long.txt", "68 KB"), ("nobody.txt", "no image of that name"),
                        ("a.caption", "has a caption already"), ("../up.png", "leads out")):
        assert words in reasons[path], path
    dataset.get("intake/add", intake=intake)
    assert texts(dataset.folder)["d.txt"] == "the missing caption"
    assert texts(dataset.folder)["a.txt"] == "penny, red boots, boots, hat"


def test_a_zip_keeps_its_concept_folders_when_asked(dataset: Dataset):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        for name, content in {"set/10_fox/a.png": png(1), "set/10_fox/a.txt": b"fox", "set/5_owl/a.png": png(2),
                              "set/inner.zip": b"x", "__MACOSX/set/._a.png": b"x", "../out.png": png(3)}.items():
            packed.writestr(name, content)
    intake = incoming(dataset, {"set.zip": made.getvalue()})
    plan = dataset.get("intake/plan", intake=intake, keep_folders=True)
    assert plan["concept_folders"] and plan["images"] == 2
    assert [target for _, target in plan["names"]] == ["5_owl/a.png", "10_fox/a.png"]
    assert {path.rpartition("/")[2] for path, _ in plan["left"]} == {"inner.zip", "._a.png", "out.png"}
    assert [target for _, target in dataset.get("intake/plan", intake=intake)["names"]] == ["a-2.png", "a-3.png"]
    dataset.get("intake/add", intake=intake, keep_folders=True)
    assert texts(dataset.folder)["10_fox/a.txt"] == "fox" and not (dataset.folder.parent / "out.png").exists()


def test_a_large_file_arrives_in_pieces_and_one_sent_again_is_taken_once(dataset: Dataset):
    content = png(5, 700) + bytes(300_000)
    intake = dataset.get("intake/begin", files=1)["intake"]
    pieces = [(start, content[start:start + 100_000]) for start in range(0, len(content), 100_000)]
    ask = {"intake": intake, "number": 0, "path": "big.png", "total": len(content)}

    def post(start: int, piece: bytes) -> Any:
        return dataset.tab.client.post("/train-lora/captions/intake/piece", content=piece, headers=HEADERS,
                                       params={**ask, "start": start})

    assert post(*pieces[1]).status_code == 400 and "in order" in post(*pieces[1]).json()["error"]
    for start, piece in pieces:
        assert post(start, piece).json() == post(start, piece).json() == {"refused": ""}
    dataset.get("intake/add", intake=intake)
    assert (dataset.folder / "big.png").read_bytes() == content


def test_a_piece_above_the_limit_of_a_body_and_one_from_another_page_are_refused(dataset: Dataset):
    intake = dataset.get("intake/begin", files=1)["intake"]
    ask = {"intake": intake, "number": 0, "path": "a.png", "start": 0, "total": 9 << 20}
    answer = dataset.tab.client.post("/train-lora/captions/intake/piece", content=bytes(9 << 20), params=ask,
                                     headers=HEADERS)
    assert answer.status_code == 413
    for headers in ({}, {**HEADERS, "Sec-Fetch-Site": "cross-site"}, {**HEADERS, "Host": "evil.example"}):
        refused = dataset.tab.client.post("/train-lora/captions/intake/piece", content=b"x", params=ask,
                                          headers=headers)
        assert refused.status_code == 403, headers


def test_limits_are_said_before_anything_is_sent(dataset: Dataset, monkeypatch: pytest.MonkeyPatch):
    answer = dataset.ask("intake/begin", files=31_000)
    assert answer.status_code == 400 and "31,000 files" in answer.json()["error"] and "20,000" in answer.json()["error"]
    answer = dataset.ask("intake/begin", files=1, size_bytes=1 << 60)
    assert answer.status_code == 400 and "GB free" in answer.json()["error"]
    monkeypatch.setattr(intake_module, "MOST_FILES", 3)
    intake = dataset.get("intake/begin", files=2)["intake"]
    for number in range(3):
        send(dataset, intake, number, f"{number}.png", png(number))
    more = dataset.tab.client.post("/train-lora/captions/intake/piece", content=b"x", headers=HEADERS, params={
        "intake": intake, "number": 9, "path": "9.png", "start": 0, "total": 1})
    assert more.status_code == 400 and "Add the rest later" in more.json()["error"]


def test_a_cancelled_import_leaves_nothing_and_cannot_be_added(dataset: Dataset):
    intake = incoming(dataset, {"x.png": png(1)})
    dataset.get("intake/cancel", intake=intake)
    assert not list((dataset.folder / ".lora_train" / "incoming").iterdir())
    answer = dataset.ask("intake/add", intake=intake)
    assert answer.status_code == 400 and "cancelled" in answer.json()["error"]


def test_an_import_of_a_webui_that_ended_is_cleaned_up(dataset: Dataset):
    left = dataset.folder / ".lora_train" / "incoming" / "old"
    left.mkdir(parents=True)
    (left / "1.png").write_bytes(b"x")
    other = dataset.get("intake/begin", files=1)["intake"]
    assert left.exists()  # perhaps of another webui that is at work
    os.utime(left, (1, 1))
    dataset.get("intake/begin", files=1)
    assert not left.exists() and (left.parent / other).exists()


def test_a_failed_import_can_be_tried_again(dataset: Dataset, monkeypatch: pytest.MonkeyPatch):
    intake = incoming(dataset, {"x.png": png(1), "x.txt": b"tags"})
    before = everything(dataset.folder)
    monkeypatch.setattr("lib_lora_train.captions.journal.apply.move_file", _full)
    answer = dataset.ask("intake/add", intake=intake)
    assert answer.status_code == 400 and "full" in answer.json()["error"]
    assert everything(dataset.folder) == before and not in_trash(dataset.folder)
    monkeypatch.undo()
    assert len(dataset.get("intake/add", intake=intake)["added"]) == 1


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device", "x.png")


@pytest.mark.parametrize("target", ["../out", "/tmp", ".hidden", "CON", ".lora_train/x", "a.png", "a\0b"])
def test_a_target_that_is_no_folder_of_the_set_is_refused(dataset: Dataset, target: str):
    intake = incoming(dataset, {"x.png": png(1)})
    for route in ("plan", "add"):
        assert dataset.ask(f"intake/{route}", intake=intake, target=target).status_code == 400


@pytest.mark.parametrize("value", [None, -1, 1 << 70, "x" * 5000, "\0", "..", "½", [], {}])
def test_nonsense_is_answered_with_a_sentence(dataset: Dataset, value: Any):
    for name in ("intake", "number", "path", "start", "total"):
        ask = {"intake": dataset.get("intake/begin", files=1)["intake"], "number": 0, "path": "a.png", "start": 0,
               "total": 3, name: value if isinstance(value, str) else json.dumps(value)}
        answer = dataset.tab.client.post("/train-lora/captions/intake/piece", content=b"xyz", params=ask,
                                         headers=HEADERS)
        assert answer.status_code in (200, 400, 404, 413), (name, answer.text)
    for body in ({"files": value}, {"files": 1, "size_bytes": value}):
        assert dataset.ask("intake/begin", **body).status_code in (200, 400)
    for name in ("parent", "name"):
        answer = dataset.tab.post("captions/intake/new-set", {"parent": str(dataset.folder), "name": "x", name: value})
        assert answer.status_code == 400 or name == "name", answer.text
        assert answer.status_code in (200, 400), answer.text


def test_a_new_set_is_made_where_the_user_may_look_and_nowhere_else(make_tab: Any, tmp_path: Path):
    tab = make_tab()
    made = tab.post("captions/intake/new-set", {"parent": str(tmp_path), "name": "owls"})
    assert made.json() == {"folder": str(tmp_path / "owls")} and (tmp_path / "owls").is_dir()
    opened = tab.post("captions/open", {"folder": made.json()["folder"]})
    assert opened.status_code == 200 and opened.json()["pictures"] == 0
    (tmp_path / "owls" / "x").write_bytes(b"x")
    for name in ("owls", "CON", "a/b", "..", ".hidden", "ends.", "", "a:b"):
        answer = tab.post("captions/intake/new-set", {"parent": str(tmp_path), "name": name})
        assert answer.status_code == 400, name
    confined = make_tab(hide_ui_dir_config=True)
    answer = confined.post("captions/intake/new-set", {"parent": str(tmp_path), "name": "elsewhere"})
    assert answer.status_code == 400 and "--hide-ui-dir-config" in answer.json()["error"]
    assert not (tmp_path / "elsewhere").exists()
    assert confined.post("captions/intake/new-set", {"parent": str(confined.data), "name": "in"}).status_code == 200


def test_a_folder_that_cannot_be_written_says_so_at_once(dataset: Dataset, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "incoming")

    monkeypatch.setattr(Path, "mkdir", refuse)
    answer = dataset.ask("intake/begin", files=1)
    assert answer.status_code == 400 and "Permission denied" in answer.json()["error"]
