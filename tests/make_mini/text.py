"""CLIP's tokenizer from the vocabulary inside the open-clip-torch package, as the files that transformers reads."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import torch
from transformers import CLIPTokenizer
from transformers.models.clip.tokenization_clip import bytes_to_unicode

from tests.make_mini.networks import CONTEXT, VOCABULARY, text_config

START, END = "<|startoftext|>", "<|endoftext|>"


def write_text_folder(bpe: Path, folder: Path) -> None:
    """Write tokenizer files and text config where `cond_stage_config.params.version` of a YAML may point to.

    `bpe` is `bpe_simple_vocab_16e6.txt.gz`; its first line is a heading, and CLIP uses the next 48,894 merges.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = gzip.decompress(bpe.read_bytes()).decode("utf-8").split("\n")
    merges = lines[1 : VOCABULARY - 512 - 2 + 1]
    letters = list(bytes_to_unicode().values())
    words = (
        letters + [f"{letter}</w>" for letter in letters] + [merge.replace(" ", "") for merge in merges] + [START, END]
    )
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": CONTEXT,
        "do_lower_case": True,
        "bos_token": START,
        "eos_token": END,
        "unk_token": END,
        "pad_token": END,
    }
    _write(folder / "vocab.json", json.dumps({word: index for index, word in enumerate(words)}, ensure_ascii=False))
    _write(folder / "merges.txt", "\n".join(["#version: 0.2", *merges, ""]))
    _write(folder / "tokenizer_config.json", json.dumps(settings, indent=2))
    text_config().save_pretrained(folder)


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


def token_ids(tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """Integers (N, 77), padded with the end token as SD 1 does."""
    return tokenizer(captions, padding="max_length", truncation=True, max_length=CONTEXT, return_tensors="pt").input_ids
