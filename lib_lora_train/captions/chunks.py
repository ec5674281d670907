"""Where CLIP's chunks of 75 tokens end in a caption, between words or inside one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..models.tokenizer import WINDOW


@dataclass(frozen=True)
class Framing:
    """The prefix and suffix that training adds to a caption, and the keep-tokens separator, which is not trained."""

    prefix: str = ""
    suffix: str = ""
    mark: str = ""


@dataclass(frozen=True)
class ChunkEnd:
    """The end of a chunk, after ``tokens`` tokens, at the character ``at`` of the line; ``cut`` if inside a word."""

    tokens: int
    at: int
    cut: bool


class CaptionTokens:
    """The tokens of a caption as trained without shuffling."""

    def __init__(self, line: str, separator: str, framing: Framing, count: Callable[[str], int]) -> None:
        self._line, self._separator, self._framing, self._count = line, separator, framing, count

    @property
    def total(self) -> int:
        """The number of tokens of the whole caption, including prefix and suffix."""
        return self._count(" ".join(part for part in (self._trained(len(self._line)), self._framing.suffix.strip())
                                    if part))

    def of_tags(self) -> list[tuple[int, int]]:
        """For each tag in order, the number of tokens before it and up to its end.

        No token spans a blank, so counts are summed from tag to tag where a blank separates them.
        """
        places = tag_places(self._line, self._separator)
        found: list[tuple[int, int]] = []
        begins, before = 0, 0
        for start, end in places:
            if before and self._line[start - 1].isspace():
                begins += self._count(self._without_mark(self._line[before:start]))
            else:
                begins = self._count(self._trained(start))
            found.append((begins, begins + self._count(self._without_mark(self._line[start:end]))))
            before = start
        return found

    def chunk_ends(self) -> list[ChunkEnd]:
        """The end of every chunk but the last."""
        total = self.total
        if total <= WINDOW:
            return []
        ends = []
        words = _words(self._line)
        for tokens in range(WINDOW, total, WINDOW):
            place = self._first_beyond(words, tokens)
            if place is not None:
                start = words[place][0]
                ends.append(ChunkEnd(tokens, start, self._count(self._trained(start)) < tokens))
        return ends

    def _first_beyond(self, words: list[tuple[int, int]], tokens: int) -> int | None:
        """The first word that extends beyond ``tokens``, by bisection: more words never have fewer tokens."""
        low, high = 0, len(words)
        while low < high:
            middle = (low + high) // 2
            if self._count(self._trained(words[middle][1])) > tokens:
                high = middle
            else:
                low = middle + 1
        return low if low < len(words) else None

    def _trained(self, end: int) -> str:
        """The first ``end`` characters of the caption as trained, including the prefix."""
        line = self._without_mark(self._line[:end])
        return " ".join(part for part in (self._framing.prefix.strip(), line) if part)

    def _without_mark(self, text: str) -> str:
        mark = self._framing.mark
        return text.replace(mark, f"{self._separator.strip()} ") if mark else text


def tag_places(line: str, separator: str) -> list[tuple[int, int]]:
    """The start and end of each tag of ``line``, without surrounding blanks, in the order of ``split_tags``."""
    places = []
    start = 0
    for raw in line.split(separator):
        tag = raw.strip()
        if tag:
            begin = start + len(raw) - len(raw.lstrip())
            places.append((begin, begin + len(tag)))
        start += len(raw) + len(separator)
    return places


def _words(line: str) -> list[tuple[int, int]]:
    return [(begin, begin + len(word)) for begin, word in _split_at_blanks(line)]


def _split_at_blanks(line: str) -> list[tuple[int, str]]:
    found = []
    place = 0
    for word in line.split():
        place = line.index(word, place)
        found.append((place, word))
        place += len(word)
    return found
