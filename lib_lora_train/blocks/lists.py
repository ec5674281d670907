"""Block lists of per-block training: a preset's name, or numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .entries import is_number, listed
from .fit import fit, translated
from .names import FULL_SD1, FULL_SDXL, LISTS, SHORT_SD1, SHORT_SDXL
from .of_file import BlockSet
from .presets import PRESETS


def read_blocks(text: str) -> dict[str, float] | None:
    """A number ≥ 0 for each of the 26 blocks, from a preset's name or a list of 12, 17, 20 or 26 numbers.

    A list may start with a name, as in ``OUTS:1,0,…``, so that lists of a block-weight test can be pasted; negative
    numbers are read as 0, since no block is trained backwards. ``None`` if ``text`` is empty. Raises ``ValueError`` if
    it is invalid.
    """
    text = text.strip()
    if not text:
        return None
    if text in PRESETS:
        return PRESETS[text]
    return {name: max(0.0, value) for name, value in fit(_numbers(text)).weights.items()}


def named_numbers(text: str) -> dict[str, float]:
    """The numbers of the list ``text`` by block, including negative ones; empty for a preset or an invalid list."""
    try:
        numbers = () if text.strip() in PRESETS else _numbers(text)
    except ValueError:
        return {}
    return dict(zip(LISTS[len(numbers)], numbers, strict=True)) if numbers else {}


def for_blocks(text: str, blocks: BlockSet) -> str:
    """The list ``text`` for a model with ``blocks``: SD 1.x presets become the equivalent numbers for SDXL."""
    values = PRESETS.get(text.strip())
    if values is None or not blocks.sdxl:
        return text
    return listed(translated(values, blocks.full), blocks.full)


def list_problem(text: str, blocks: Sequence[str]) -> str | None:
    """Why the list ``text`` does not fit a model with ``blocks`` (20 for SDXL, 26 for others), or ``None``.

    Presets fit all models. The sentence includes the equivalent list for that model.
    """
    is_sdxl = len(blocks) == len(FULL_SDXL)
    short, full = (SHORT_SDXL, FULL_SDXL) if is_sdxl else (SHORT_SD1, FULL_SD1)
    numbers = named_numbers(text)
    if not numbers or len(numbers) in (len(short), len(full)):
        return None
    names = full if len(numbers) in (len(FULL_SDXL), len(FULL_SD1)) else short
    return (f"It has {len(numbers)} numbers, but this checkpoint takes lists of {len(short)} or {len(full)}. For it "
            f"the list is {listed(translated(numbers, names), names)}.")


def training_list(weights: Mapping[str, float], blocks: BlockSet) -> tuple[str, list[str]]:
    """Training rates equivalent to the ``weights`` tried on a file with ``blocks``, and sentences about them.

    A block that the file does not have is not trained, as before; empty if every block of the family is at 1.
    """
    missing = [name for name in blocks.listed if name not in blocks.names]
    tried = {name: 0.0 if name in missing else weights.get(name, 1.0) for name in blocks.listed}
    sentences = rate_sentences(listed(tried, blocks.listed))
    if missing:
        sentences.append(f"The file has no {', '.join(missing)}, so {'these are' if missing[1:] else 'it is'} 0.")
    if all(value == 1 for value in tried.values()):
        return "", ["Every block is at 1, which is how a run trains without a list."]
    return listed({name: max(0.0, value) for name, value in tried.items()}, blocks.listed), sentences


def rate_sentences(text: str) -> list[str]:
    """How a list of rates treats numbers below 0 and above 1, one sentence each."""
    numbers = named_numbers(text)
    below = [name for name, value in numbers.items() if value < 0]
    above = [f"{name} at {value:g}" for name, value in numbers.items() if value > 1]
    sentences = []
    if below:
        sentences.append(f"{', '.join(below)}: a block cannot be trained backwards, so a number below 0 counts as 0, "
                         "and the block is not trained.")
    if above:
        sentences.append(f"{', '.join(above)} times the rate: blocks above 1 learn faster than the others, and burn "
                         "sooner.")
    return sentences


def _numbers(text: str) -> tuple[float, ...]:
    parts = text.rpartition(":")[2].split(",")
    if len(parts) == 1 and not is_number(parts[0]):
        raise ValueError("There is no such list. Write 17 or 26 numbers (12 or 20 for SDXL), or one of: "
                         f"{', '.join(PRESETS)}.")
    if len(parts) not in LISTS:
        raise ValueError(f"It has {len(parts)} numbers. Write 17 ({SHORT_SD1[0]}, {SHORT_SD1[1]} to {SHORT_SD1[-1]}) "
                         f"or 26 ({FULL_SD1[0]}, {FULL_SD1[1]} to {FULL_SD1[-1]}), for SDXL 12 ({SHORT_SDXL[0]}, "
                         f"{SHORT_SDXL[1]} to {SHORT_SDXL[-1]}) or 20 ({FULL_SDXL[0]}, {FULL_SDXL[1]} to "
                         f"{FULL_SDXL[-1]}).")
    wrong = next((part.strip() for part in parts if not is_number(part)), None)
    if wrong is not None:
        raise ValueError(f"{wrong!r} is not a number. Write one for each block, without X, R or U.")
    return tuple(map(float, parts))
