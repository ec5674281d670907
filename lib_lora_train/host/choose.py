"""Detects the webui by its parts, since forks share names, version strings and folders."""

from __future__ import annotations

from pathlib import Path

from .interface import Host
from .parts import missing_parts, part

_WEBUI_PARTS = {
    "modules.sd_models": ("model_data", "send_model_to_cpu", "send_model_to_device", "checkpoints_list",
                          "checkpoint_aliases"),
    "modules.sd_models.model_data": ("loaded_sd_models", "lock"),
    "modules.sd_vae": ("vae_dict", "loaded_vae_file"),
    "modules.call_queue.queue_lock": ("acquire", "release"),
    "modules.devices": ("device", "torch_gc"),
    "modules.shared": ("opts", "cmd_opts", "interrogator"),
}
"""The parts that ``Webui`` uses to move and lend the model."""
_MEMORY_PARTS = ("current_loaded_models", "unload_all_models", "soft_empty_cache")
_THREAD_PARTS = {"modules_forge.main_thread": ("run_and_wait_result",)}
_FORGE_PARTS = {"backend.memory_management": _MEMORY_PARTS,
                "modules.sd_models.model_data": ("forge_loading_parameters",)}
_REFORGE_PARTS = {"ldm_patched.modules.model_management": _MEMORY_PARTS}
"""The parts that ``Forge`` and ``ReForge`` use: Forge's thread, and the module that manages the GPU's memory."""


def host_of_this_process() -> Host:
    """The host for the webui of this process; for an unknown mix of parts, one that does not touch models and memory.

    Raises ``ImportError`` if even the modules ``paths`` and ``shared`` are missing.
    """
    lacks = _lacks_of_forge() if _came_from_forge() else missing_parts(_WEBUI_PARTS)
    if lacks:
        from .unknown import UnknownWebui

        return UnknownWebui(f"it has no {', '.join(lacks)}")
    if not _came_from_forge():
        from .webui import Webui

        return Webui()
    from .forge import Forge, ReForge

    return ReForge() if missing_parts(_FORGE_PARTS) else Forge()


def _came_from_forge() -> bool:
    """Whether ``modules_forge`` contains code; git leaves an empty folder of that name when branches are switched."""
    package = part("modules_forge")
    folders = getattr(package, "__path__", None)
    return package is not None and (folders is None or any(any(Path(folder).glob("*.py")) for folder in folders))


def _lacks_of_forge() -> list[str]:
    """The parts it lacks to be Forge or reForge; empty if it is one of them."""
    lacks = missing_parts(_THREAD_PARTS)
    forge, reforge = missing_parts(_FORGE_PARTS), missing_parts(_REFORGE_PARTS)
    return [*lacks, *forge, *reforge] if forge and reforge else lacks
