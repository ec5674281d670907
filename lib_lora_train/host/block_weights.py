"""Block weights at generation: the strength of each layer of a LoRA, by block.

The webui's built-in Lora extension adds ``multiplier() · change`` to each layer when it next runs, and does so again
when the tuple of names and strengths of the LoRAs has changed. So it is enough to pass a strength that carries the
block weights and is equal only to one with the same weights: every kind of network, bias and factor goes through
``multiplier()``, no file is read again, and without block weights the results are identical.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..blocks.entries import Entries
from ..blocks.names import FULL_SD1, block_of
from ..blocks.of_file import BlockSet, blocks_of_keys
from ..blocks.presets import DEFAULT_TEXT, parse_presets, read_text
from ..blocks.prompt_weights import BlockSpec, LoraArguments, read_arguments
from ..errors import ConfigError

_RESOLVED = "blk="  # not part of any syntax that lora-block-weight looks for
_OTHER = "lora_block_weight"
_INFOTEXT = "Block weights"
STANDS_DOWN = ("Block weights in the prompt are left to sd-webui-lora-block-weight, which is active. It does not know "
               "the spelling lwb=; write lbw=.")


class BlockStrength(float):
    """A LoRA's strength with block weights. Equal only to one that changes layers in the same way."""

    spec: BlockSpec
    working: bool

    def __new__(cls, strength: float, spec: BlockSpec, working: bool) -> BlockStrength:
        """``strength`` where the weights are 1; ``working``: whether the sampling step is one of ``spec``'s."""
        made = super().__new__(cls, strength)
        made.spec, made.working = spec, working
        return made

    def of(self, layer: str) -> float:
        """The factor on the change of ``layer``."""
        return float(self) * self.spec.of(block_of(layer)) if self.working else 0.0

    def at(self, step: int) -> BlockStrength:
        """The strength in sampling step ``step``, counted from 0."""
        working = self.spec.works_at(step)
        return self if working == self.working else BlockStrength(float(self), self.spec, working)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BlockStrength) and (float(self), self.spec, self.working) == (
            float(other), other.spec, other.working)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((float(self), self.spec, self.working))


class BlockWeights:
    """Adds block weights to the strengths of the LoRAs that the webui has just activated.

    ``networks`` is the built-in Lora extension's module; ``presets_file`` contains the user's presets.
    """

    def __init__(self, networks: Any, presets_file: Path) -> None:
        self._networks = networks
        self._presets_file = presets_file
        self._said = False

    def activate(self, original: Callable[[Any, Any, list[Any]], None], extra: Any, p: Any,
                 parameters: list[Any]) -> None:
        """Replaces ``ExtraNetworkLora.activate``, whose ``original`` is called with the arguments it understands."""
        p.extra_generation_params.pop(_INFOTEXT, None)  # an X/Y/Z plot shares one dictionary among all its images
        presets = self._presets(p) if parameters else {}
        read = [read_arguments([str(item) for item in one.items], presets) for one in parameters]
        if all(arguments.spec is None for arguments in read):
            original(extra, p, parameters)
            return
        if other_is_active(p):
            self._say_once(p)
            original(extra, p, parameters)
            return
        original(extra, p, [_for_webui(one, arguments) for one, arguments in zip(parameters, read, strict=True)])
        blocks = self._blocks()
        read = [arguments.for_file(blocks[name]) if (name := arguments.plain[0]) in blocks else arguments
                for arguments in read]
        self._apply(read)
        _report(p, parameters, read, blocks)

    def presets(self) -> dict[str, Entries]:
        """The presets currently on disk. Raises ``ConfigError``."""
        return parse_presets(read_text(self._presets_file))[0]

    def _presets(self, p: Any) -> dict[str, Entries]:
        try:
            return self.presets()
        except ConfigError as problem:
            _say(p, f"{problem} Until then only those that come with Train LoRA are known.")
            return parse_presets(DEFAULT_TEXT)[0]

    def _blocks(self) -> dict[str, BlockSet]:
        """The blocks of each loaded LoRA, by its name: those of the layers that the webui changes with it."""
        found = {network.name: blocks_of_keys(module.sd_key for module in network.modules.values())
                 for network in self._networks.loaded_networks}
        return {name: blocks for name, blocks in found.items() if blocks.names}

    def _apply(self, read: Sequence[LoraArguments]) -> None:
        specs = {arguments.plain[0]: arguments.spec for arguments in read if arguments.spec is not None}
        for network in self._networks.loaded_networks:
            spec = specs.pop(network.name, None)
            if spec is not None:
                network.te_multiplier *= spec.of("BASE")
                network.unet_multiplier = BlockStrength(network.unet_multiplier, spec, spec.works_at(0))

    def _say_once(self, p: Any) -> None:
        if not self._said:
            _say(p, STANDS_DOWN)
        self._said = True

    def before_step(self, step: int) -> None:
        """Switch LoRAs that are active only in some sampling steps on or off; ``step`` is counted from 0."""
        for network in self._networks.loaded_networks:
            strength = network.unet_multiplier
            if isinstance(strength, BlockStrength) and strength.spec.stepped:
                network.unet_multiplier = strength.at(step)


def layer_strength(original: Callable[[Any], float], module: Any) -> float:
    """Replaces ``NetworkModule.multiplier``."""
    strength = original(module)
    return strength.of(module.sd_key) if isinstance(strength, BlockStrength) else strength


def other_is_active(p: Any) -> bool:
    """Whether sd-webui-lora-block-weight is installed and its "Active" is ticked for the image ``p``."""
    for script in getattr(p.scripts, "alwayson_scripts", ()):
        if Path(script.filename).stem == _OTHER:
            arguments = p.script_args[script.args_from:script.args_to]
            return len(arguments) > 1 and bool(arguments[1])  # its presets come first, then "Active"
    return False


def _for_webui(one: Any, arguments: LoraArguments) -> Any:
    return one if arguments.plain == tuple(one.items) else type(one)(items=list(arguments.plain))


def _say(p: Any, text: str) -> None:
    p.comment(text)
    logging.getLogger(__name__).warning(text)


def _report(p: Any, parameters: Sequence[Any], read: Sequence[LoraArguments], blocks: Mapping[str, BlockSet]) -> None:
    """Report what could not be used, and add the weights to the image's infotext and the webui's cache."""
    for one, arguments in zip(parameters, read, strict=True):
        for problem in arguments.problems:
            _say(p, problem)
        if arguments.spec is not None:
            kept = [item for item in one.items if not str(item).startswith(_RESOLVED)]
            one.items[:] = [*kept, _RESOLVED + arguments.spec.text()]
    named = [f"{one.plain[0]} {one.preset} = {one.spec.text(_names(blocks.get(one.plain[0])))}"
             for one in read if one.preset and one.spec]
    if named:
        p.extra_generation_params[_INFOTEXT] = "; ".join(named)


def _names(blocks: BlockSet | None) -> Sequence[str]:
    return FULL_SD1 if blocks is None else blocks.listed
