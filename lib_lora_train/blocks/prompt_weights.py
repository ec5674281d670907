"""What a prompt says of a LoRA's blocks: ``<lora:penny:1:1:lbw=OUTX:x=0.5:step=5-15>``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .lists import FULL_SD1
from .presets import Entries, listed, parse_entries, weights_of

LIST_NAMES = ("lbw", "lwb", "w")
"""lora-block-weight's two names for it, and the one that the guide has."""
STEP_NAMES = ("start", "stop", "step")
_RANGE = re.compile(r"(\d*)\s*-\s*(\d*)")


@dataclass(frozen=True)
class BlockSpec:
    """Weights and steps of one LoRA.

    ``weights`` has one number for each of the 26 blocks of ``FULL_SD1``. The LoRA works in the sampling steps from
    ``start`` (counted from 0: so many steps go without it) up to, but without, ``stop``; ``None`` is the last.
    """

    weights: tuple[float, ...] = (1.0,) * len(FULL_SD1)
    start: int = 0
    stop: int | None = None

    def of(self, block: str | None) -> float:
        """The weight of ``block``; 1 for the few layers that are in none."""
        return 1.0 if block is None else self.weights[FULL_SD1.index(block)]

    @property
    def stepped(self) -> bool:
        """Whether it does not work in every step."""
        return self.start > 0 or self.stop is not None

    def works_at(self, step: int) -> bool:
        """Whether the LoRA works in ``step``, counted from 0."""
        return step >= self.start and (self.stop is None or step < self.stop)

    @property
    def text(self) -> str:
        """All that it says, in the spelling of prompts."""
        steps = f":step={self.start}-{'' if self.stop is None else self.stop}" if self.stepped else ""
        return listed(dict(zip(FULL_SD1, self.weights, strict=True)), FULL_SD1) + steps


@dataclass(frozen=True)
class LoraArguments:
    """The parts of one ``<lora:…>``, told apart.

    ``spec`` is ``None`` where nothing is said of blocks or steps. ``plain`` is what the webui itself understands.
    ``preset`` is the name of the preset, if one was named.
    """

    spec: BlockSpec | None
    plain: tuple[str, ...]
    problems: tuple[str, ...] = ()
    preset: str = ""


def read_arguments(items: Sequence[str], presets: Mapping[str, Entries]) -> LoraArguments:
    """Tell the parts of ``<lora:items[0]:items[1]:…>`` apart.

    Besides the named spelling there is that of older versions, ``<lora:penny:1:OUTX:0.5>``. Whatever cannot be used
    is left out, and a sentence in ``problems`` says so.
    """
    named, plain = _split(items, presets)
    if not any(name in named for name in (*LIST_NAMES, *STEP_NAMES, "lbwe")):
        return LoraArguments(None, tuple(items))
    problems: list[str] = []
    given = next((named[name] for name in LIST_NAMES if name in named), None)
    spec = _spec_of(given, named, presets, problems)
    if "lbwe" in named:
        problems.append("lbwe= (weights of single elements) is left out: only sd-webui-lora-block-weight knows it.")
    return LoraArguments(spec, plain, tuple(f"LoRA {items[0]}: {problem}" for problem in problems),
                         _preset_name(given or "", presets) or "")


def _split(items: Sequence[str], presets: Mapping[str, Entries]) -> tuple[dict[str, str], tuple[str, ...]]:
    """What is named ``name=value``, and the items that the webui understands."""
    named: dict[str, str] = {}
    plain: list[str] = list(items[:1])
    older = False
    for item in items[1:]:
        name, equals, value = (part.strip() for part in item.partition("="))
        if equals:
            named[name.lower()] = value
            plain.append(item)
        elif not _is_number(item) and ("," in item or _preset_name(item.strip(), presets)):
            named.setdefault("lbw", item.strip())
            older = True
        elif older and _is_number(item):
            named.setdefault("x", item.strip())
        else:
            plain.append(item)
    return named, tuple(plain)


def _spec_of(given: str | None, named: Mapping[str, str], presets: Mapping[str, Entries],
             problems: list[str]) -> BlockSpec:
    weights = BlockSpec.weights
    if given is not None:
        try:
            entries = _entries(given, presets)
        except ValueError as problem:
            problems.append(f"{problem} It works with all blocks instead.")
        else:
            weights = tuple(weights_of(entries, _x(given, entries, named, problems)).values())
    start, stop = _steps(named, problems)
    return BlockSpec(weights, start, stop)


def _entries(given: str, presets: Mapping[str, Entries]) -> Entries:
    name = _preset_name(given, presets)
    if name is not None:
        return presets[name]
    if "," not in given:
        raise ValueError(f"There is no block preset {given!r}. There are {', '.join(presets)}; more can be written in "
                         "the Train LoRA tab under Test.")
    try:
        return parse_entries(given)
    except ValueError as problem:
        raise ValueError(f"Its block weights cannot be used. {problem}") from problem


def _x(given: str, entries: Entries, named: Mapping[str, str], problems: list[str]) -> float:
    if not any(entry.startswith("X") for entry in entries):
        return 1.0
    if "x" not in named:
        problems.append(f"{given[:40]} has blocks marked X, and no x= says how strong they are, so they are 1. "
                        f"Write lbw={given[:40]}:x=0.5.")
        return 1.0
    if not _is_number(named["x"]):
        problems.append(f"x={named['x']} is no number, so the blocks marked X are 1.")
        return 1.0
    return float(named["x"])


def _steps(named: Mapping[str, str], problems: list[str]) -> tuple[int, int | None]:
    start, stop = named.get("start", ""), named.get("stop", "")
    if "step" in named:
        match = _RANGE.fullmatch(named["step"].strip())
        if match is None:
            problems.append(f"step={named['step']} is left out: it is written step=5-15.")
        else:
            start, stop = match[1], match[2]
    whole = {"start": start, "stop": stop}
    for name, text in whole.items():
        if text and not text.isdecimal():
            problems.append(f"{name}={text} is left out: it is a number of steps.")
            whole[name] = ""
    first, last = int(whole["start"] or 0), int(whole["stop"]) if whole["stop"] else None
    if last is not None and last <= first:
        problems.append(f"It stops at step {last} and starts at step {first}, so it never works.")
    return first, last


def _preset_name(text: str, presets: Mapping[str, Entries]) -> str | None:
    """The preset that ``text`` names; upper and lower case count only where both exist."""
    if text in presets:
        return text
    same = [name for name in presets if name.lower() == text.lower()]
    return same[0] if len(same) == 1 else None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)", text.strip()) is not None
