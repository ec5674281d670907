"""Finding a tagger's files, and reading its list of tags."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_lora_train.config.groups.tagger import TaggerDescription
from lib_lora_train.config.tagger_description import described
from lib_lora_train.config.taggers import KNOWN_TAGGERS, find_tagger, taggers_in, where_it_belongs
from lib_lora_train.errors import TaggerError
from lib_lora_train.tagging.tag_list import read_tag_list

PROMISED = {
    "SmilingWolf/wd-v1-4-vit-tagger-v2", "SmilingWolf/wd-v1-4-convnext-tagger-v2",
    "SmilingWolf/wd-v1-4-convnextv2-tagger-v2", "SmilingWolf/wd-v1-4-swinv2-tagger-v2",
    "SmilingWolf/wd-v1-4-moat-tagger-v2", "SmilingWolf/wd-vit-tagger-v3", "SmilingWolf/wd-convnext-tagger-v3",
    "SmilingWolf/wd-swinv2-tagger-v3", "SmilingWolf/wd-vit-large-tagger-v3", "SmilingWolf/wd-eva02-large-tagger-v3",
    "toynya/Z3D-E621-Convnext",
}


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_every_tagger_that_was_promised_is_known_by_its_repository():
    assert {tagger.repository for tagger in KNOWN_TAGGERS} >= PROMISED


@pytest.mark.parametrize("tagger", KNOWN_TAGGERS, ids=lambda tagger: tagger.name)
def test_a_known_tagger_is_found_where_the_sentence_says_it_belongs(tmp_path: Path, tagger):
    assert find_tagger(tmp_path, tagger.name) is None
    said = where_it_belongs(tmp_path, tagger.name)
    folder = Path(said.rsplit(" into ", 1)[1])
    put(folder, *(Path(file).name for file in tagger.repository_files))
    alone = [other.repository for other in KNOWN_TAGGERS].count(tagger.repository) == 1
    for name in (tagger.name, tagger.repository) if alone else (tagger.name,):
        found = find_tagger(tmp_path, name)
        assert found is not None
        assert found.description is described()[tagger.described_by]
    assert [found.name for found in taggers_in(tmp_path)] == [tagger.name]


def test_half_a_tagger_counts_for_nothing(tmp_path: Path):
    put(tmp_path / "wd-vit-tagger-v3", "model.onnx")
    assert find_tagger(tmp_path, "wd-vit-tagger-v3") is None
    assert list(taggers_in(tmp_path)) == []


def test_a_local_file_with_its_tags_beside_it(tmp_path: Path):
    put(tmp_path / "mine", "best.onnx", "best.csv")
    for model in (tmp_path / "mine" / "best.onnx", tmp_path / "mine"):
        found = find_tagger(Path("/nowhere"), str(model))
        assert (found.model.name, found.tags.name, found.description) == ("best.onnx", "best.csv", None)
    put(tmp_path / "project", "model.onnx", "tags.txt")
    assert find_tagger(Path("/nowhere"), str(tmp_path / "project")).tags.name == "tags.txt"


@pytest.mark.parametrize(("names", "model", "words"), [
    ([], "gone.onnx", "There is no tagger at"),
    (["a.onnx"], "a.onnx", "not a complete tagger"),
    (["a.onnx", "b.onnx"], ".", "not a complete tagger"),
    (["model-resnet_custom_v3.pt"], "model-resnet_custom_v3.pt", "webui's own DeepDanbooru"),
])
def test_a_path_without_a_tagger_is_explained(tmp_path: Path, names, model, words):
    put(tmp_path, *names)
    with pytest.raises(TaggerError, match=words):
        find_tagger(tmp_path, str(tmp_path / model))


def test_a_name_that_nobody_knows_is_answered_with_those_that_are(tmp_path: Path):
    assert "wd-swinv2-tagger-v3" in where_it_belongs(tmp_path, "wd-super-tagger")


def tags_file(tmp_path: Path, text: str, name: str = "selected_tags.csv",
              like: str = "wd") -> tuple[Path, TaggerDescription]:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path, described()[like]


def kinds(tag_list) -> dict[str, list[str]]:
    return {kind: [tag_list.tags[place] for place in getattr(tag_list, kind)]
            for kind in ("general", "named", "ratings")}


def test_categories_of_danbooru_and_wd14(tmp_path: Path):
    rows = ("1,general,9,5", "2,1girl,0,4", '3,"a,b",0,3', "4,rin,4,2", "5,fate,3,2", "6,me,1,1", "7,hd,5,1")
    text = "\n".join(("tag_id,name,category,count", *rows))
    found = read_tag_list(*tags_file(tmp_path, text))
    assert found.tags == ("general", "1girl", "a,b", "rin", "fate", "me", "hd")
    assert kinds(found) == {"general": ["1girl", "a,b"], "named": ["rin", "fate", "me"], "ratings": ["general"]}


def test_categories_of_e621(tmp_path: Path):
    text = "id,name,category,post_count\n" + "".join(f"{n},t{n},{n},1\n" for n in (0, 1, 3, 4, 5, 6, 7, 8))
    found = read_tag_list(*tags_file(tmp_path, text, "tags-selected.csv", "z3d_e621"))
    assert kinds(found) == {"general": ["t0", "t5"], "named": ["t1", "t3", "t4"], "ratings": []}


def test_deepdanboorus_lists(tmp_path: Path):
    found = read_tag_list(*tags_file(tmp_path, "name,real_name,category\n1girl,1girl,0\nrating:safe,rating:safe,9\n"))
    assert kinds(found) == {"general": ["1girl"], "named": [], "ratings": ["safe"]}
    (tmp_path / "tags-character.txt").write_text("rin\n")
    found = read_tag_list(*tags_file(tmp_path, "1girl\nrin\nrating:safe\n", "tags.txt", "deepdanbooru"))
    assert kinds(found) == {"general": ["1girl"], "named": ["rin"], "ratings": ["safe"]}


@pytest.mark.parametrize(("text", "words"), [
    ("", "no column called name"), ("name,category\n", "is empty"), ("tag,category\na,0\n", "no column called name"),
    ("name,category\n1girl,0\nhat,77\n", "Line 3"), ("name,category\n,0\n", "Line 2"),
    ("name,category\na,b\n", "Line 2"),
])
def test_a_list_that_cannot_be_understood_says_which_line(tmp_path: Path, text, words):
    with pytest.raises(TaggerError, match=words):
        read_tag_list(*tags_file(tmp_path, text))
