"""The number of tokens in a caption: exact where CLIP's vocabulary is installed, otherwise an estimate."""

from __future__ import annotations

import math

from ..errors import WorkerEnvironmentError
from ..models.tokenizer import Tokenizer, parts_of

_LETTERS_A_TOKEN = 6


class TokenCounter:
    """Counts tokens; ``exact`` if with CLIP's tokenizer, else by estimate."""

    def __init__(self, tokenizer: Tokenizer | None) -> None:
        self.exact = tokenizer is not None
        self._tokenizer = tokenizer

    @classmethod
    def of_this_machine(cls) -> TokenCounter:
        """A counter with the tokenizer, if the packages that it needs are installed (the webui brings them)."""
        try:
            return cls(Tokenizer.load())
        except WorkerEnvironmentError:
            return cls(None)

    def count(self, text: str) -> int:
        """The number of tokens of ``text``, without start and end tokens."""
        if self._tokenizer is not None:
            return self._tokenizer.count_tokens(text)
        return sum(_estimate(part) for part in parts_of(" ".join(text.lower().split())))


def _estimate(part: str) -> int:
    if not part[0].isalpha():
        return 1
    return math.ceil(len(part) / _LETTERS_A_TOKEN) if part.isascii() else len(part)
