"""How many tokens a caption has, without the text encoder's own library.

The vocabulary is the one that ``open_clip`` brings (the webui has it installed); without it the number is an estimate.
The way of counting is CLIP's (Radford et al. 2021; ``simple_tokenizer.py`` of openai/CLIP, MIT).
"""

from __future__ import annotations

import gzip
import heapq
import importlib.util
import math
import re
from itertools import pairwise
from pathlib import Path

TOKENS_A_CHUNK = 75
_VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
_MERGES = 49152 - 256 - 2
_PART = re.compile(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+", re.IGNORECASE)
_LETTERS_A_TOKEN = 6
_LONGEST_KEPT = 200


class TokenCounter:
    """Counts tokens; ``exact`` tells whether with CLIP's vocabulary or by estimate. Built once, it is quick."""

    def __init__(self, vocabulary: Path | None) -> None:
        self.exact = vocabulary is not None
        self._ranks = {} if vocabulary is None else _ranks(vocabulary)
        self._known: dict[str, int] = {}

    def count(self, text: str) -> int:
        """The tokens of ``text``, the start and end tokens not counted."""
        return sum(self._count_part(part) for part in _PART.findall(" ".join(text.lower().split())))

    def _count_part(self, part: str) -> int:
        count = self._known.get(part)
        if count is None:
            count = self._pairs(part) if self.exact else _estimate(part)
            if len(self._known) < 200_000 and len(part) <= _LONGEST_KEPT:
                self._known[part] = count
        return count

    def _pairs(self, part: str) -> int:
        """Join the pair of pieces that was learned first, the leftmost of several, until there is none left to join.

        A pair that a joint makes was learned later than the pair joined, so all of them can wait in one heap.
        """
        pieces = [_BYTE_SIGNS[byte] for byte in part.encode("utf-8")]
        pieces[-1] += "</w>"
        end = len(pieces)
        after, before = list(range(1, end + 1)), list(range(-1, end - 1))
        waiting = [(rank, place) for place, pair in enumerate(pairwise(pieces))
                   if (rank := self._ranks.get(pair)) is not None]
        heapq.heapify(waiting)
        count = end
        while waiting:
            rank, place = heapq.heappop(waiting)
            other = after[place]
            if other == end or self._ranks.get((pieces[place], pieces[other])) != rank:
                continue  # one of the two is a part of something longer by now
            pieces[place], pieces[other] = pieces[place] + pieces[other], ""
            after[place] = after[other]
            if after[place] < end:
                before[after[place]] = place
            count -= 1
            for left in (before[place], place):
                if left >= 0 and after[left] < end \
                        and (rank := self._ranks.get((pieces[left], pieces[after[left]]), -1)) >= 0:
                    heapq.heappush(waiting, (rank, left))
        return count


def find_vocabulary(*elsewhere: Path) -> Path | None:
    """Where open_clip keeps CLIP's vocabulary, without importing it; ``None`` if it isn't installed.

    ``elsewhere`` are further folders that packages are installed in.
    """
    found = importlib.util.find_spec("open_clip")
    folders = [Path(folder) for folder in (found.submodule_search_locations or ())] if found is not None else []
    files = [folder / _VOCABULARY for folder in [*folders, *(place / "open_clip" for place in elsewhere)]]
    return next((file for file in files if file.is_file()), None)


def _ranks(vocabulary: Path) -> dict[tuple[str, str], int]:
    lines = gzip.decompress(vocabulary.read_bytes()).decode("utf-8").split("\n")[1:_MERGES + 1]
    pairs = (line.split() for line in lines)
    return {(pair[0], pair[1]): rank for rank, pair in enumerate(pairs)}


def _estimate(part: str) -> int:
    if not part[0].isalpha():
        return 1
    return math.ceil(len(part) / _LETTERS_A_TOKEN) if part.isascii() else len(part)


def _byte_signs() -> dict[int, str]:
    """A printable sign for every byte, as the vocabulary is written."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {**{byte: chr(byte) for byte in printable},
            **{byte: chr(256 + place) for place, byte in enumerate(others)}}


_BYTE_SIGNS = _byte_signs()
