"""Connects block weights and the axes of X/Y/Z plots with the webui that this runs in.

It also takes the webui's token counters out of its queue: they only count, and each would make a training stand still,
or wait for it to end.
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
    """Have axes and block weights work whenever the webui's UI stands. Call it while scripts are loaded."""
    hooks = GenerationHooks()
    script_callbacks.on_before_ui(hooks.connect)
    script_callbacks.on_cfg_denoiser(hooks.before_step)
    script_callbacks.on_script_unloaded(hooks.undo)
    return hooks


class GenerationHooks:
    """What has been put into the webui; ``problem`` says what could not be, empty if all could."""

    def __init__(self) -> None:
        self.problem = ""
        self._weights: BlockWeights | None = None
        self._patched: list[tuple[Any, str]] = []

    def connect(self) -> None:
        """Patch what the page is about to be built of; if that fails, the webui starts without, and the tab says so."""
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
            patches.undo(__name__, owner, name)  # scripts were loaded anew without a word to those before
        original: Callable[..., Any] = getattr(owner, name)
        patches.patch(__name__, owner, name, lambda *arguments: replacement(original, *arguments))
        self._patched.append((owner, name))

    def before_step(self, step: Any) -> None:
        """Called before each UNet call; ``step`` are the webui's ``CFGDenoiserParams``."""
        if self._weights is not None:
            self._weights.before_step(sampling_step(step.denoiser))

    def undo(self) -> None:
        """Undo the patches before scripts are loaded again."""
        while self._patched:
            from modules import patches  # there, since something was patched with it

            patches.undo(__name__, *self._patched.pop())
        self._weights = None


class _LoraFolder:
    """Stands for the built-in Lora extension's list where a webui reads LoRAs by other means."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def available_networks(self) -> dict[str, SimpleNamespace]:
        """The files that are there now, by the names that a prompt calls."""
        return {path.stem: SimpleNamespace(filename=str(path)) for path in self._folder.rglob("*.safetensors")}


def _loras_of_others(host: Host) -> _LoraFolder | None:
    """The LoRA files where something else than the built-in Lora extension reads ``<lora:…>``, else ``None``."""
    readers = part("modules.extra_networks.extra_network_registry") or {}
    return _LoraFolder(host.lora_dir) if "lora" in readers else None


def queue_unless_counting(original: Callable[[Any], Any], function: Any) -> Any:
    """In place of the page's ``wrap_queued_call``: ``function`` as it is if it only counts tokens."""
    return function if getattr(function, "__name__", "") in _COUNTERS else original(function)


def sampling_step(denoiser: Any) -> int:
    """The sampling step that ``denoiser`` is in, counted from 0; some samplers ask the UNet twice in a step."""
    calls_a_step = max(1, round((denoiser.total_steps or 1) / (denoiser.steps or 1)))
    return int(denoiser.step) // calls_a_step
