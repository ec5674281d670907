"""Imports sample prompts in sd-scripts' format: one per line, ``#`` for comments, options at the end of a line."""

from __future__ import annotations

import re

from ..sample_prompt import read_prompt
from .taking import Option, Taking

_OPTION = re.compile(r"\s--(?=[A-Za-z]+(?:\s|$))")
_READ = ("n", "w", "h", "d", "s", "l")
_MOST_PROMPTS = 100


def read_prompts(taking: Taking, option: Option, text: str) -> None:
    """Import the prompts of ``text``; unsupported options are removed and reported."""
    lines, notes = [], []
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            kept, note = _readable(line.strip())
            lines.append(kept)
            notes += note
    if len(lines) > _MOST_PROMPTS:
        notes.append(f"Only the first {_MOST_PROMPTS} of {len(lines)} prompts are taken.")
    taking.take(option, {"sample.sample_prompts": lines[:_MOST_PROMPTS]}, " ".join(dict.fromkeys(notes)))
    taking.values |= {"sample.cfg_scale": 7.5, "sample.sample_steps": 30, "sample.sample_width": 512,
                      "sample.sample_height": 512}


def _readable(line: str) -> tuple[str, list[str]]:
    prompt, *options = _OPTION.split(line)
    kept, notes = [prompt], []
    for one in options:
        name = one.partition(" ")[0]
        try:
            if name.lower() not in _READ:
                raise ValueError(f"--{name} in a sample prompt is not read here.")
            read_prompt(f"{prompt} --{one}")
            kept.append(one)
        except ValueError as problem:
            notes.append(f"Removed from a prompt: {problem}")
    return " --".join(kept), notes
