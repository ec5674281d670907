"""The trigger word of a dataset folder: where it is found, and that every browser gets what the user has said."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from lib_lora_train.runs.folder import create_run


def trigger(tab, folder: Path | None = None) -> dict:
    answer = tab.post("dataset/overview", {"folder": str(folder or tab.dataset), "settings": {}})
    assert answer.status_code == 200, answer.text
    return answer.json()["trigger_word"]


def say(tab, word: str, folder: Path | None = None) -> None:
    assert tab.post("dataset/trigger-word", {"folder": str(folder or tab.dataset), "word": word}).status_code == 200


def make_set(folder: Path, captions: list[str | None]) -> Path:
    folder.mkdir(parents=True)
    for number, caption in enumerate(captions):
        Image.new("RGB", (64, 64), (9 * number, 0, 0)).save(folder / f"{number}.png")
        if caption is not None:
            (folder / f"{number}.txt").write_text(caption, encoding="utf-8")
    return folder


def add_run(tab, folder: Path, word: str, name: str = "penny") -> None:
    tab.services.runs_dir.mkdir(parents=True, exist_ok=True)
    create_run(tab.services.runs_dir, name, json.dumps({"dataset": {
        "train_data_dir": str(folder), "activation_tag": word}, "save": {"output_name": name}}))


@pytest.mark.parametrize(("captions", "word", "text"), [
    (["penny, hat", "penny, red", "penny"], "penny", "First tag of all 3 captions."),
    (["score_9, score_8_up, source_anime, fox, smile", "score_9, fox", "masterpiece, best quality, fox, tail"], "fox",
     "First tag of all 3 captions."),
    (["fox, a"] * 9 + ["a, fox"], "fox", "First tag of 9 of 10 captions."),
    (["1girl, solo, long hair", "1girl, long hair", "1girl"], "", ""),
    (["Laetitia walks on a flower field.", "Laetitia sits in a wooden chair by the window."], "Laetitia",
     "First word of all 2 captions."),
    (["A woman walks on a flower field.", "A woman sits in a wooden chair by the window."], "", ""),
    (["penny, a", "penny, b", "penny, c", "penny", "dog, penny"], "penny", "First tag of 4 of 5 captions."),
    (["penny, a", "penny, b", "dog, c", "cat, d"], "", ""), (["a photo of a woman in a red coat"], "", ""),
    (["red, a", "blue, a", "green, a"], "", "")])
def test_it_is_the_first_tag_of_all_captions(tab, tmp_path, captions, word, text):
    found = trigger(tab, make_set(tmp_path / "x", captions))
    assert (found["word"], found["text"]) == (word, text)
    assert found["source"] == ("captions" if word else "")


@pytest.mark.parametrize(("name", "word", "others"), [
    ("10_penny", "penny", []), ("3_red fox", "red fox", ["red"]), ("1_sks_woman", "sks woman", ["sks"]),
    ("05_ümit", "ümit", [])])
def test_it_is_the_name_of_the_concept_folder(tab, tmp_path, name, word, others):
    make_set(tmp_path / "sets" / name, [None, None])
    found = trigger(tab, tmp_path / "sets")
    assert (found["word"], found["source"], found["text"]) == (word, "folder", f"From the folder {name}.")
    assert [one["word"] for one in found["others"]] == others


@pytest.mark.parametrize("captions", [["dog", "cat"], [None, None]])
def test_a_folder_named_as_a_concept_gives_its_name_where_captions_do_not_agree(tab, tmp_path, captions):
    assert trigger(tab, make_set(tmp_path / "3_penny", captions))["word"] == "penny"


def test_several_concepts_have_no_word_in_common(tab, tmp_path):
    for name in ("10_penny", "2_fox"):
        make_set(tmp_path / "sets" / name, [None])
    assert trigger(tab, tmp_path / "sets")["word"] == ""


def test_a_folder_without_repeats_only_offers_its_name(tab, tmp_path):
    found = trigger(tab, make_set(tmp_path / "queen", [None]))
    assert (found["word"], [one["word"] for one in found["others"]]) == ("", ["queen"])


def test_the_word_of_an_earlier_run_on_the_folder_goes_before_a_folders_name(tab, tmp_path):
    folder = make_set(tmp_path / "4_fox", [None, None])
    add_run(tab, tmp_path / "other", "wrong")
    add_run(tab, folder, "vixen", "reynard")
    found = trigger(tab, folder)
    assert (found["word"], found["source"]) == ("vixen", "run")
    assert "reynard" in found["text"]
    assert [one["word"] for one in found["others"]] == ["fox"]


def test_a_runs_word_that_no_caption_begins_with_any_more_stands_back(tab, tmp_path):
    folder = make_set(tmp_path / "x", ["lynx, a", "lynx, b"])
    add_run(tab, folder, "vixen")
    found = trigger(tab, folder)
    assert (found["word"], [one["word"] for one in found["others"]]) == ("lynx", ["vixen", "x"])


def test_a_damaged_run_does_not_matter(tab, tmp_path):
    add_run(tab, tab.dataset, "vixen")
    for text in ("a: [", "7", '{"dataset": 3}', '{"dataset": {"train_data_dir": [1]}}'):
        create_run(tab.services.runs_dir, "broken", text)
    assert trigger(tab)["source"] == "run" or trigger(tab)["word"] == "penny"


@pytest.mark.parametrize("word", ["pennyfox", "ein Wort, zwei", "ключ", "😀", ""])
def test_what_the_user_says_is_kept_for_every_browser(tab, make_tab, word):
    assert trigger(tab)["word"] == "penny"
    say(tab, word)
    found = trigger(make_tab())
    assert (found["word"], found["source"]) == (word, "you")
    assert "penny" in [one["word"] for one in found["others"]]


def test_no_file_is_made_among_the_images(tab):
    before = sorted(tab.dataset.rglob("*"))
    trigger(tab)
    say(tab, "fox")
    assert sorted(tab.dataset.rglob("*")) == before
    assert (tab.services.runs_dir.parent / "datasets.json").is_file()


def test_it_moves_with_a_renamed_folder(tab, tmp_path):
    folder = make_set(tmp_path / "a" / "10_penny", [None, None])
    add_run(tab, folder, "vixen")
    trigger(tab, folder)
    say(tab, "fox", folder)
    moved = tmp_path / "b" / "5_penny"
    moved.parent.mkdir()
    folder.rename(moved)
    found = trigger(tab, moved)
    assert (found["word"], found["source"]) == ("fox", "you")
    assert "vixen" in [one["word"] for one in found["others"]]  # the run on the old path is its run too
    (tmp_path / "b").rename(tmp_path / "c")
    assert trigger(tab, tmp_path / "c" / "5_penny")["word"] == "fox"


def test_a_copy_is_another_folder(tab, tmp_path):
    folder = make_set(tmp_path / "one", [None, None])
    trigger(tab, folder)
    say(tab, "fox", folder)
    shutil.copytree(folder, tmp_path / "two")
    assert trigger(tab, tmp_path / "two")["word"] == ""
    assert trigger(tab, folder)["word"] == "fox"


def test_another_folder_that_got_the_old_ones_number_is_not_taken_for_it(tab, tmp_path):
    folder = make_set(tmp_path / "one", [None, None])
    trigger(tab, folder)
    say(tab, "fox", folder)
    for file in folder.iterdir():
        file.unlink()
    folder.rename(tmp_path / "two")
    Image.new("RGB", (64, 64)).save(tmp_path / "two" / "new.png")
    assert trigger(tab, tmp_path / "two")["word"] == ""


def test_a_new_set_with_the_number_and_the_image_names_of_a_deleted_one_is_not_taken_for_it(tab, tmp_path):
    folder = make_set(tmp_path / "one", [None, None])
    trigger(tab, folder)
    say(tab, "fox", folder)
    folder.rename(tmp_path / "two")
    for image in (tmp_path / "two").iterdir():  # images of most sets are numbered
        os.utime(image, (1, 1))
    assert trigger(tab, tmp_path / "two")["word"] == ""


def test_a_folder_that_an_earlier_version_stored_is_found_by_the_names_of_its_images(tab, tmp_path):
    folder = make_set(tmp_path / "one", [None, None])
    trigger(tab, folder)
    say(tab, "fox", folder)
    file = tab.services.runs_dir.parent / "datasets.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["folders"][0]["images"] = list(content["folders"][0]["images"])
    file.write_text(json.dumps(content), encoding="utf-8")
    folder.rename(tmp_path / "two")
    assert trigger(tab, tmp_path / "two")["word"] == "fox"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"folders": [3]}', b'{"folders": [{"folder": 3}]}', b"\xff"])
def test_a_damaged_file_is_put_aside_and_said(tab, content):
    file = tab.services.runs_dir.parent / "datasets.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    found = trigger(tab)
    assert found["word"] == "penny"
    assert "datasets.json was damaged" in found["problem"]
    assert (file.parent / "datasets.damaged.json").read_bytes() == content
    say(tab, "fox")
    assert trigger(tab)["word"] == "fox"


def test_where_nothing_can_be_written_the_overview_works_and_says_so(tab, monkeypatch):
    from lib_lora_train.files.writing import writing
    from lib_lora_train.ui.train import dataset_store

    def full(path, content, **more):
        with writing(path):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(dataset_store, "write_atomically", full)
    found = trigger(tab)
    assert found["word"] == "penny"
    assert "cannot be kept" in found["problem"]
    answer = tab.post("dataset/trigger-word", {"folder": str(tab.dataset), "word": "fox"})
    assert answer.status_code == 400
    assert "datasets.json" in answer.json()["error"]


@pytest.mark.parametrize("word", ["x" * 201, "a\nb", "a\0b", None, 3, [], "ä\ud83d"])
def test_what_is_no_word_is_refused(tab, word):
    answer = tab.post("dataset/trigger-word", {"folder": str(tab.dataset), "word": word})
    assert answer.status_code == 400 or (word == 3 and answer.status_code == 200)


def test_with_hidden_folders_only_those_of_the_webui(make_tab):
    answer = make_tab(hide_ui_dir_config=True).post("dataset/trigger-word", {"folder": "/tmp", "word": "fox"})
    assert answer.status_code == 400


def test_so_many_folders_are_kept_and_those_with_a_word_longest(tab, tmp_path, monkeypatch):
    from lib_lora_train.ui.train import dataset_store
    assert dataset_store._MOST_FOLDERS == 500
    monkeypatch.setattr(dataset_store, "_MOST_FOLDERS", 20)
    store = dataset_store.DatasetStore(tmp_path / "datasets.json")
    store.set_word(tmp_path / "first", "fox")
    for number in range(30):
        store.use(tmp_path / str(number), ["a.png"])
    assert store.known(tmp_path / "first").word == "fox"
    assert list(store.known(tmp_path / "29").images) == ["a.png"]
    assert store.known(tmp_path / "3").images == {}
