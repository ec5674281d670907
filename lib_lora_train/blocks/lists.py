"""Lists of a number for each block, as block weights and per-block training have them.

``BASE`` is the text encoder, ``IN00`` to ``IN11`` go down, ``M00`` is the middle, ``OUT00`` to ``OUT11`` go up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FULL_SD1 = ("BASE", *(f"IN{n:02d}" for n in range(12)), "M00", *(f"OUT{n:02d}" for n in range(12)))
"""All 26 blocks, the list for networks that also hold convolutions."""
SHORT_SD1 = ("BASE", *(f"IN{n:02d}" for n in (1, 2, 4, 5, 7, 8)), "M00", *(f"OUT{n:02d}" for n in range(3, 12)))
"""The 17 blocks that have attention, the list for LoRA-LierLa."""
FULL_SDXL = ("BASE", *(f"IN{n:02d}" for n in range(9)), "M00", *(f"OUT{n:02d}" for n in range(9)))
"""The 20 blocks of SDXL."""
SHORT_SDXL = ("BASE", *(f"IN{n:02d}" for n in (4, 5, 7, 8)), "M00", *(f"OUT{n:02d}" for n in range(6)))
"""The 12 blocks of SDXL that have attention."""

LISTS = {len(names): names for names in (SHORT_SDXL, SHORT_SD1, FULL_SDXL, FULL_SD1)}


def _blocks(base: float, inner: Mapping[range, float], middle: float, outer: Mapping[range, float]) -> dict[str, float]:
    values = dict.fromkeys(FULL_SD1, 0.0) | {"BASE": base, "M00": middle}
    for side, parts in (("IN", inner), ("OUT", outer)):
        for numbers, value in parts.items():
            values |= {f"{side}{number:02d}": value for number in numbers}
    return values


_ALL, _NONE = range(12), range(0)
PRESETS: dict[str, dict[str, float]] = {
    "style: OUT": _blocks(1, {_ALL: 0.2}, 0.2, {_ALL: 1}),
    "concept: IN": _blocks(1, {_ALL: 1}, 1, {_ALL: 0.2}),
    "skin only": _blocks(1, {_NONE: 0}, 0, {_ALL: 1}),
    "posture only": _blocks(1, {_ALL: 1}, 0, {_NONE: 0}),
    "eyes and face": _blocks(1, {_NONE: 0}, 0, {range(4, 7): 1}),
    "INS": _blocks(1, {range(5): 1}, 0, {_NONE: 0}),
    "IND": _blocks(1, {range(5, 12): 1}, 0, {_NONE: 0}),
    "INALL": _blocks(1, {_ALL: 1}, 0, {_NONE: 0}),
    "MIDD": _blocks(1, {range(5, 12): 1}, 1, {range(7): 1}),
    "OUTD": _blocks(1, {_NONE: 0}, 0, {range(7): 1}),
    "OUTS": _blocks(1, {_NONE: 0}, 0, {range(7, 12): 1}),
    "OUTALL": _blocks(1, {_NONE: 0}, 0, {_ALL: 1}),
}
"""The guide's (section Weighted training) and those that lora-block-weight brings, over all 26 blocks."""


def read_blocks(text: str) -> dict[str, float] | None:
    """A number for each of the 26 blocks from a preset's name, or from a list of 12, 17, 20 or 26 numbers.

    A list may have a name before it, as in ``OUTS:1,0,…``, so that a block-weight test's can be pasted. Blocks that a
    short list has no place for are 0. ``None`` if ``text`` is empty. Raises ``ValueError`` with a sentence that says
    what is wrong with it.
    """
    text = text.strip()
    if not text:
        return None
    if text in PRESETS:
        return PRESETS[text]
    entries = [entry.strip() for entry in text.rpartition(":")[2].split(",")]
    if len(entries) == 1 and not _is_number(entries[0]):
        raise ValueError("There is no such list. Write 17 or 26 numbers (12 or 20 for SDXL), or one of: "
                         f"{', '.join(PRESETS)}.")
    if len(entries) not in LISTS:
        raise ValueError(f"It has {len(entries)} numbers. Write 17 ({SHORT_SD1[0]}, {SHORT_SD1[1]} to {SHORT_SD1[-1]}) "
                         f"or 26 ({FULL_SD1[0]}, {FULL_SD1[1]} to {FULL_SD1[-1]}), for SDXL 12 ({SHORT_SDXL[0]}, "
                         f"{SHORT_SDXL[1]} to {SHORT_SDXL[-1]}) or 20 ({FULL_SDXL[0]}, {FULL_SDXL[1]} to "
                         f"{FULL_SDXL[-1]}).")
    wrong = next((entry for entry in entries if not _is_number(entry)), None)
    if wrong is not None:
        raise ValueError(f"{wrong!r} is no number from 0 up. Write one for each block, without X, R or U.")
    return dict.fromkeys(FULL_SD1, 0.0) | {name: float(entry) for name, entry
                                           in zip(LISTS[len(entries)], entries, strict=True)}


def list_problem(text: str, blocks: Sequence[str]) -> str | None:
    """Why the list ``text`` is not one for a model that has ``blocks`` (20 for SDXL, 26 for others), or ``None``.

    A list by name is for all of them; blocks that a model does not have are passed over.
    """
    entries = text.rpartition(":")[2].split(",")
    is_sdxl = len(blocks) == len(FULL_SDXL)
    fitting = (SHORT_SDXL, FULL_SDXL) if is_sdxl else (SHORT_SD1, FULL_SD1)
    if len(entries) == 1 or len(entries) in map(len, fitting):
        return None
    wanted = " or ".join(str(len(names)) for names in fitting)
    return f"It has {len(entries)} numbers, but this checkpoint takes lists of {wanted}."


def _is_number(text: str) -> bool:
    try:
        return 0 <= float(text) < float("inf")
    except ValueError:
        return False
