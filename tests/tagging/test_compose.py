"""What becomes of a caption in each mode, by table."""

from __future__ import annotations

import pytest

from lib_lora_train.tagging.compose import composed

TAGS = ["1girl", "red boots", "smile"]


@pytest.mark.parametrize(("mode", "text", "first", "expected"), [
    ("if-empty", "", [], "1girl, red boots, smile"),
    ("if-empty", "  \n", [], "1girl, red boots, smile"),
    ("if-empty", "mine", ["penny"], "mine"),
    ("if-empty", "", ["penny"], "penny, 1girl, red boots, smile"),
    ("if-empty", "", ["smile"], "smile, 1girl, red boots"),
    ("overwrite", "mine, hers\nand a note", ["penny"], "penny, 1girl, red boots, smile"),
    ("confidences-only", "mine", ["penny"], "mine"),
    ("confidences-only", "", ["penny"], ""),
    ("append", "", ["penny"], "penny, 1girl, red boots, smile"),
    ("append", "penny, hat", ["penny"], "penny, hat, 1girl, red boots, smile"),
    ("append", "penny,hat ,", [], "penny,hat, 1girl, red boots, smile"),
    ("append", "hat, Red_Boots", [], "hat, Red_Boots, 1girl, smile"),
    ("append", "hat, penny", ["penny"], "penny, hat, 1girl, red boots, smile"),
    ("append", "1girl, red boots, smile", [], "1girl, red boots, smile"),
    ("append", "hat\nsecond line\n", [], "hat, 1girl, red boots, smile\nsecond line\n"),
    ("append", "\n\nhat", [], "\n\nhat, 1girl, red boots, smile"),
    ("append", "Penny stands in a field, smiling at us.", ["penny"],
     "penny, Penny stands in a field, smiling at us., 1girl, red boots, smile"),
    ("prepend", "hat", [], "1girl, red boots, smile, hat"),
    ("prepend", "penny, hat", ["penny"], "penny, 1girl, red boots, smile, hat"),
    ("prepend", "hat, smile", ["penny"], "penny, 1girl, red boots, hat, smile"),
    ("prepend", "1girl, red boots, smile", [], "1girl, red boots, smile"),
    ("prepend", "A long walk, by the sea.", [], "1girl, red boots, smile, A long walk, by the sea."),
])
def test_the_new_caption(mode, text, first, expected):
    assert composed(text, TAGS, first, mode, ",") == expected


@pytest.mark.parametrize("mode", ["append", "prepend"])
@pytest.mark.parametrize("text", ["hat", "penny, hat", "hat, 1girl, penny", "hat, 1GIRL"])
@pytest.mark.parametrize("first", [[], ["penny"]])
def test_adding_twice_is_adding_once(mode, text, first):
    once = composed(text, TAGS, first, mode, ",")
    assert composed(once, TAGS, first, mode, ",") == once


def test_no_tags_leave_no_empty_caption():
    assert composed("", [], [], "if-empty", ",") == ""
    assert composed("mine", [], [], "overwrite", ",") == "mine"


def test_another_separator():
    assert composed("hat; cat", ["a,b", "cat"], ["penny"], "append", ";") == "penny; hat; cat; a,b"
