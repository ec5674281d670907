"""The filter language: what it finds, and errors that point at the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_lora_train.captions.editor.editor import CaptionEditor
from lib_lora_train.captions.editor.query import about_unknown, unknown_tags
from lib_lora_train.captions.filter import FilterError, parse
from lib_lora_train.captions.patterns import wildcard_matcher

from .sets import make_set, names, open_editor, save_picture


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> CaptionEditor:
    folder = make_set(tmp_path_factory.mktemp("filter") / "pictures", {
        "a.png": "penny, red boots, blonde hair, solo",
        "b.png": "penny, Red_Boots, brown hair",
        "c.png": "penny walking over a field of flowers.",
        "d.png": "",
        "e.png": None,
        "10_saber/f.png": r"saber \(fate\), salt and pepper, ^_^",
    })
    save_picture(folder / "wide.png", 768, 512)
    (folder / "wide.txt").write_text("penny, blonde hair, sitting")
    return open_editor(folder)


@pytest.mark.parametrize(("text", "found"), [
    ("", ["a", "b", "c", "d", "e", "wide", "f"]),
    ("red boots", ["a", "b"]),
    ("red_boots AND NOT solo", ["b"]),
    ("red boots, solo", ["a"]),
    ("solo OR brown hair", ["a", "b"]),
    ("solo OR brown hair AND penny", ["a", "b"]),
    ("(solo OR brown hair) AND blonde hair", ["a"]),
    ("NOT (red boots OR *hair)", ["c", "d", "e", "f"]),
    ("*hair", ["a", "b", "wide"]),
    ("b*n* hair", ["a", "b", "wide"]),
    ("blonde ?air", ["a", "wide"]),
    ("NOT NOT solo", ["a"]),
    ("saber (fate)", ["f"]),
    (r"saber \(fate\)", ["f"]),
    ("(saber (fate) OR solo) AND NOT penny", ["f"]),
    ('"saber (fate)"', ["f"]),
    ("salt and pepper", ["f"]),
    ("^_^", ["f"]),
    ('"*hair"', []),
    ("nocaption", ["d", "e"]),
    ("prose", ["c"]),
    ('text:"field of"', ["c"]),
    ("text:PENNY AND NOT prose", ["a", "b", "wide"]),
    ("size<512", ["a", "b", "c", "d", "e", "f"]),
    ("width>=768", ["wide"]),
    ("size:768x512", ["wide"]),
    ("height != 64", ["wide"]),
    ("ratio>1.4", ["wide"]),
    ("tags>3", ["a"]),
    ("tags=0 AND NOT nocaption", ["c"]),
    ("bucket:640x384", ["wide"]),
    ("bucket:512x512", ["a", "b", "c", "d", "e", "f"]),
    ("folder:10_*", ["f"]),
    ("name:wide", ["wide"]),
    ("name:?.png AND NOT folder:*saber", ["a", "b", "c", "d", "e"]),
    ("name:wid", ["wide"]),
    ("name:IDE.P", ["wide"]),
    ("folder:saber", ["f"]),
    ("path:saber/f", ["f"]),
    (r"path:10_SABER\f.png", ["f"]),
    ("path:pictures AND path:10_*", ["f"]),
    ("name:a.png OR name:'b.png'", ["a", "b"]),
    ('path:"saber/" OR name:"wide"', ["wide", "f"]),
    ("tags:>3", ["a"]),
    ("tags:>=4", ["a"]),
    ("tags: < 3 AND tags:!=0", []),
    ("tags:==3", ["b", "wide", "f"]),
    ("tags != 3 AND NOT tags=0", ["a"]),
    ("TAGS:>3", ["a"]),
    ("chars:>=36", ["c", "f"]),
    ("chars:=35", ["a"]),
    ("chars:=0", ["d", "e"]),
    ("chars<30 AND chars:!=0", ["b", "wide"]),
    ("tokens:>0 AND tokens:<=8", ["b", "wide"]),
    ("tag:solo", ["a"]),
    ("tag:'red boots' AND NOT tag:*onde*", ["b"]),
    ('caption:"field of"', ["c"]),
    ("caption:walk*flowers", ["c"]),
    ("NoCaption", ["d", "e"]),
    ("rating:safe", []),
])
def test_what_a_filter_finds(editor: CaptionEditor, text: str, found: list[str]):
    assert [Path(name).stem for name in names(editor, editor.filtered(text))] == found


@pytest.mark.parametrize(("text", "message", "place"), [
    ("red AND", "Something is missing after AND", "AND"),
    ("AND red", "missing before AND", "AND"),
    ("red AND OR blue", "missing before OR", "OR"),
    ("a, , b", "missing before ,", ","),
    ("(red OR blue", "never closed", "("),
    ("red)", "no opening one", ")"),
    ("a AND ()", "missing before )", ")"),
    ("red (a OR b)", "missing before this bracket", "("),
    ('a "b"', "AND or OR is missing", '"b"'),
    ('"abc', "quotation mark is never closed", '"'),
    ("text:", "text takes words", "text:"),
    ("size<big", "compared with a number, such as size<512", "size<big"),
    ("tags > ", "compared with a number, such as tags>10", "tags >"),
    ("x AND bucket:wide", "such as bucket:512x768", "bucket:wide"),
    ("NOT", "Something is missing after NOT", "NOT"),
    ("red AND tags:blue", "tags is compared with a number, such as tags=10", "tags:blue"),
    ("tags:>", "compared with a number, such as tags>10", "tags:>"),
    ("chars:nan", "compared with a number", "chars:nan"),
    ('name:"IMG', "quotation mark is never closed", '"'),
    ("path:", "path takes words", "path:"),
    ("red OR token>75", "Did you mean tokens?", "token>75"),
    ("tokns:>75", "Did you mean tokens?", "tokns:>75"),
    ("nmae:IMG AND red", "Did you mean name?", "nmae:IMG"),
    ("filesize>100", "filesize cannot be compared", "filesize>100"),
    ("red AND mtime != 5", "mtime cannot be compared", "mtime != 5"),
])
def test_an_error_points_at_the_place(text: str, message: str, place: str):
    with pytest.raises(FilterError, match=message.replace("(", r"\(").replace(")", r"\)")) as caught:
        parse(text)
    assert text[caught.value.start:caught.value.end].strip() == place


@pytest.mark.parametrize(("text", "place", "more"), [
    ("red boots AND red bots", "red bots", ""),
    ("penny and solo", "penny and solo", "capitals"),
    ("penny, not solo", "not solo", "capitals"),
    ("solo || hat", "solo || hat", "capitals"),
    ("penny AND -solo", "-solo", "capitals"),
    ("NOT (penny OR *hairs)", "*hairs", ""),
    ('penny AND "and so on"', '"and so on"', ""),
    ("file:wide", "file:wide", "Fields are"),
])
def test_a_tag_that_no_caption_has_is_named_with_its_place(editor: CaptionEditor, text: str, place: str, more: str):
    tag = next(unknown_tags(parse(text), editor.index))
    assert text[tag.start:tag.end].strip() == place
    said = about_unknown(tag)
    assert place.strip('"') in said and more in said and bool(more) == (not said.endswith('".'))


@pytest.mark.parametrize("text", ["salt and pepper", "red boots OR *hair", 'NOT "solo"', "name:nothing", "tags>99"])
def test_a_filter_whose_tags_are_known_is_not_questioned(editor: CaptionEditor, text: str):
    assert list(unknown_tags(parse(text), editor.index)) == []


def test_wildcards_do_not_run_away():
    assert not wildcard_matcher("*a" * 30 + "b")("a" * 2000)
    assert not wildcard_matcher("?*a" * 30 + "b")("a" * 500)


@pytest.mark.parametrize(("pattern", "text", "fits"), [
    ("*", "", True), ("a*", "a", True), ("*a*b*", "xxaxxb", True), ("*ab*ba", "aba", False), ("a*a", "a", False),
    ("?", "", False), ("a?c*", "abcd", True), ("plain", "plain", True), ("*x*x*", "xx", True),
    ("ab*bc*cd", "abcd", False),
])
def test_wildcards(pattern: str, text: str, fits: bool):
    assert wildcard_matcher(pattern)(text) is fits


def test_sizes_and_buckets_follow_exif_rotation_and_settings(tmp_path: Path):
    from PIL import Image
    folder = make_set(tmp_path / "pictures", {"a.png": "x"})
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (768, 512), "red").save(folder / "turned.jpg", exif=exif)
    editor = open_editor(folder, resolution="768")
    assert names(editor, editor.filtered("height=768")) == ["turned.jpg"]
    assert names(editor, editor.filtered("bucket:768x768")) == ["a.png"]


@pytest.mark.parametrize("text", ["(" * 5000 + "a" + ")" * 5000, "(" * 5000, "NOT(" * 4000 + "a" + ")" * 4000,
                                  "a AND (" * 2000 + "b" + ")" * 2000, "NOT " * 50_000 + "a", "x" * 1_000_000])
def test_a_filter_without_measure_is_refused_with_its_place(text):
    with pytest.raises(FilterError, match="Use fewer|Shorten it") as raised:
        parse(text)
    assert 0 <= raised.value.start < raised.value.end and len(str(raised.value)) < 200


def test_thousands_of_nots_mean_one_or_none():
    assert parse("NOT " * 4998 + "a") == parse("a")
    assert parse("NOT " * 4999 + "a") == parse("NOT a")
