"""Connects block weights and X/Y/Z plot axes to the webui of this process.

It also takes the webui's token counters out of its queue: they only count, and each would make a training run hold, or
wait for it to end.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from modules import script_callbacks, scripts

from ..blocks.presets import FILE_NAME
from .block_weights import BlockWeights, layer_strength
from .choose import host_of_this_process
from .interface import DATA_FOLDER, Host
from .parts import part
from .xyz_axes import add_axes

_COUNTERS = ("update_token_counter", "update_negative_prompt_token_counter")


def connect_generation() -> GenerationHooks:
    """Enable axes and block weights whenever the webui's UI is built. Call it while scripts are loaded."""
    hooks = GenerationHooks()
    script_callbacks.on_before_ui(hooks.connect)
    script_callbacks.on_cfg_denoiser(hooks.before_step)
    script_callbacks.on_script_unloaded(hooks.undo)
    return hooks


class GenerationHooks:
    """The patches applied to the webui; ``problem`` says which failed, empty if none did."""

    def __init__(self) -> None:
        self.problem = ""
        self._weights: BlockWeights | None = None
        self._patched: list[tuple[Any, str]] = []

    def connect(self) -> None:
        """Patch what the page is built from; if that fails, the webui starts without, and the tab reports it."""
        self.problem = ""
        try:
            self._connect()
        except Exception as problem:
            logging.getLogger(__name__).exception("Train LoRA's axes and block weights could not be added")
            self.problem = ("The axes of the X/Y/Z plot and the block weights could not be added to this webui "
                            f"({type(problem).__name__}: {problem}). Its console says more.")

    def _connect(self) -> None:
        if part("modules.patches") is not None and part("modules.ui.wrap_queued_call") is not None:
            self._patch(part("modules.ui"), "wrap_queued_call", queue_unless_counting)
        host = host_of_this_process()
        networks = sys.modules.get("networks") or _loras_of_others(host)
        if networks is None:
            return
        weights = BlockWeights(networks, host.data_dir / DATA_FOLDER / FILE_NAME)
        add_axes(scripts.scripts_data, networks, weights.presets if host.puts_block_weights else None)
        network, extra = sys.modules.get("network"), sys.modules.get("extra_networks_lora")
        if not host.puts_block_weights or network is None or extra is None:
            return
        self._weights = weights
        self._patch(network.NetworkModule, "multiplier", layer_strength)
        self._patch(extra.ExtraNetworkLora, "activate", self._weights.activate)

    def _patch(self, owner: Any, name: str, replacement: Callable[..., Any]) -> None:
        from modules import patches

        if patches.original(__name__, owner, name) is not None:
            patches.undo(__name__, owner, name)  # scripts were reloaded without notice to the previous hooks
        original: Callable[..., Any] = getattr(owner, name)
        patches.patch(__name__, owner, name, lambda *arguments: replacement(original, *arguments))
        self._patched.append((owner, name))

    def before_step(self, step: Any) -> None:
        """Called before each UNet call; ``step`` are the webui's ``CFGDenoiserParams``."""
        if self._weights is not None:
            self._weights.before_step(sampling_step(step.denoiser))

    def undo(self) -> None:
        """Undo the patches before scripts are reloaded."""
        while self._patched:
            from modules import patches  # exists, since something was patched with it

            patches.undo(__name__, *self._patched.pop())
        self._weights = None


class _LoraFolder:
    """Replaces the built-in Lora extension's list in a webui that reads LoRAs by other means."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def available_networks(self) -> dict[str, SimpleNamespace]:
        """The files that currently exist, by their names in prompts."""
        return {path.stem: SimpleNamespace(filename=str(path)) for path in self._folder.rglob("*.safetensors")}


def _loras_of_others(host: Host) -> _LoraFolder | None:
    """The LoRA files if something other than the built-in Lora extension reads ``<lora:…>``, else ``None``."""
    readers = part("modules.extra_networks.extra_network_registry") or {}
    return _LoraFolder(host.lora_dir) if "lora" in readers else None


def queue_unless_counting(original: Callable[[Any], Any], function: Any) -> Any:
    """Replaces the page's ``wrap_queued_call``: returns ``function`` unchanged if it only counts tokens."""
    return function if getattr(function, "__name__", "") in _COUNTERS else original(function)


def sampling_step(denoiser: Any) -> int:
    """The current sampling step of ``denoiser``, counted from 0; some samplers call the UNet twice per step."""
    calls_a_step = max(1, round((denoiser.total_steps or 1) / (denoiser.steps or 1)))
    return int(denoiser.step) // calls_a_step
