"""How many tokens a caption has: counted where CLIP's vocabulary is installed, and estimated elsewhere."""

from __future__ import annotations

import math

from ..errors import WorkerEnvironmentError
from ..models.tokenizer import Tokenizer, parts_of

_LETTERS_A_TOKEN = 6


class TokenCounter:
    """Counts tokens; ``exact`` says whether with CLIP's tokenizer or by estimate."""

    def __init__(self, tokenizer: Tokenizer | None) -> None:
        self.exact = tokenizer is not None
        self._tokenizer = tokenizer

    @classmethod
    def of_this_machine(cls) -> TokenCounter:
        """With the tokenizer, if the packages that it needs are installed here (the webui brings them)."""
        try:
            return cls(Tokenizer.load())
        except WorkerEnvironmentError:
            return cls(None)

    def count(self, text: str) -> int:
        """The tokens of ``text``, the start and end tokens not counted."""
        if self._tokenizer is not None:
            return self._tokenizer.count_tokens(text)
        return sum(_estimate(part) for part in parts_of(" ".join(text.lower().split())))


def _estimate(part: str) -> int:
    if not part[0].isalpha():
        return 1
    return math.ceil(len(part) / _LETTERS_A_TOKEN) if part.isascii() else len(part)
