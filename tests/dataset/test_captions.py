"""Caption files are read strictly and written whole; tags are shuffled the same way for the same place in a run."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_lora_train.dataset.captions import (
    caption_lines,
    caption_rng,
    join_tags,
    read_caption,
    split_tags,
    train_caption,
    write_caption,
)
from lib_lora_train.errors import DatasetError

from .making import settings

TAGS = st.lists(st.text("abcdefé() _:", min_size=1, max_size=8).map(str.strip).filter(bool), min_size=0, max_size=12)


def given_settings(**values):
    return settings(Path("unused"), **values)


@pytest.mark.parametrize("content", ["penny, café, 猫".encode(), "penny, café, 猫".encode("utf-8-sig")])
def test_utf8_is_read_with_and_without_a_byte_order_mark(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    assert read_caption(tmp_path / "a.txt") == "penny, café, 猫"


@pytest.mark.parametrize(("content", "words"), [
    ("penny\ncafé".encode("latin-1"), ["byte 10", "line 2", "0xe9", "save it again as UTF-8"]),
    ("penny".encode("utf-16"), ["UTF-16 or no text at all", "again as UTF-8"]),
    ("penny".encode("utf-16-le"), ["UTF-16 or no text at all"]),
])
def test_what_is_not_utf8_is_refused_with_the_file_and_the_place(tmp_path, content, words):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        read_caption(path)
    assert all(word in str(caught.value) for word in [str(path), *words])


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(DatasetError, match="cannot be read: No such file"):
        read_caption(tmp_path / "a.txt")


def test_writing_replaces_the_whole_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a much longer text than the new one")
    write_caption(path, "pénny")
    assert path.read_bytes() == "pénny".encode()
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(DatasetError, match="cannot be written"):
        write_caption(tmp_path / "gone" / "a.txt", "x")


def test_lines_and_tags():
    assert caption_lines("\n\n  penny, red \r\n\n more\n") == ["penny, red", "more"]
    assert split_tags(" penny ,, red shirt, ", ",") == ["penny", "red shirt"]
    assert split_tags("penny. red", ".") == ["penny", "red"]
    assert join_tags(["penny", "red shirt"], ",") == "penny, red shirt"


@given(TAGS, st.integers(0, 5), st.integers())
def test_shuffling_keeps_the_first_and_loses_none(tags, keep, seed):
    caption = ", ".join(tags)
    result = split_tags(train_caption(caption, given_settings(keep_tokens=keep), random.Random(seed)), ",")
    assert result[:keep] == tags[:keep]
    assert Counter(result) == Counter(tags)


def test_every_order_comes_up_equally_often():
    orders = Counter(train_caption("penny, a, b, c", given_settings(), caption_rng(7, 1, batch))
                     for batch in range(6000))
    assert len(orders) == 6
    assert all(800 < count < 1200 for count in orders.values())
    assert all(order.startswith("penny, ") for order in orders)


def test_without_shuffling_a_caption_stays_as_it_is():
    prose = "A photo of Penny,who smiles ,  as ever"
    assert train_caption(prose, given_settings(shuffle_caption=False), random.Random(1)) == prose
    assert train_caption(prose, given_settings(), None) == prose


def test_a_place_in_the_run_has_one_order_and_others_have_others():
    def order(*place):
        return train_caption("penny, " + ", ".join("abcdefgh"), given_settings(), caption_rng(*place))

    assert order(1, 2, 3) == order(1, 2, 3)
    assert len({order(1, 2, 3), order(2, 2, 3), order(1, 3, 3), order(1, 2, 4)}) == 4


def test_another_separator():
    values = given_settings(caption_separator="|", keep_tokens=1)
    assert train_caption("penny|red, old|blue", values, random.Random(3)) in ("penny| red, old| blue",
                                                                             "penny| blue| red, old")
