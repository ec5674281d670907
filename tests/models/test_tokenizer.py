from __future__ import annotations

import gzip
import itertools
import random
import sys
import time
import unicodedata

import ftfy
import pytest
import regex

from lib_lora_train.captions.tokens import TokenCounter
from lib_lora_train.errors import WorkerEnvironmentError
from lib_lora_train.models.text_states import tokenize
from lib_lora_train.models.tokenizer import VOCABULARY_FILE, Tokenizer, find_vocabulary, join_pairs, parts_of
from tests.figures import count

BEGIN, END = 49406, 49407
CAT = [320, 1125, 539, 320, 2368]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load()


def test_ids_are_those_that_clip_was_trained_with(tokenizer):
    """Published ids of CLIP's tokenizer."""
    assert tokenizer.ids("a photo of a cat") == CAT
    assert tokenizer.ids("A Photo  of a CAT ") == CAT
    assert tokenizer.ids("hello world!") == [3306, 1002, 256]
    assert tokenizer.ids("") == []


WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
CAPTIONS = [
    "1girl, solo, hatsune miku \\(vocaloid\\), twintails, :d, ^_^, 2000s (style), artist_name",
    "A woman's portrait; she'll say: “don’t!” — it’s 35mm f/1.8, 4k",
    "初音ミク, 長い髪 and café naïveté, Ärger",
    "blue_eyes,long hair ,  masterpiece\n(best quality:1.2), no_humans 😀",
]


@pytest.mark.parametrize("caption", CAPTIONS)
def test_ids_are_those_of_an_independent_byte_pair_encoding(tokenizer, caption):
    """The published algorithm (Sennrich et al. 2016, with CLIP's byte alphabet and word pattern), written out."""
    lines = gzip.decompress(find_vocabulary().read_bytes()).decode().split("\n")[1:48895]
    merges = [tuple(line.split()) for line in lines]
    rank = {merge: number for number, merge in enumerate(merges)}
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = printable + [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + n) for n in range(256 - len(printable))]
    of_byte = dict(zip(alphabet, letters, strict=True))
    vocabulary = letters + [letter + "</w>" for letter in letters] + ["".join(merge) for merge in merges]
    text = " ".join(ftfy.fix_text(caption).split()).lower()
    expected = []
    for word in regex.findall(WORDS, text):
        parts = [of_byte[byte] for byte in word.encode()]
        parts[-1] += "</w>"
        while known := [pair for pair in itertools.pairwise(parts) if pair in rank]:
            parts = joined(parts, min(known, key=rank.__getitem__))
        expected += [vocabulary.index(part) for part in parts]
    assert tokenizer.ids(caption) == expected


ALIKE = [range(0x3400, 0x4DC0), range(0x4E00, 0xA000), range(0xAC00, 0xD7A4), range(0xE000, 0xF900),
         range(0x17000, 0x18D00), range(0x20000, 0xE0000), range(0xF0000, sys.maxunicode + 1)]


def test_every_character_is_split_off_as_clips_pattern_does_it():
    """Usually a part of the 250,000 ideographs, Hangul syllables and private ones, which are all alike."""
    pattern, wrong = regex.compile(WORDS, regex.IGNORECASE), {}
    for code in range(sys.maxunicode + 1):
        if code % count(29, 1) and any(code in alike for alike in ALIKE):
            continue
        if unicodedata.category(chr(code)) in ("Cn", "Cs"):
            continue
        text = " ".join(f"a{chr(code)}b 1{chr(code)}' {chr(code)}".split())
        if list(parts_of(text)) != pattern.findall(text):
            wrong[hex(code)] = list(parts_of(text))
    assert set(wrong) == {"0x345"}  # the iota subscript: a mark, which the pattern folds into a letter


ALPHABETS = ["abcdefghij ", "penny 1girl, (red:1.2) 'll don't's ", "äöüßéñ ½²Ⅷ٣१ ", "初音ミク長い髪 ｶﾞ", "абвгд ",
             "\u3000\t\n\x1f\xa0 ab", "😀👩\u200d🦰✨\ufe0f♥ ", "“”‘’—…â€™Ã¤ ", "<|endoftext|> <|startoftext|>",
             "İıſŉẞﬁ'ſ ", "e\u0301n\u0303 \u0e19\u0e49\u0e33 "]


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_ids_are_those_of_transformers(tokenizer, of_transformers, alphabet):
    drawn = random.Random(alphabet)
    for _ in range(200):
        text = "".join(drawn.choice(alphabet) for _ in range(drawn.randrange(60)))
        expected = of_transformers(text, add_special_tokens=False, verbose=False)["input_ids"]
        assert tokenizer.ids(text) == expected, text


@pytest.mark.parametrize("special", ["<|endoftext|>", "a <|startoftext|> b", "x<|endoftext|>y", "<|EndOfText|>"])
def test_clips_own_marks_in_a_caption_are_single_tokens(tokenizer, of_transformers, special):
    assert tokenizer.ids(special) == of_transformers(special, add_special_tokens=False)["input_ids"]


