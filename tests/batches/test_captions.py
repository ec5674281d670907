"""What is drawn for a look at a picture is what its setting says, in sd-scripts' order, and the same each time."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_lora_train.batches.captions import BatchPosition, caption_rng, plain_caption, train_caption
from lib_lora_train.pictures.caption_files import split_tags
from lib_lora_train.pictures.scan import Picture

from ..pictures.making import settings

TAGS = st.lists(st.text("abcdefé() _:", min_size=1, max_size=8).map(str.strip).filter(bool), min_size=0, max_size=12)
HERE = BatchPosition(1, 1, 0)
LETTERS = ", ".join("abcdefgh")


def given_settings(**values):
    return settings(Path("unused"), **values)


def picture(caption, lines=(), regularization=False):
    return Picture(Path("a.png"), 64, 64, False, "penny", 1, caption, "file", Path("a.txt"), tuple(lines),
                   regularization)


def trained(caption, rng=None, position=HERE, **values):
    return train_caption(picture(caption), given_settings(**values), rng or caption_rng(position), position)


@given(TAGS, st.integers(0, 5), st.integers())
def test_shuffling_keeps_the_first_and_loses_none(tags, keep, seed):
    result = split_tags(trained(", ".join(tags), random.Random(seed), keep_tokens=keep), ",")
    assert result[:keep] == tags[:keep]
    assert Counter(result) == Counter(tags)


def test_every_order_comes_up_equally_often():
    orders = Counter(trained("penny, a, b, c", position=BatchPosition(7, 1, batch)) for batch in range(6000))
    assert len(orders) == 6
    assert all(800 < count < 1200 for count in orders.values())
    assert all(order.startswith("penny, ") for order in orders)


def test_without_shuffling_a_caption_stays_as_it_is():
    prose = "A photo of Penny,who smiles ,  as ever"
    assert trained(prose, shuffle_caption=False) == prose
    assert plain_caption(picture(prose), given_settings()) == prose


def test_a_place_in_the_run_has_one_order_and_others_have_others():
    def order(*position):
        return trained("penny, " + LETTERS, position=BatchPosition(*position))

    assert order(1, 2, 3) == order(1, 2, 3)
    assert len({order(1, 2, 3), order(2, 2, 3), order(1, 3, 3), order(1, 2, 4)}) == 4


def test_another_separator():
    assert trained("penny|red, old|blue", caption_separator="|") in ("penny| red, old| blue", "penny| blue| red, old")


def test_prefix_and_suffix_frame_the_caption_but_not_that_of_regularization_pictures():
    values = given_settings(caption_prefix="penny,", caption_suffix=", best quality", shuffle_caption=False)
    assert train_caption(picture("red"), values, caption_rng(HERE), HERE) == "penny, red , best quality"
    assert plain_caption(picture("red"), values) == "penny, red , best quality"
    assert plain_caption(picture("girl", regularization=True), values) == "girl"
    shuffled = given_settings(caption_prefix="penny,", caption_suffix=", best")
    tags = split_tags(train_caption(picture(LETTERS), shuffled, caption_rng(HERE), HERE), ",")
    assert tags[0] == "penny" and Counter(tags[1:]) == Counter([*"abcdefgh", "best"])


def test_captions_are_dropped_as_often_as_set_and_whole():
    drawn = Counter(trained("penny, a", position=BatchPosition(3, 1, batch), caption_dropout_rate=0.25)
                    for batch in range(4000))
    assert set(drawn) == {"", "penny, a"}
    assert 900 < drawn[""] < 1100
    assert trained("penny, a", caption_dropout_rate=1.0, caption_prefix="always") == ""


def test_every_so_many_epochs_there_are_no_captions():
    captions = [trained("penny", position=BatchPosition(1, epoch, 0), caption_dropout_every_n_epochs=3)
                for epoch in range(1, 8)]
    assert captions == ["penny", "penny", "", "penny", "penny", "", "penny"]


def test_tags_are_dropped_one_by_one_but_never_those_that_are_kept():
    positions = [BatchPosition(5, 1, batch) for batch in range(3000)]
    drawn = [trained("penny, hat, a, b, c", position=position, keep_tokens=2, caption_tag_dropout_rate=0.3,
                     shuffle_caption=False).split(", ") for position in positions]
    assert all(tags[:2] == ["penny", "hat"] for tags in drawn)
    for tag in "abc":
        assert 1950 < sum(tag in tags for tags in drawn) < 2250
    both = sum("a" in tags and "b" in tags for tags in drawn)
    assert 1350 < both < 1590  # 0.7 x 0.7: each tag by itself


@pytest.mark.parametrize(("step", "warmup", "least", "tags"), [
    (0, 10, 1, 1), (5, 10, 1, 4), (9, 10, 1, 7), (10, 10, 1, 8), (50, 10, 1, 8),  # floor(step · 7 / 10) + 1
    (0, 0.1, 2, 2), (50, 0.1, 2, 5), (99, 0.1, 2, 7), (100, 0.1, 2, 8),          # a tenth of 1000 steps
    (0, 10, 20, 8), (0, 0, 1, 8), (0, 10, 0, 0),
])
def test_captions_grow_while_the_warmup_lasts(step, warmup, least, tags):
    position = BatchPosition(1, 1, 0, step, 1000)
    result = trained("penny, " + LETTERS, position=position, token_warmup_step=warmup, token_warmup_min=least,
                     shuffle_caption=False)
    assert result == ", ".join(["penny", *"abcdefgh"[:tags]])


def test_the_warmup_cuts_before_tags_are_shuffled():
    for batch in range(20):
        result = trained("penny, " + LETTERS, position=BatchPosition(1, 1, batch, 5, 10), token_warmup_step=10)
        assert set(split_tags(result, ",")) == {"penny", *"abcd"}


def test_a_mark_says_what_keeps_its_place_in_front_and_at_the_end():
    caption = f"penny, red hat ||| {LETTERS} ||| best, sharp"
    tags = split_tags(trained(caption, keep_tokens_separator="|||", keep_tokens=0), ",")
    assert tags[:2] == ["penny", "red hat"] and tags[-2:] == ["best", "sharp"]
    assert tags[2:-2] != list("abcdefgh") and Counter(tags[2:-2]) == Counter("abcdefgh")
    dropped = trained(caption, keep_tokens_separator="|||", caption_tag_dropout_rate=1.0)
    assert dropped == "penny, red hat, best, sharp"
    values = given_settings(keep_tokens_separator="|||")
    assert plain_caption(picture(caption), values) == f"penny, red hat, {LETTERS}, best, sharp"
    without = trained("penny, a, b", keep_tokens_separator="|||", keep_tokens=3)
    assert without == "penny, a, b"


def test_wildcards_draw_a_word_and_a_line():
    lines = ("a {red|blue} hat", "a {small|{very|quite} big} coat")
    values = given_settings(enable_wildcard=True, shuffle_caption=False)
    shown = picture(lines[0], lines)
    drawn = Counter(train_caption(shown, values, caption_rng(position), position)
                    for position in (BatchPosition(1, 1, batch) for batch in range(4000)))
    expected = {"a red hat": 1000, "a blue hat": 1000, "a small coat": 1000, "a very big coat": 500,
                "a quite big coat": 500}
    assert set(drawn) == set(expected)
    assert all(abs(drawn[caption] - count) < 150 for caption, count in expected.items())
    assert plain_caption(shown, values) == "a red hat"
    off = given_settings(shuffle_caption=False)
    assert train_caption(shown, off, caption_rng(HERE), HERE) == "a {red|blue} hat"
    assert trained("a {plain} word", enable_wildcard=True, shuffle_caption=False) == "a {plain} word"
