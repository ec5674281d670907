"""Captions as tokens."""

from __future__ import annotations

import torch
from transformers import CLIPTokenizer

from tests.make_mini.vocabulary import CONTEXT


def token_ids(tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """Integers (N, 77), padded with the end token as SD 1 does."""
    return tokenizer(captions, padding="max_length", truncation=True, max_length=CONTEXT, return_tensors="pt").input_ids
