"""Edits the ``<lora:…>`` of a prompt: another epoch, strength or block weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence

from .entries import Entries, listed
from .names import FULL_SD1
from .of_file import BlockSet
from .prompt_weights import LIST_NAMES, BlockSpec, read_arguments

_TAG = re.compile(r"<(lora|lyco):([^<>]+)>")
_EPOCH = re.compile(r"-(\d{6}|step\d{8})$")
_OF_BLOCKS = (*LIST_NAMES, "x")


def family_of(name: str) -> str:
    """The name shared by all files of a run: ``penny`` for ``penny-000004`` and ``penny-step00001000``."""
    return _EPOCH.sub("", name)


def epoch_order(name: str) -> tuple[int, str]:
    """Sort key for the files of a run: by epoch, by step, the final file last."""
    match = _EPOCH.search(name)
    return (2, "") if match is None else (1 if match[1].startswith("step") else 0, match[1])


def has_lora(prompt: str) -> bool:
    """Whether ``prompt`` contains a LoRA."""
    return _TAG.search(prompt) is not None


def with_file(prompt: str, families: Collection[str], name: str | None) -> str:
    """``prompt`` with its LoRA of the same ``families`` replaced by ``name``, which is appended if there is none.

    Without a ``name`` the LoRA is removed, and the rest of the text is unchanged.
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
    """``prompt`` with other strengths for its first LoRA; ``None`` keeps that part's strength."""
    def change(items: Sequence[str]) -> Sequence[str]:
        numbers, named, rest = _strengths(items[1:])
        te_now = _number(named.get("te", numbers[0] if numbers else "1"))
        unet_now = _number(named["unet"] if "unet" in named else numbers[1] if len(numbers) > 1 else f"{te_now}")
        if te_now is None or unet_now is None:
            return items
        te = te_now if text_encoder is None else text_encoder
        return [items[0], f"{te:g}", f"{unet_now if unet is None else unet:g}",
                *(f"dyn={number}" for number in numbers[2:3]), *rest]

    return _first(prompt, change)


def with_blocks(prompt: str, blocks: str) -> str:
    """``prompt`` with ``blocks`` (a preset's name or a list) for its first LoRA; empty removes them."""
    def change(items: Sequence[str]) -> list[str]:
        kept = [item for item in items[1:]
                if item.partition("=")[0] not in LIST_NAMES and ("=" in item or _number(item) is not None)]
        return [items[0], *(kept or ["1"]), *([f"lbw={blocks}"] if blocks else [])]

    return _first(prompt, change)


def with_block(prompt: str, block: str, weight: float, presets: Mapping[str, Entries],
               blocks: BlockSet | None = None) -> str:
    """``prompt`` with ``weight`` for one ``block`` of its first LoRA; the others keep theirs.

    ``blocks`` are those of the LoRA's file, which determine the list that is written; the 26 of SD 1.x if unknown.
    """
    names = FULL_SD1 if blocks is None else blocks.listed

    def change(items: Sequence[str]) -> list[str]:
        read = read_arguments(items, presets, blocks)
        weights = dict(zip(FULL_SD1, (read.spec or BlockSpec()).weights, strict=True)) | {block: weight}
        kept = [item for item in read.plain[1:] if item.partition("=")[0] not in _OF_BLOCKS]
        return [items[0], *(kept or ["1"]), f"lbw={listed(weights, names)}"]

    return _first(prompt, change)


def first_lora(prompt: str) -> str | None:
    """The name of the first LoRA in ``prompt``."""
    match = _TAG.search(prompt)
    return match[2].split(":")[0].strip() if match else None


def _strengths(items: Sequence[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """Positional numbers, ``te=`` and ``unet=``, and everything else, with the older ``OUTX:0.5`` kept in one piece."""
    numbers: list[str] = []
    named: dict[str, str] = {}
    rest: list[str] = []
    older = False
    for item in items:
        name, equals, value = item.partition("=")
        if equals and name in ("te", "unet"):
            named[name] = value
        elif not equals and not older and _number(item) is not None:
            numbers.append(item)
        else:
            older = older or not equals
            rest.append(item)
    return numbers, named, rest


def _first(prompt: str, change: Callable[[Sequence[str]], Sequence[str]]) -> str:
    return _TAG.sub(lambda match: f"<{match[1]}:{':'.join(change(match[2].split(':')))}>", prompt, count=1)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
