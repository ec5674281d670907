"""Operations on captions, by table; prose and untouched bytes stay as they are."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lib_lora_train.captions.editor.operations import Operation, Surroundings, describe, edited
from lib_lora_train.captions.tags import is_prose, plain
from lib_lora_train.errors import DatasetError
from lib_lora_train.pictures.caption_files import NotTextError, as_utf8, bytes_of, text_of, used_line

PROSE = "A woman in red boots, standing on a red boots advertisement. She is smiling."


def after(text: str, kind: str, around: Surroundings | None = None, sure: dict[str, float] | None = None,
          **rest: Any) -> str:
    return edited([text], Operation(kind, **rest), around or Surroundings(activation_tag="penny"), [sure or {}])[0]


@pytest.mark.parametrize(("text", "rest", "result"), [
    ("penny, hat", {"tags": ("boots",)}, "penny, hat, boots"),
    ("penny, hat", {"tags": ("hat", "boots")}, "penny, hat, boots"),
    ("", {"tags": ("penny",)}, "penny"),
    ("hat, penny", {"tags": ("penny",), "place": "first"}, "penny, hat"),
    ("hat", {"tags": ("penny", "girl"), "place": "first"}, "penny, girl, hat"),
    ("penny, hat", {"tags": ("girl",), "place": "first"}, "penny, girl, hat"),
    ("penny, hat, solo", {"tags": ("boots",), "place": "after", "after": "Hat"}, "penny, hat, boots, solo"),
    ("penny, solo", {"tags": ("boots",), "place": "after", "after": "hat"}, "penny, solo"),
    ("penny,hat ,solo\n", {"tags": ("boots",)}, "penny, hat, solo, boots\n"),
    ("\n\n penny\nsecond line", {"tags": ("boots",)}, "\n\n penny, boots\nsecond line"),
    (PROSE, {"tags": ("boots",)}, PROSE),
    (PROSE, {"tags": ("penny",), "place": "first", "include_prose": True}, f"penny, {PROSE}"),
    (PROSE, {"tags": ("penny",), "include_prose": True}, f"{PROSE} penny"),
    (PROSE, {"tags": ("woman",), "include_prose": True}, PROSE),
])
def test_add(text: str, rest: dict[str, Any], result: str):
    assert after(text, "add", **rest) == result


@pytest.mark.parametrize(("text", "rest", "result"), [
    ("penny, red boots, hat", {"tags": ("red_boots",)}, "penny, hat"),
    ("penny, red boots, blue boots", {"tags": ("*boots",)}, "penny"),
    ("boots", {"tags": ("boots",)}, ""),
    (r"penny, saber \(fate\)", {"tags": ("saber (fate)",)}, "penny"),
    ("penny,  hat", {"tags": ("boots",)}, "penny,  hat"),
    (PROSE, {"tags": ("red boots",)}, PROSE),
    (PROSE, {"tags": ("red boots",), "include_prose": True},
     "A woman in, standing on a advertisement. She is smiling."),
])
def test_remove(text: str, rest: dict[str, Any], result: str):
    assert after(text, "remove", **rest) == result


@pytest.mark.parametrize(("text", "rest", "result"), [
    ("penny, boots, hat", {"tags": ("boots",), "replacement": "red boots"}, "penny, red boots, hat"),
    ("penny, boots, hat, red footwear", {"tags": ("boots", "red footwear"), "replacement": "red boots"},
     "penny, red boots, hat"),
    ("penny, red boots, hat, boots", {"tags": ("boots",), "replacement": "red boots"}, "penny, red boots, hat"),
    ("penny, boots, red boots", {"tags": ("boots",), "replacement": "red boots"}, "penny, red boots"),
    ("penny, boots", {"tags": ("boots",), "replacement": "a, b"}, "penny, a, b"),
    ("penny, boots", {"tags": ("boots",), "replacement": ""}, "penny"),
    ("penny, hat", {"tags": ("boots",), "replacement": "x"}, "penny, hat"),
    ("She wears boots. A bootstrap is not boots, though it sounds so.",
     {"tags": ("boots",), "replacement": "shoes", "include_prose": True},
     "She wears shoes. A bootstrap is not shoes, though it sounds so."),
])
def test_replace_and_merge(text: str, rest: dict[str, Any], result: str):
    assert after(text, "replace", **rest) == result


def test_replacement_is_taken_literally_in_prose():
    assert after("She wears the boots today.", "replace", tags=("boots",), replacement=r"\1 $& \g<0>",
                 include_prose=True) == r"She wears the \1 $& \g<0> today."


@pytest.mark.parametrize(("order", "result"), [
    ("alphabet", "penny, apple, boots, cap"),
    ("count", "penny, cap, boots, apple"),
    ("confidence", "penny, apple, boots, cap"),
    ("activation", "penny, cap, boots, apple"),
])
def test_sort_keeps_the_activation_tag_first(order: str, result: str):
    around = Surroundings(activation_tag="penny", counts={"cap": 9, "boots": 5, "apple": 1, "penny": 2}.__getitem__)
    assert after("cap, boots, penny, apple", "sort", around, {"apple": 0.9, "boots": 0.4}, order=order) == result


@pytest.mark.parametrize(("text", "result"), [
    ("a, b, A, c_d, c d", "a, b, c_d"), ("a, b", "a, b"), ("a,b", "a,b"), (PROSE, PROSE)])
def test_dedupe(text: str, result: str):
    assert after(text, "dedupe") == result


@pytest.mark.parametrize(("text", "result"), [
    ("a, b\nc, d\n", "a, b, c, d"), ("a, b\n", "a, b\n"), ("A girl is walking here.\r\nShe smiles.",
                                                          "A girl is walking here. She smiles.")])
def test_join_lines(text: str, result: str):
    assert after(text, "join_lines") == result


def test_cut_leaves_as_many_tags_as_fit():
    around = Surroundings(tokens=lambda text: len(text.split()))
    assert after("a b, c d, e f", "cut", around, limit=4) == "a b, c d"
    assert after("a b c d e f g", "cut", around, limit=4) == "a b c d e f g"


def test_regex_on_tags_is_anchored_to_each_tag_and_may_split_or_remove():
    assert after("red hair, red eyes", "regex_tag", pattern=r"^red (\w+)$", replacement=r"\1, red") == \
        "hair, red, eyes, red"
    assert after("a1, b", "regex_tag", pattern=r".*\d", replacement="") == "b"
    assert after("a,b", "regex_tag", pattern="x", replacement="y") == "a,b"
    assert after(PROSE, "regex_tag", pattern="red", replacement="blue") == PROSE


def test_regex_on_captions_sees_the_whole_text_of_prose_too():
    assert after(PROSE, "regex_caption", pattern="RED", replacement="blue", ignore_case=True) == \
        PROSE.replace("red", "blue")
    assert after("a\nb", "regex_caption", pattern=r"\n", replacement=", ") == "a, b"


def test_a_pattern_that_would_take_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch):
    begin = time.monotonic()
    with pytest.raises(DatasetError, match=r"takes more than .* seconds .* was stopped"):
        after("a" * 60 + "!", "regex_caption", pattern=r"(a+)+$", replacement="")
    assert time.monotonic() - begin < 180


@pytest.mark.parametrize(("rest", "message"), [
    ({"kind": "regex_tag", "pattern": "(", "replacement": ""}, r"invalid at position 1"),
    ({"kind": "regex_tag", "pattern": "a", "replacement": r"\2"}, r"uses group 2, but the pattern has only 0"),
    ({"kind": "regex_tag", "pattern": "a", "replacement": r"\g<x>"}, r"cannot be used"),
    ({"kind": "regex_tag", "pattern": ""}, "No pattern"),
    ({"kind": "add"}, "No tag is given"),
    ({"kind": "add", "tags": ("a",), "place": "middle"}, "not 'middle'"),
    ({"kind": "add", "tags": ("a",), "place": "after"}, "not given"),
    ({"kind": "sort", "order": "colour"}, "not by 'colour'"),
    ({"kind": "cut"}, "cut to 0"),
    ({"kind": "explode"}, "nothing that can be done"),
])
def test_an_operation_that_makes_no_sense_says_why(rest: dict[str, Any], message: str):
    with pytest.raises(DatasetError, match=message):
        edited(["a"], Operation(**rest), Surroundings())


@pytest.mark.parametrize("kind", ["add", "remove", "replace", "dedupe", "sort", "regex_tag", "regex_caption", "cut",
                                  "join_lines"])
def test_every_operation_has_words_for_the_history(kind: str):
    words = describe(Operation(kind, ("red boots",), order="count", pattern="x", limit=75), 12)
    assert "12 captions" in words


@pytest.mark.parametrize(("line", "prose"), [
    ("Laetitia walking on a flower field", True),
    ("Laetitia, 1girl, solo, flower field", False),
    ("a woman, wearing a red dress, standing in a field of flowers", True),
    ("penny, a girl walks on a field.", True),
    ("1girl, looking at viewer, holding hands with another", False),
    ("^_^, :3, o_o, Mr. Smith", False),
    ("photo of a cat on the table", True),
    ("a cat", False), ("sks", False), ("", False),
])
def test_prose_is_told_apart_from_tags(line: str, prose: bool):
    assert is_prose(line) is prose


@pytest.mark.parametrize(("one", "other"), [
    ("Red_Boots", "red boots"), (r"saber \(fate\)", "saber (fate)"), ("^_^", "^_^"), (" a  b ", "a b")])
def test_tags_that_mean_the_same(one: str, other: str):
    assert plain(one) == plain(other)


def test_marks_and_line_ends_stay_when_the_text_changes():
    assert bytes_of("new\nlines\n", b"\xef\xbb\xbfold\r\nlines\r\n") == b"\xef\xbb\xbfnew\r\nlines\r\n"
    assert bytes_of("new\r\nlines", b"old\nlines") == b"new\r\nlines"
    assert bytes_of("x", None) == b"x"
    assert text_of(b"\xef\xbb\xbfa\r\n", "a.txt") == "a\r\n"


def test_other_encodings_are_named_and_can_be_saved_as_utf8():
    with pytest.raises(NotTextError, match="Windows-1252"):
        text_of(b"caf\xe9", "a.txt")
    with pytest.raises(NotTextError, match="UTF-16"):
        text_of("café".encode("utf-16"), "a.txt")
    for encoding in ("cp1252", "utf-16", "utf-16-le", "utf-16-be"):
        assert as_utf8("café, girl".encode(encoding), "a.txt").decode() == "café, girl"
    with pytest.raises(DatasetError, match="not text in any known encoding"):
        as_utf8(b"\x81\x8d", "a.txt")


def test_the_line_that_is_trained_on_is_the_first_that_says_something():
    cut = used_line("\n  a, b \r\nc")
    assert (cut.before, cut.line, cut.after) == ("\n  ", "a, b", " \r\nc")
    assert used_line(" \n ").line == ""
