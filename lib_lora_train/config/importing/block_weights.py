"""Converts per-block rates, dims and alphas of sd-scripts networks to block lists."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from ...blocks.names import FULL_SD1, FULL_SDXL
from .taking import Option, Taking

_RATES = ("down_lr_weight", "mid_lr_weight", "up_lr_weight")
_SIZES = {"block_dims": "network_dim", "block_alphas": "network_alpha"}
_CONV = {"conv_block_dims": "conv_dim", "conv_block_alphas": "conv_alpha"}
_SDXL_NUMBERS, _SDXL_MIDDLE = 23, 3  # sd-scripts counts the embedding, three middle layers and the output


def take_block_lists(arguments: Mapping[str, Option], taking: Taking, sdxl: bool) -> frozenset[str]:
    """Convert the arguments that hold one number per block; returns their names."""
    _take_rates(arguments, taking, sdxl)
    for name, size in _SIZES.items():
        _take_sizes(arguments.get(name), f"network.{name}", taking.values.get(f"network.{size}"), taking)
    for name, size in _CONV.items():
        _take_conv(arguments.get(name), f"network.{size}", taking)
    return frozenset((*_RATES, "block_lr_zero_threshold", *_SIZES, *_CONV))


def _take_rates(arguments: Mapping[str, Option], taking: Taking, sdxl: bool) -> None:
    threshold_option = arguments.get("block_lr_zero_threshold")
    given = [arguments[name] for name in _RATES if name in arguments and arguments[name].value]
    if not given:
        for name in (*_RATES, "block_lr_zero_threshold"):
            if name in arguments:
                taking.not_needed(arguments[name], "No block has a rate of its own.")
        return
    count = (len(FULL_SDXL if sdxl else FULL_SD1) - 2) // 2
    try:
        threshold = float(threshold_option.value or 0) if threshold_option else 0.0
        down, middle, up = (_rates(arguments.get(name), size) for name, size in zip(
            _RATES, (count, _SDXL_MIDDLE if sdxl else 1, count), strict=True))
    except ValueError as problem:
        for option in given:
            taking.drop(option, f"It cannot be read: {problem}")
        return
    numbers = [1.0, *_cut(down, threshold), *_cut(middle[:1], threshold), *_cut(up, threshold)]
    text = ",".join(f"{number:g}" for number in numbers)
    value = " ".join(f"{option.shown.rsplit(' ', 1)[-1]}={option.value}" for option in given)
    why = "" if len(set(middle)) == 1 else "The middle block has one rate here, that of its first layer."
    shown = given[0].shown.rpartition(" ")[0] or "block weights"
    taking.take(Option(shown, value), {"network.block_lr_weight": text}, why)
    if threshold_option is not None:
        taking.not_needed(threshold_option, "Rates below it are 0 in the list.")


def _cut(rates: Sequence[float], threshold: float) -> list[float]:
    return [rate if rate > threshold else 0.0 for rate in rates]


def _rates(option: Option | None, count: int) -> list[float]:
    """``count`` rates from numbers or a curve such as ``sine+.25``; missing ones are 1."""
    text = "" if option is None else str(option.value).strip()
    name, _, base = text.partition("+")
    if name in _CURVES:
        last = max(count - 1, 1)
        return [_CURVES[name](place / last) + float(base or 0) for place in range(count)]
    numbers = [float(part) for part in text.split(",") if part.strip()]
    return (numbers + [1.0] * count)[:count]


_CURVES: dict[str, Callable[[float], float]] = {
    "sine": lambda share: math.sin(math.pi * share / 2), "cosine": lambda share: math.sin(math.pi * (1 - share) / 2),
    "linear": lambda share: share, "reverse_linear": lambda share: 1 - share, "zeros": lambda share: 0.0}


def _take_sizes(option: Option | None, key: str, base: float | None, taking: Taking) -> None:
    if option is None:
        return
    if option.is_off:
        taking.not_needed(option, "No block has a size of its own.")
        return
    parts = [part.strip() for part in str(option.value).split(",")]
    why = ""
    if len(parts) == _SDXL_NUMBERS:
        middle = parts[10:13]
        parts = [*parts[1:10], middle[0], *parts[13:22]]
        if len(set(middle)) > 1:
            why = "The middle block has one number here, that of its first layer."
    if len(parts) + 1 not in (len(FULL_SD1), len(FULL_SDXL)):
        taking.drop(option, f"It has {len(parts)} numbers; sd-scripts takes 25, or 23 for SDXL.")
        return
    taking.take(option, {key: ",".join([f"{base or 1:g}", *parts])}, why)


def _take_conv(option: Option | None, key: str, taking: Taking) -> None:
    if option is None:
        return
    numbers = {part.strip() for part in str(option.value).split(",") if part.strip()}
    if option.is_off or not numbers:
        taking.not_needed(option, "No block has a size of its own.")
    elif len(numbers) == 1:
        taking.take(option, {key: numbers.pop()})
    else:
        taking.drop(option, "Convolutions have one size for all blocks here.")
