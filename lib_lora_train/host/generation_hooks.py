"""Connects block weights and the axes of X/Y/Z plots with the webui that this runs in.

It also takes the webui's token counters out of its queue: they only count, and each would make a training stand still,
or wait for it to end.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modules import patches, paths, script_callbacks, scripts, ui

from ..blocks.presets import FILE_NAME
from .block_weights import BlockWeights, layer_strength
from .interface import DATA_FOLDER
from .xyz_axes import add_axes

_COUNTERS = ("update_token_counter", "update_negative_prompt_token_counter")


def connect_generation() -> None:
    """Have block weights work whenever the webui's UI stands. Call it while scripts are loaded."""
    hooks = _Hooks()
    script_callbacks.on_before_ui(hooks.connect)
    script_callbacks.on_cfg_denoiser(hooks.before_step)
    script_callbacks.on_script_unloaded(hooks.undo)


class _Hooks:
    def __init__(self) -> None:
        self._weights: BlockWeights | None = None
        self._patched: list[tuple[Any, str]] = []

    def connect(self) -> None:
        """Patch what the page is about to be built of, and the built-in Lora extension where it is the webui's own."""
        self._patch(ui, "wrap_queued_call", queue_unless_counting)
        networks, network, extra = (sys.modules.get(name) for name in ("networks", "network", "extra_networks_lora"))
        if networks is None or importlib.util.find_spec("modules_forge"):
            return
        weights = BlockWeights(networks, Path(paths.data_path).absolute() / DATA_FOLDER / FILE_NAME)
        add_axes(scripts.scripts_data, networks, weights.presets)
        if network is None or extra is None:
            return
        self._weights = weights
        self._patch(network.NetworkModule, "multiplier", layer_strength)
        self._patch(extra.ExtraNetworkLora, "activate", self._weights.activate)

    def _patch(self, owner: Any, name: str, replacement: Callable[..., Any]) -> None:
        if patches.original(__name__, owner, name) is not None:
            patches.undo(__name__, owner, name)  # scripts were loaded anew without a word to those before
        original: Callable[..., Any] = getattr(owner, name)
        patches.patch(__name__, owner, name, lambda *arguments: replacement(original, *arguments))
        self._patched.append((owner, name))

    def before_step(self, step: Any) -> None:
        """The webui is about to ask the UNet; ``step`` are its ``CFGDenoiserParams``."""
        if self._weights is not None:
            self._weights.before_step(sampling_step(step.denoiser))

    def undo(self) -> None:
        """Put back what was patched, as scripts are loaded anew."""
        while self._patched:
            patches.undo(__name__, *self._patched.pop())
        self._weights = None


def queue_unless_counting(original: Callable[[Any], Any], function: Any) -> Any:
    """In place of the page's ``wrap_queued_call``: ``function`` as it is if it only counts tokens."""
    return function if getattr(function, "__name__", "") in _COUNTERS else original(function)


def sampling_step(denoiser: Any) -> int:
    """The sampling step that ``denoiser`` is in, counted from 0; some samplers ask the UNet twice in a step."""
    calls_a_step = max(1, round((denoiser.total_steps or 1) / (denoiser.steps or 1)))
    return int(denoiser.step) // calls_a_step
