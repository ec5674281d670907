"""CLIP's tokenizer (Radford et al. 2021), from the vocabulary in the open_clip package. Free of torch.

Used for training and for the editor's token counts. A caption is cleaned by ftfy, split into words, numbers and
punctuation, and byte-pair encoded (Sennrich et al. 2016) as in ``simple_tokenizer.py`` of openai/CLIP (MIT).
"""

from __future__ import annotations

import gzip
import heapq
import importlib.util
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from ..errors import WorkerEnvironmentError
from ..files.reading import reason
from .family import BEGIN_TOKEN, END_TOKEN

VOCABULARY_FILE = "bpe_simple_vocab_16e6.txt.gz"
WINDOW = 75
"""Caption tokens in one window of the text encoder, without begin and end."""
_MERGES = 49152 - 256 - 2
_SPECIAL = {"<|startoftext|>": BEGIN_TOKEN, "<|endoftext|>": END_TOKEN}
_PART = re.compile(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[^\W_]+|(?:[^\s\w]|_)+", re.IGNORECASE)
_MOST_KEPT, _LONGEST_KEPT = 200_000, 200


class Tokenizer:
    """Captions to token ids. Fast once built: the ids of words are cached."""

    def __init__(self, vocabulary: Path) -> None:
        """Read the BPE merges of ``vocabulary``.

        Raises ``WorkerEnvironmentError`` if it is damaged, or if ftfy is not installed, without which Chinese or
        Japanese text may be tokenized differently than in the webui.
        """
        try:
            from ftfy import fix_text
        except ImportError as problem:
            raise WorkerEnvironmentError(f"The tokenizer needs the package ftfy: {problem}.") from problem
        self._fix_text = fix_text
        self._numbers, self._ranks = _tables(vocabulary)
        self._known: dict[str, list[int]] = {word: [number] for word, number in _SPECIAL.items()}

    @classmethod
    def load(cls, folder: Path | None = None) -> Tokenizer:
        """The tokenizer from the vocabulary in ``folder``, or else in an installed package.

        Raises ``WorkerEnvironmentError`` if there is none.
        """
        return cls(find_vocabulary(folder))

    def ids(self, caption: str) -> list[int]:
        """All token ids of ``caption``, without begin and end."""
        text = " ".join(self._fix_text(caption).split()).lower()
        return [number for part in parts_of(text) for number in self._ids_of_part(part)]

    def count_tokens(self, caption: str) -> int:
        """The number of tokens of ``caption``, without begin and end."""
        return len(self.ids(caption))

    def windows(self, caption: str, max_token_length: int, padding: int = END_TOKEN) -> list[list[int]]:
        """Ids of ``caption``, truncated to ``max_token_length`` (75, 150 or 225) tokens, in windows of 77.

        Every window has a begin and an end token; tokens are split every 75 regardless of words, as in sd-scripts;
        ``padding`` fills a window after its end.
        """
        ids = self.ids(caption)[:max_token_length]
        windows = [ids[start:start + WINDOW] for start in range(0, max_token_length, WINDOW)]
        return [[BEGIN_TOKEN, *window, END_TOKEN, *[padding] * (WINDOW - len(window))] for window in windows]

    def _ids_of_part(self, part: str) -> list[int]:
        ids = self._known.get(part)
        if ids is None:
            signs = [_BYTE_SIGNS[byte] for byte in part.encode("utf-8", "surrogatepass")]
            signs[-1] += "</w>"
            ids = [self._numbers[piece] for piece in join_pairs(signs, self._ranks)]
            if len(self._known) < _MOST_KEPT and len(part) <= _LONGEST_KEPT:
                self._known[part] = ids
        return ids


def find_vocabulary(folder: Path | None = None) -> Path:
    """The vocabulary file in ``folder``, or in the installed open_clip or clip package, which is not imported.

    Raises ``WorkerEnvironmentError`` if there is none.
    """
    if folder is not None:
        candidates = [folder / VOCABULARY_FILE]
    else:
        candidates = [Path(place) / VOCABULARY_FILE for package in ("open_clip", "clip")
                      for place in _places_of(package)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    where = str(folder) if folder is not None else "the packages open_clip or clip"
    raise WorkerEnvironmentError(f"The tokenizer's vocabulary {VOCABULARY_FILE} was not found in {where}. "
                                 "Install open-clip-torch, which brings it.")


def parts_of(text: str) -> Iterator[str]:
    """The words, single digits and runs of punctuation of ``text``, which are encoded separately."""
    for found in _PART.finditer(text):
        part = found[0]
        if part.isalpha() or not part[0].isalnum():
            yield part
        else:
            yield from _words_and_numbers(part)


def _words_and_numbers(text: str) -> Iterator[str]:
    """Letters stay together, numbers (also ½ and Ⅷ) are split into single characters."""
    start = 0
    for index, letter in enumerate(text):
        if unicodedata.category(letter)[0] != "L":
            if start < index:
                yield text[start:index]
            yield letter
            start = index + 1
    if start < len(text):
        yield text[start:]


def join_pairs(pieces: Sequence[str], ranks: Mapping[tuple[str, str], int]) -> list[str]:
    """Repeatedly merge the pair of ``pieces`` with the lowest rank, leftmost first, until none is left.

    A merge only creates pairs of higher rank, so all pairs can wait in one heap, and the time is almost linear in the
    number of pieces.
    """
    joined = list(pieces)
    end = len(joined)
    after, before = list(range(1, end + 1)), list(range(-1, end - 1))
    waiting = [(rank, place) for place, pair in enumerate(pairwise(joined)) if (rank := ranks.get(pair)) is not None]
    heapq.heapify(waiting)
    while waiting:
        rank, place = heapq.heappop(waiting)
        other = after[place]
        if other == end or ranks.get((joined[place], joined[other])) != rank:
            continue  # one of the two is already part of a longer piece
        joined[place], joined[other] = joined[place] + joined[other], ""
        after[place] = after[other]
        if after[place] < end:
            before[after[place]] = place
        for left in (before[place], place):
            if left >= 0 and after[left] < end and (rank := ranks.get((joined[left], joined[after[left]]), -1)) >= 0:
                heapq.heappush(waiting, (rank, left))
    return [piece for piece in joined if piece]


def _places_of(package: str) -> Sequence[str]:
    spec = importlib.util.find_spec(package)
    return list(spec.submodule_search_locations or ()) if spec else []


@lru_cache(maxsize=1)  # a run and its diagnosis each have a tokenizer
def _tables(vocabulary: Path) -> tuple[Mapping[str, int], Mapping[tuple[str, str], int]]:
    """The number of each piece of a word, and the rank of each merge."""
    merges = _read_merges(vocabulary)
    letters = list(_BYTE_SIGNS.values())
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(merge) for merge in merges)]
    return {word: number for number, word in enumerate(words)}, {merge: rank for rank, merge in enumerate(merges)}


def _read_merges(vocabulary: Path) -> list[tuple[str, str]]:
    try:
        with gzip.open(vocabulary, "rt", encoding="utf-8") as file:
            lines = file.read().split("\n")
    except (OSError, EOFError, UnicodeDecodeError) as problem:
        raise WorkerEnvironmentError(f"The tokenizer's vocabulary {vocabulary} cannot be read: {reason(problem)}. "
                                     "Install open-clip-torch again.") from problem
    # the first line is a heading; CLIP uses only the first 48894 merges
    merges = [(pair[0], pair[1]) for line in lines[1:1 + _MERGES] if len(pair := line.split()) == 2]
    if len(merges) < _MERGES:
        raise WorkerEnvironmentError(f"The tokenizer's vocabulary {vocabulary} is damaged: it has {len(merges)} "
                                     f"merges instead of {_MERGES}. Install open-clip-torch again.")
    return merges


def _byte_signs() -> dict[int, str]:
    """A printable character for every byte, in the order of the vocabulary."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {**{byte: chr(byte) for byte in printable},
            **{byte: chr(256 + place) for place, byte in enumerate(others)}}


_BYTE_SIGNS = _byte_signs()
