"""Where CLIP's chunks of 75 tokens end, as the editor shows it; with an estimate where there is no vocabulary."""

from __future__ import annotations

import pytest

from lib_lora_train.captions.chunks import tag_places
from lib_lora_train.pictures.caption_files import split_tags

from .conftest import Dataset

TAGS = ", ".join(f"quizzical thing {number}" for number in range(40))


@pytest.mark.parametrize("line", ["", " a ,, b,", ",", "one", " , a", "a,b", "ä , 犬"])
def test_tags_have_their_places_in_the_order_of_the_chips(line: str):
    assert [line[start:end] for start, end in tag_places(line, ",")] == split_tags(line, ",")


def test_a_picture_tells_its_chunks(dataset: Dataset):
    number, = dataset.numbers("b.png")
    dataset.get("text", number=number, before="penny, hat", text=TAGS)
    found = dataset.get("picture", numbers=[number])
    assert found["trained_tokens"] > 75 and found["chunk_ends"][0]["tokens"] == 75 and found["line"] == TAGS
    assert [tag["begins"] < tag["ends"] for tag in found["tag_list"]] == [True] * 40
    framed = dataset.get("picture", numbers=[number], prefix="one two,")
    assert framed["trained_tokens"] == found["trained_tokens"] + 3
