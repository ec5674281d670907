"""The axes that Train LoRA adds to the webui's own X/Y/Z plot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..blocks.entries import Entries
from ..blocks.lora_tag import (
    epoch_order,
    family_of,
    first_lora,
    has_lora,
    with_block,
    with_blocks,
    with_file,
    with_strength,
)
from ..blocks.names import FULL_SD1
from ..blocks.of_file import BlockSet
from .file_blocks import FileBlocks
from .interface import AXIS_PREFIX, BLOCK, EPOCH, PRESET, STRENGTH, TEXT, UNET, WITHOUT

_COST_OF_FILE = 0.5  # read again; below the webui's VAE (0.7) and checkpoint (1)
_COST_OF_TEXT = 0.3  # the prompt is encoded again and every layer is changed
_COST_OF_LAYERS = 0.2
_PLOT = "xyz_grid.py"

Apply = Callable[[Any, Any, Sequence[Any]], None]
Confirm = Callable[[Any, Sequence[Any]], None]
Choices = Callable[[], list[str]]


def add_axes(scripts_data: Iterable[Any], networks: Any,
             presets: Callable[[], Mapping[str, Entries]] | None) -> None:
    """Add the axes to the built-in script, once. ``networks`` is the built-in Lora extension's module.

    The axes of block weights are omitted without ``presets``, when block weights are not applied to LoRAs.
    """
    plot = next((data.module for data in scripts_data if data.script_class.__module__ == _PLOT), None)
    if plot is None or any(option.label == EPOCH for option in plot.axis_options):
        return

    def axis(label: str, kind: type, apply: Apply, cost: float, confirm: Confirm | None = None,
             choices: Choices | None = None) -> None:
        plot.axis_options.append(plot.AxisOption(
            label, kind, apply, format_value=_heading, confirm=confirm, cost=cost, choices=choices))

    axis(EPOCH, str, apply_epoch, _COST_OF_FILE, _confirm_files(networks), lambda: epochs_to_choose(networks))
    axis(STRENGTH, float, lambda p, x, _: _rewrite(p, lambda text: with_strength(text, x, x)), _COST_OF_TEXT)
    axis(UNET, float, lambda p, x, _: _rewrite(p, lambda text: with_strength(text, unet=x)), _COST_OF_LAYERS)
    axis(TEXT, float, lambda p, x, _: _rewrite(p, lambda text: with_strength(text, text_encoder=x)), _COST_OF_TEXT)
    if presets is None:
        return
    axis(PRESET, str, lambda p, x, _: _rewrite(p, lambda text: with_blocks(text, "" if x == WITHOUT else x)),
         _COST_OF_LAYERS, _confirm_presets(presets), lambda: [WITHOUT, *presets()])
    files = FileBlocks(networks)
    axis(BLOCK, str, lambda p, x, _: _rewrite(p, lambda text: with_block(
        text, *block_and_weight(x), presets(), files.of_prompt(text))),
         _COST_OF_LAYERS, _confirm_blocks(files), lambda: [f"{block}:0" for block in files.to_choose()])


def apply_epoch(p: Any, name: str, names: Sequence[str]) -> None:
    """Replace other files of the run in the prompt with ``name``; ``None`` removes them."""
    families = {family_of(other) for other in names if other != WITHOUT}
    wanted = None if name == WITHOUT else name
    p.prompt = with_file(p.prompt, families if wanted is None else {family_of(wanted)}, wanted)
    if getattr(p, "hr_prompt", ""):
        p.hr_prompt = with_file(p.hr_prompt, families if wanted is None else {family_of(wanted)}, wanted)
    p.train_lora_without = wanted is None


def epochs_to_choose(networks: Any) -> list[str]:
    """``None`` and every file with several epochs, the run with the newest file first."""
    families: dict[str, list[str]] = {}
    known = dict(networks.available_networks)  # the list may change meanwhile
    for name in known:
        families.setdefault(family_of(name), []).append(name)
    several = [names for names in families.values() if len(names) > 1]
    several.sort(key=lambda names: -max(_changed(known[name].filename) for name in names))
    return [WITHOUT, *(name for names in several for name in sorted(names, key=epoch_order))]


def block_and_weight(text: str) -> tuple[str, float]:
    """Split ``IN04:0.5``. Raises ``RuntimeError``, as the plot expects it, if it has another form."""
    block, _, weight = (part.strip() for part in text.replace("=", ":").partition(":"))
    try:
        number = float(weight)
    except ValueError:
        number = None
    if block.upper() not in FULL_SD1 or number is None:
        raise RuntimeError(f"{text!r} is not a block with a weight. Write IN04:0.5; "
                           f"the blocks are {', '.join(FULL_SD1)}.")
    return block.upper(), number


def _rewrite(p: Any, change: Callable[[str], str]) -> None:
    if not has_lora(p.prompt):
        if not getattr(p, "train_lora_without", False):
            p.comment("There is no <lora:…> in the prompt whose strength or blocks the plot could change.")
        return
    p.prompt = change(p.prompt)
    if getattr(p, "hr_prompt", ""):
        p.hr_prompt = change(p.hr_prompt)


def _confirm_files(networks: Any) -> Confirm:
    def confirm(_: Any, names: Sequence[str]) -> None:
        missing = [name for name in names if name != WITHOUT and name not in networks.available_networks]
        if missing:
            raise RuntimeError(f"There is no LoRA file {', '.join(missing)}. Refresh the list of LoRAs, or choose "
                               "from the ones there are.")
    return confirm


def _confirm_presets(presets: Callable[[], Mapping[str, Entries]]) -> Confirm:
    def confirm(_: Any, names: Sequence[str]) -> None:
        known = presets()
        missing = [name for name in names if name != WITHOUT and name not in known]
        if missing:
            raise RuntimeError(f"There is no block preset {', '.join(missing)}. There are {', '.join(known)}.")
    return confirm


def _confirm_blocks(files: FileBlocks) -> Confirm:
    """Rejects unknown blocks, and blocks that the LoRA in the prompt does not have."""
    def confirm(p: Any, values: Sequence[str]) -> None:
        blocks = [block_and_weight(value)[0] for value in values]
        known: BlockSet | None = files.of_prompt(p.prompt)
        missing = [block for block in blocks if known is not None and block not in known.names]
        if known is not None and missing:
            raise RuntimeError(f"{first_lora(p.prompt)} has no block {', '.join(missing)}. It has "
                               f"{', '.join(known.names)}.")
    return confirm


def _heading(_: Any, option: Any, value: Any) -> str:
    if option.label == EPOCH:
        return "without LoRA" if value == WITHOUT else str(value)
    name = option.label.removeprefix(AXIS_PREFIX)
    if option.label == BLOCK:
        return "{} = {:g}".format(*block_and_weight(value))
    return f"{name}: {round(value, 8) if isinstance(value, float) else value}"


def _changed(file: str) -> float:
    try:
        return Path(file).stat().st_mtime
    except OSError:
        return 0.0
