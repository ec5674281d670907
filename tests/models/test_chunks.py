"""Where CLIP's chunks of 75 tokens end, against the ids that training gets."""

from __future__ import annotations

import pytest

from lib_lora_train.captions.chunks import CaptionTokens, Framing, tag_places
from lib_lora_train.models.tokenizer import Tokenizer
from lib_lora_train.pictures.caption_files import split_tags


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load()


TAGS = ", ".join(f"quizzical thing {number}" for number in range(40))
PROSE = " ".join(f"Penny walks over field {number} with her antidisestablishmentarian dog." for number in range(12))


@pytest.mark.parametrize("line", [TAGS, PROSE, "a" * 3000, "hat, " * 80, "x,y," * 60, "犬" * 90])
@pytest.mark.parametrize("framing", [Framing(), Framing("penny, ", ", best quality")])
def test_chunk_ends_are_where_training_cuts(tokenizer: Tokenizer, line: str, framing: Framing):
    line = line.strip(" ,")
    tokens = CaptionTokens(line, ",", framing, tokenizer.count_tokens)
    whole = " ".join(part for part in (framing.prefix.strip(), line, framing.suffix.strip()) if part)
    ids = tokenizer.ids(whole)
    assert tokens.total == len(ids)
    prefix = f"{framing.prefix.strip()} " if framing.prefix else ""
    for end in tokens.chunk_ends():
        before = tokenizer.ids(prefix + line[:end.at])
        assert before == ids[:len(before)] and len(before) <= end.tokens
        assert end.cut == (len(before) < end.tokens)
        word = line[end.at:].split()[0]
        assert len(tokenizer.ids(prefix + line[:end.at + len(word)])) > end.tokens
    expected = [tokens for tokens in range(75, len(ids), 75)
                if len(tokenizer.ids(prefix + line)) > tokens]
    assert [end.tokens for end in tokens.chunk_ends()] == expected


def test_each_tag_knows_its_tokens(tokenizer: Tokenizer):
    line = f"penny, red boots, {TAGS}"
    tokens = CaptionTokens(line, ",", Framing(), tokenizer.count_tokens)
    places = tokens.of_tags()
    ids = tokenizer.ids(line)
    for tag, (begins, ends) in zip(split_tags(line, ","), places, strict=True):
        assert ids[begins:ends] == tokenizer.ids(tag)


def test_the_keep_tokens_separator_is_no_part_of_what_is_trained(tokenizer: Tokenizer):
    plain = CaptionTokens("penny, hat, cap", ",", Framing(), tokenizer.count_tokens)
    marked = CaptionTokens("penny, hat ||| cap", ",", Framing(mark="|||"), tokenizer.count_tokens)
    assert marked.total == plain.total


@pytest.mark.parametrize("line", ["", " a ,, b,", ",", "one", " , a", "a,b", "ä , 犬"])
def test_tags_have_their_places_in_the_order_of_the_chips(line: str):
    assert [line[start:end] for start, end in tag_places(line, ",")] == split_tags(line, ",")
