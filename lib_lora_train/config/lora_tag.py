"""Changing the ``<lora:…>`` of a prompt: another epoch, another strength, other block weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence

from .block_presets import Entries, listed
from .block_weights import LIST_NAMES, BlockSpec, read_arguments
from .blocks import FULL_SD1

_TAG = re.compile(r"<(lora|lyco):([^<>]+)>")
_EPOCH = re.compile(r"-(\d{6}|step\d{8})$")
_OF_BLOCKS = (*LIST_NAMES, "x")


def family_of(name: str) -> str:
    """The name that all files of a run share: ``penny`` for ``penny-000004`` and ``penny-step00001000``."""
    return _EPOCH.sub("", name)


def epoch_order(name: str) -> tuple[int, str]:
    """Sorts the files of a run: by epoch, by step, the last file at the end."""
    match = _EPOCH.search(name)
    return (2, "") if match is None else (1 if match[1].startswith("step") else 0, match[1])


def has_lora(prompt: str) -> bool:
    """Whether a LoRA is called in ``prompt``."""
    return _TAG.search(prompt) is not None


def with_file(prompt: str, families: Collection[str], name: str | None) -> str:
    """``prompt`` with ``name`` in place of the file of the same ``families`` that it calls, or behind all if none is.

    Without a ``name`` the call goes, and every other letter stays.
    """
    found = False

    def replace(match: re.Match[str]) -> str:
        nonlocal found
        items = match[2].split(":")
        if family_of(items[0]) not in families:
            return match[0]
        found = True
        return "" if name is None else f"<{match[1]}:{':'.join([name, *items[1:]])}>"

    changed = _TAG.sub(replace, prompt)
    return changed if found or name is None else f"{changed} <lora:{name}:1>"


def with_strength(prompt: str, unet: float | None = None, text_encoder: float | None = None) -> str:
    """``prompt`` with other strengths for the first LoRA that it calls; ``None`` leaves that part as it is."""
    def change(items: Sequence[str]) -> list[str]:
        numbers = [item for item in items[1:] if _number(item) is not None]
        named = dict(item.split("=", 1) for item in items[1:] if item.count("=") == 1)
        rest = [item for item in items[1:] if item not in numbers and item.partition("=")[0] not in ("te", "unet")]
        older = len(rest) and "=" not in rest[0]  # <lora:penny:1:OUTX:0.5>, whose last number is x
        count = items[1:].index(rest[0]) if older else len(numbers)
        te_now = _number(named.get("te", "")) if "te" in named else _number(numbers[0]) if count else 1.0
        unet_now = _number(named.get("unet", "")) if "unet" in named else _number(numbers[1]) if count > 1 else te_now
        te, un = (now if wanted is None else wanted
                  for wanted, now in ((text_encoder, te_now), (unet, unet_now)))
        tail = [f"dyn={numbers[2]}"] if count > 2 else []
        return [items[0], f"{te:g}", f"{un:g}", *tail, *rest, *(numbers[count:] if older else [])]

    return _first(prompt, change)


def with_blocks(prompt: str, blocks: str) -> str:
    """``prompt`` with ``blocks`` (a preset's name or a list) for the first LoRA that it calls; empty for none."""
    def change(items: Sequence[str]) -> list[str]:
        kept = [item for item in items[1:]
                if item.partition("=")[0] not in LIST_NAMES and ("=" in item or _number(item) is not None)]
        return [items[0], *(kept or ["1"]), *([f"lbw={blocks}"] if blocks else [])]

    return _first(prompt, change)


def with_block(prompt: str, block: str, weight: float, presets: Mapping[str, Entries]) -> str:
    """``prompt`` with ``weight`` for one ``block`` of the first LoRA that it calls; the others keep theirs."""
    def change(items: Sequence[str]) -> list[str]:
        read = read_arguments(items, presets)
        weights = dict(zip(FULL_SD1, (read.spec or BlockSpec()).weights, strict=True)) | {block: weight}
        kept = [item for item in read.plain[1:] if item.partition("=")[0] not in _OF_BLOCKS]
        return [items[0], *(kept or ["1"]), f"lbw={listed(weights, FULL_SD1)}"]

    return _first(prompt, change)


def _first(prompt: str, change: Callable[[Sequence[str]], Sequence[str]]) -> str:
    return _TAG.sub(lambda match: f"<{match[1]}:{':'.join(change(match[2].split(':')))}>", prompt, count=1)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
