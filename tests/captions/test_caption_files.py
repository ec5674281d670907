"""Caption files are read strictly and written whole."""

from __future__ import annotations

import pytest

from lib_lora_train.errors import DatasetError
from lib_lora_train.pictures.caption_files import (
    NotTextError,
    caption_lines,
    join_tags,
    read_caption,
    split_tags,
    text_of,
)


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


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(DatasetError, match="cannot be read: No such file"):
        read_caption(tmp_path / "a.txt")


def test_lines_and_tags():
    assert caption_lines("\n\n  penny, red \r\n\n more\n") == ["penny, red", "more"]
    assert split_tags(" penny ,, red shirt, ", ",") == ["penny", "red shirt"]
    assert split_tags("penny. red", ".") == ["penny", "red"]
    assert join_tags(["penny", "red shirt"], ",") == "penny, red shirt"


@pytest.mark.parametrize("content", ["penny\ncaf\xe9".encode("latin-1"), b"\xef\xbb\xbfa\xff", "penny".encode("utf-16"),
                                     "penny".encode("utf-16-be")])
def test_training_and_the_editor_refuse_the_same_bytes_in_the_same_words(tmp_path, content):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    said = []
    for read in (lambda: read_caption(path), lambda: text_of(content, str(path))):
        with pytest.raises(NotTextError) as caught:
            read()
        said.append((str(caught.value), caught.value.guess))
    assert said[0] == said[1]
