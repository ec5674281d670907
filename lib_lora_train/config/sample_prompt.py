"""Parses sample prompts with options in sd-scripts' format: ``penny --n blurry --w 512 --h 768 --s 20``."""

from __future__ import annotations

import re
from dataclasses import dataclass

_OPTION = re.compile(r"\s--(?=[A-Za-z]+(?:\s|$))")
_NUMBERS = {"w": ("width", 64, 4096), "h": ("height", 64, 4096), "d": ("seed", 0, 4294967295), "s": ("steps", 1, 150)}
_LEAST_SCALE, _MOST_SCALE = 1.0, 30.0


@dataclass(frozen=True)
class SamplePrompt:
    """The prompt's text and its own options; ``None`` uses the sample settings.

    ``width`` and ``height`` are in pixels.
    """

    text: str
    negative: str | None = None
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    steps: int | None = None
    cfg_scale: float | None = None


def read_prompt(line: str) -> SamplePrompt:
    """Parse ``line``: ``--n`` negative prompt, ``--w`` width, ``--h`` height, ``--d`` seed, ``--s`` steps, ``--l`` CFG
    scale (sd-scripts, ``line_to_prompt_dict``). Raises ``ValueError`` for invalid options.
    """
    text, *options = _OPTION.split(" " + line)
    given: dict[str, str | int | float] = {}
    for option in options:
        name, _, value = option.partition(" ")
        given.update(_read_option(name.lower(), value.strip()))
    return SamplePrompt(text.strip(), **given)  # type: ignore[arg-type]


def prompt_text(line: str) -> str:
    """``line`` without its options, valid or not."""
    return _OPTION.split(" " + line)[0].strip()


def _read_option(name: str, value: str) -> dict[str, str | int | float]:
    if name == "n":
        return {"negative": value}
    if name == "l":
        try:
            scale = float(value)
        except ValueError:
            scale = 0.0
        if not _LEAST_SCALE <= scale <= _MOST_SCALE:
            raise ValueError(f"--l is {value!r}. It has to be a number from {_LEAST_SCALE:g} to {_MOST_SCALE:g}.")
        return {"cfg_scale": scale}
    if name not in _NUMBERS:
        raise ValueError(f"--{name} is not an option that is read. There are: --n, --w, --h, --d, --s, --l.")
    field, lowest, highest = _NUMBERS[name]
    if not (value.isascii() and value.isdigit() and lowest <= int(value) <= highest):
        raise ValueError(f"--{name} is {value!r}. It has to be a whole number from {lowest} to {highest}.")
    return {field: int(value)}
