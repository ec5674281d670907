"""Parses the block weights of a LoRA in a prompt: ``<lora:penny:1:1:lbw=OUTX:x=0.5:step=5-15>``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .entries import Entries, has_x, is_number, listed, numbers_of, parse_entries
from .fit import fit
from .names import FULL_SD1
from .of_file import BlockSet

LIST_NAMES = ("lbw", "lwb", "w")
"""lora-block-weight's two names for the argument, and the guide's."""
STEP_NAMES = ("start", "stop", "step")
_RANGE = re.compile(r"(\d*)\s*-\s*(\d*)")


@dataclass(frozen=True)
class BlockSpec:
    """Block weights and sampling steps of one LoRA.

    ``weights`` has one number for each of the 26 blocks of ``FULL_SD1``. The LoRA is active from sampling step
    ``start`` (counted from 0) up to, but excluding, ``stop``; ``None`` is the end.
    """

    weights: tuple[float, ...] = (1.0,) * len(FULL_SD1)
    start: int = 0
    stop: int | None = None

    def of(self, block: str | None) -> float:
        """The weight of ``block``; 1 for the few layers outside any block."""
        return 1.0 if block is None else self.weights[FULL_SD1.index(block)]

    @property
    def stepped(self) -> bool:
        """Whether it is inactive in some steps."""
        return self.start > 0 or self.stop is not None

    def works_at(self, step: int) -> bool:
        """Whether the LoRA is active in ``step``, counted from 0."""
        return step >= self.start and (self.stop is None or step < self.stop)

    def text(self, names: Sequence[str] = FULL_SD1) -> str:
        """Everything about the blocks ``names``, in prompt syntax."""
        steps = f":step={self.start}-{'' if self.stop is None else self.stop}" if self.stepped else ""
        return listed(dict(zip(FULL_SD1, self.weights, strict=True)), names) + steps


@dataclass(frozen=True)
class LoraArguments:
    """The parsed arguments of one ``<lora:…>``.

    ``spec`` is ``None`` if neither blocks nor steps are given. ``plain`` is the part that the webui itself
    understands. ``preset`` is the name of the preset, if any. ``numbers`` is the list with X filled in, empty for
    none; until the file's blocks are known, ``spec`` assigns it to the blocks of the family with that list length.
    """

    spec: BlockSpec | None
    plain: tuple[str, ...]
    problems: tuple[str, ...] = ()
    preset: str = ""
    numbers: tuple[float, ...] = ()

    def for_file(self, blocks: BlockSet) -> LoraArguments:
        """The same for a file with ``blocks``; adaptations of the list are added to the problems."""
        if self.spec is None or not self.numbers:
            return self
        fitted = fit(self.numbers, blocks)
        spec = replace(self.spec, weights=tuple(fitted.weights.values()))
        said = (f"LoRA {self.plain[0]}: {fitted.sentence}",) if fitted.sentence else ()
        return replace(self, spec=spec, problems=self.problems + said)


def read_arguments(items: Sequence[str], presets: Mapping[str, Entries],
                   blocks: BlockSet | None = None) -> LoraArguments:
    """Parse ``<lora:items[0]:items[1]:…>``; ``blocks`` are those of its file, if known.

    The syntax of older versions, ``<lora:penny:1:OUTX:0.5>``, is accepted too. Invalid parts are skipped and reported
    in ``problems``.
    """
    named, plain = _split(items, presets)
    if not any(name in named for name in (*LIST_NAMES, *STEP_NAMES, "lbwe")):
        return LoraArguments(None, tuple(items))
    problems: list[str] = []
    given = next((named[name] for name in LIST_NAMES if name in named), None)
    numbers = _numbers(given, named, presets, problems, () if blocks is None else (len(blocks.names),))
    start, stop = _steps(named, problems)
    if "lbwe" in named:
        problems.append("lbwe= (weights of single elements) is skipped: only sd-webui-lora-block-weight knows it.")
    fitted = fit(numbers, blocks) if numbers else None
    spec = BlockSpec(BlockSpec.weights if fitted is None else tuple(fitted.weights.values()), start, stop)
    if fitted is not None and fitted.sentence:
        problems.append(fitted.sentence)
    return LoraArguments(spec, plain, tuple(f"LoRA {items[0]}: {problem}" for problem in problems),
                         _preset_name(given or "", presets) or "", numbers)


def _split(items: Sequence[str], presets: Mapping[str, Entries]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The ``name=value`` arguments, and the items that the webui understands."""
    named: dict[str, str] = {}
    plain: list[str] = list(items[:1])
    older = False
    for item in items[1:]:
        name, equals, value = (part.strip() for part in item.partition("="))
        if equals:
            named[name.lower()] = value
            plain.append(item)
        elif not is_number(item) and ("," in item or _preset_name(item.strip(), presets)):
            named.setdefault("lbw", item.strip())
            older = True
        elif older and is_number(item):
            named.setdefault("x", item.strip())
        else:
            plain.append(item)
    return named, tuple(plain)


def _numbers(given: str | None, named: Mapping[str, str], presets: Mapping[str, Entries], problems: list[str],
             counts: Sequence[int]) -> tuple[float, ...]:
    """The list in ``given``, with X filled in; empty if it is missing or invalid."""
    if given is None:
        return ()
    try:
        entries = _entries(given, presets, counts)
    except ValueError as problem:
        problems.append(f"{problem} It works with all blocks instead.")
        return ()
    return numbers_of(entries, _x(given, entries, named, problems))


def _entries(given: str, presets: Mapping[str, Entries], counts: Sequence[int]) -> Entries:
    name = _preset_name(given, presets)
    if name is not None:
        return presets[name]
    if "," not in given:
        raise ValueError(f"There is no block preset {given!r}. There are {', '.join(presets)}; more can be written in "
                         "the Train LoRA tab under Test.")
    try:
        return parse_entries(given, counts)
    except ValueError as problem:
        raise ValueError(f"Its block weights cannot be used. {problem}") from problem


def _x(given: str, entries: Entries, named: Mapping[str, str], problems: list[str]) -> float:
    if not has_x(entries):
        return 1.0
    if "x" not in named:
        problems.append(f"{given[:40]} has blocks marked X, and no x= says how strong they are, so they are 1. "
                        f"Write lbw={given[:40]}:x=0.5.")
        return 1.0
    if not is_number(named["x"]):
        problems.append(f"x={named['x']} is not a number, so the blocks marked X are 1.")
        return 1.0
    return float(named["x"])


def _steps(named: Mapping[str, str], problems: list[str]) -> tuple[int, int | None]:
    start, stop = named.get("start", ""), named.get("stop", "")
    if "step" in named:
        match = _RANGE.fullmatch(named["step"].strip())
        if match is None:
            problems.append(f"step={named['step']} is skipped: it is written step=5-15.")
        else:
            start, stop = match[1], match[2]
    whole = {"start": start, "stop": stop}
    for name, text in whole.items():
        if text and not text.isdecimal():
            problems.append(f"{name}={text} is skipped: it is a number of steps.")
            whole[name] = ""
    first, last = int(whole["start"] or 0), int(whole["stop"]) if whole["stop"] else None
    if last is not None and last <= first:
        problems.append(f"It stops at step {last} and starts at step {first}, so it has no effect.")
    return first, last


def _preset_name(text: str, presets: Mapping[str, Entries]) -> str | None:
    """The preset that ``text`` names; case matters only where both spellings exist."""
    if text in presets:
        return text
    same = [name for name in presets if name.lower() == text.lower()]
    return same[0] if len(same) == 1 else None