def test_pairs_are_joined_as_one_after_the_other():
    """The heap against the definition: of all neighbours the pair learned first, everywhere, until none is known."""
    drawn = random.Random(5)
    pieces = {"a", "b", "c", "a</w>", "b</w>", "c</w>"}
    ranks: dict[tuple[str, str], int] = {}
    while len(ranks) < 60:
        pair = drawn.choice(sorted(pieces - {piece for piece in pieces if piece.endswith(">")})), \
            drawn.choice(sorted(pieces))
        if pair not in ranks:
            ranks[pair] = len(ranks)
            pieces.add("".join(pair))
    for _ in range(300):
        word = "".join(drawn.choice("abc") for _ in range(drawn.randrange(1, 30)))
        parts = begin = [*word[:-1], f"{word[-1]}</w>"]
        while known := [pair for pair in itertools.pairwise(parts) if pair in ranks]:
            first = min(known, key=ranks.__getitem__)
            place = list(itertools.pairwise(parts)).index(first)
            parts = [*parts[:place], "".join(first), *parts[place + 2:]]
        assert join_pairs(begin, ranks) == parts, word


def test_the_editor_counts_the_tokens_that_are_trained_with(tokenizer):
    counter = TokenCounter.of_this_machine()
    assert counter.exact
    assert [counter.count(caption) for caption in CAPTIONS] == [len(tokenizer.ids(caption)) for caption in CAPTIONS]


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"heading\na b\n"), None])
def test_the_editor_estimates_where_the_vocabulary_is_damaged_or_missing(tmp_path, monkeypatch, content):
    package = tmp_path / "open_clip"
    package.mkdir()
    (package / "__init__.py").touch()
    if content is not None:
        (package / VOCABULARY_FILE).write_bytes(content)
    monkeypatch.setattr("lib_lora_train.models.tokenizer._places_of", lambda name: [str(package)])
    counter = TokenCounter.of_this_machine()
    assert not counter.exact and counter.count("a photo of a cat") == 5


@pytest.mark.parametrize("text", ["a" * 65536, "'" * 65536, "\u3000" * 65536, "red " * 16384, "½" * 65536,
                                  "äÃ" * 32768])
def test_no_caption_of_64_kb_takes_long_to_count(text):
    begin = time.process_time()
    Tokenizer.load().count_tokens(text)
    assert time.process_time() - begin < 5


def joined(parts: list[str], pair: tuple[str, str]) -> list[str]:
    result: list[str] = []
    for part in parts:
        if result and (result[-1], part) == pair and not result[-1].endswith("</w>"):
            result[-1] += part
        else:
            result.append(part)
    return result


@pytest.mark.parametrize(("length", "windows"), [(75, 1), (150, 2), (225, 3)])
def test_windows_are_wrapped_in_begin_and_end_and_filled_with_end(tokenizer, length, windows):
    tokens = tokenize(tokenizer, ["a photo of a cat", ""], length)
    assert tokens.shape == (2, windows, 77)
    assert tokens[0, 0].tolist() == [BEGIN, *CAT, *[END] * 71]
    assert all(tokens[1, n].tolist() == [BEGIN, *[END] * 76] for n in range(windows))


def test_long_captions_continue_in_the_next_window_and_are_cut_at_the_end(tokenizer):
    cat = CAT[-1]
    caption = " ".join(["cat"] * 100)
    assert tokenizer.count_tokens(caption) == 100
    two = tokenize(tokenizer, [caption], 150)[0]
    assert two[0].tolist() == [BEGIN, *[cat] * 75, END]
    assert two[1].tolist() == [BEGIN, *[cat] * 25, *[END] * 51]
    assert tokenize(tokenizer, [caption], 75)[0].tolist() == [[BEGIN, *[cat] * 75, END]]


def test_no_captions_make_no_windows(tokenizer):
    assert tokenize(tokenizer, [], 150).shape == (0, 2, 77)


def test_a_vocabulary_that_is_missing_or_damaged_is_named_with_the_way_out(tmp_path):
    with pytest.raises(WorkerEnvironmentError, match="open-clip-torch") as caught:
        find_vocabulary(tmp_path)
    assert str(tmp_path) in str(caught.value)
    path = tmp_path / VOCABULARY_FILE
    path.write_bytes(b"no gzip")
    with pytest.raises(WorkerEnvironmentError, match="cannot be read"):
        Tokenizer.load(tmp_path)
    path.write_bytes(gzip.compress(b"heading\na b\nc d\n"))
    with pytest.raises(WorkerEnvironmentError, match="damaged"):
        Tokenizer.load(tmp_path)


def test_a_vocabulary_in_another_folder_is_taken(tmp_path, tokenizer):
    (tmp_path / VOCABULARY_FILE).write_bytes(find_vocabulary().read_bytes())
    assert Tokenizer.load(tmp_path).ids("a photo of a cat") == CAT
