"""CLIP's tokenizer from its vocabulary file, as the files that transformers reads. Standard library only."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

VOCABULARY = 49408
CONTEXT = 77
WIDTH = 64
"""Channels of every UNet level, and width of the text encoder (one head of 64, as in every CLIP that SD uses)."""
START, END = "<|startoftext|>", "<|endoftext|>"
PRINTABLE = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256))]
"""The bytes that stand for themselves; the others are written as the letters from 256 on (GPT-2's encoder)."""

TEXT_CONFIG = {
    "architectures": ["CLIPTextModel"], "model_type": "clip_text_model",
    "vocab_size": VOCABULARY, "hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "projection_dim": WIDTH,
    "num_hidden_layers": 12, "num_attention_heads": 1, "max_position_embeddings": CONTEXT, "hidden_act": "quick_gelu",
    "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407,
}
"""CLIP ViT-L's text tower, 64 wide."""


def write_text_folder(bpe: Path, folder: Path) -> None:
    """Write tokenizer files and text config where `cond_stage_config.params.version` of a YAML may point to.

    `bpe` is `bpe_simple_vocab_16e6.txt.gz`; its first line is a heading, and CLIP uses the next 48,894 merges.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = gzip.decompress(bpe.read_bytes()).decode("utf-8").split("\n")
    merges = lines[1 : VOCABULARY - 512 - 2 + 1]
    letters = [*PRINTABLE, *(chr(256 + number) for number in range(256 - len(PRINTABLE)))]
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
    _write(folder / "config.json", json.dumps(TEXT_CONFIG, indent=2))


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
