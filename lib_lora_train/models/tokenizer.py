"""CLIP's tokenizer, built from the vocabulary that ships inside the open_clip package; nothing is fetched."""

from __future__ import annotations

import gzip
import importlib.util
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import ftfy
import torch
from torch import Tensor
from transformers import CLIPTokenizer
from transformers.models.clip.tokenization_clip import bytes_to_unicode

from ..errors import WorkerEnvironmentError
from ..files.reading import reason
from .family import BEGIN_TOKEN, END_TOKEN

VOCABULARY_FILE = "bpe_simple_vocab_16e6.txt.gz"
WINDOW = 75
"""Tokens of a caption in one window of the text encoder, beside its begin and end."""
_MERGES = 49152 - 256 - 2


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


def _places_of(package: str) -> Sequence[str]:
    spec = importlib.util.find_spec(package)
    return list(spec.submodule_search_locations or ()) if spec else []


class Tokenizer:
    """Captions to token ids in windows of 77: begin, 75 tokens, end."""

    def __init__(self, vocabulary: Path) -> None:
        """Read the BPE merges of ``vocabulary``. Raises ``WorkerEnvironmentError`` if it is damaged."""
        merges = _read_merges(vocabulary)
        letters = list(bytes_to_unicode().values())
        words = letters + [letter + "</w>" for letter in letters] + ["".join(merge.split()) for merge in merges]
        words += ["<|startoftext|>", "<|endoftext|>"]
        with tempfile.TemporaryDirectory() as folder:
            ids, pairs = Path(folder) / "vocab.json", Path(folder) / "merges.txt"
            ids.write_text(json.dumps({word: number for number, word in enumerate(words)}), encoding="utf-8")
            pairs.write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
            self._clip = CLIPTokenizer(str(ids), str(pairs), unk_token="<|endoftext|>", bos_token="<|startoftext|>",
                                       eos_token="<|endoftext|>", pad_token="<|endoftext|>")
        # without ftfy the tokenizer would quietly read Chinese or Japanese otherwise than the webui
        self._clip.fix_text = ftfy.fix_text

    @classmethod
    def load(cls, folder: Path | None = None) -> Tokenizer:
        """The tokenizer from the vocabulary in ``folder``, or else in an installed package.

        Raises ``WorkerEnvironmentError`` if there is none.
        """
        return cls(find_vocabulary(folder))

    def ids(self, caption: str) -> list[int]:
        """Token ids of ``caption`` without begin and end, however many they are."""
        return list(self._clip(caption, add_special_tokens=False, verbose=False)["input_ids"])

    def count_tokens(self, caption: str) -> int:
        """How many tokens ``caption`` has, without begin and end."""
        return len(self.ids(caption))

    def tokenize(self, captions: Sequence[str], max_token_length: int, padding: int = END_TOKEN) -> Tensor:
        """Ids of ``captions``, cut after ``max_token_length`` (75, 150 or 225) tokens and filled up with ``padding``.

        Returns int64 (captions, max_token_length / 75, 77). Every window is wrapped in begin and end, the tokens
        themselves are split blindly every 75, as sd-scripts does; what fills a window up stands behind its end.
        """
        return torch.tensor([self._windows(caption, max_token_length, padding) for caption in captions],
                            dtype=torch.long).view(len(captions), max_token_length // WINDOW, WINDOW + 2)

    def _windows(self, caption: str, max_token_length: int, padding: int) -> list[list[int]]:
        ids = self.ids(caption)[:max_token_length]
        windows = [ids[start:start + WINDOW] for start in range(0, max_token_length, WINDOW)]
        return [[BEGIN_TOKEN, *window, END_TOKEN, *[padding] * (WINDOW - len(window))] for window in windows]


def _read_merges(vocabulary: Path) -> list[str]:
    try:
        with gzip.open(vocabulary, "rt", encoding="utf-8") as file:
            lines = file.read().split("\n")
    except (OSError, EOFError, UnicodeDecodeError) as problem:
        raise WorkerEnvironmentError(f"The tokenizer's vocabulary {vocabulary} cannot be read: {reason(problem)}. "
                                     "Install open-clip-torch again.") from problem
    merges = lines[1:1 + _MERGES]  # the first line is a heading; CLIP uses only the first 48894 merges
    if len(merges) < _MERGES or any(len(merge.split()) != 2 for merge in merges):
        raise WorkerEnvironmentError(f"The tokenizer's vocabulary {vocabulary} is damaged: it has {len(merges)} "
                                     f"merges instead of {_MERGES}. Install open-clip-torch again.")
    return merges
