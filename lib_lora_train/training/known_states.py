"""Captions encoded once before the first step, so that no text encoder has to stay in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..models.text_states import TextStates


class KnownStates:
    """States of captions for each length that a batch may request, on the CPU."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], TextStates] = {}

    def keep(self, captions: Sequence[str], lengths: Sequence[int],
             encode: Callable[[Sequence[str], int], TextStates], progress: Callable[[int, int], None]) -> None:
        """Encode each of ``captions`` for each of ``lengths`` (75, 150, 225) that is still missing.

        ``progress(done, total)`` is called after each; exceptions from it end the work.
        """
        wanted = [(caption, length) for caption in dict.fromkeys(captions) for length in lengths]
        cpu = torch.device("cpu")
        for done, (caption, length) in enumerate(wanted, start=1):
            if (caption, length) not in self._held:
                self._held[caption, length] = encode([caption], length).to(cpu)
            progress(done, len(wanted))

    def __contains__(self, caption: str) -> bool:
        """Whether ``caption`` is encoded."""
        return any(known == caption for known, _ in self._held)

    def batch(self, captions: Sequence[str], length: int, device: torch.device) -> TextStates:
        """States of ``captions`` over ``length`` tokens on ``device``. Raises ``KeyError`` if one is missing."""
        states = [self._held[caption, length] for caption in captions]
        pooled = [state.pooled for state in states if state.pooled is not None]
        hidden = torch.cat([state.hidden for state in states])
        return TextStates(hidden, _joined(pooled)).to(device)

def _joined(pooled: Sequence[Tensor]) -> Tensor | None:
    return torch.cat(list(pooled)) if pooled else None
