"""The blocks of the LoRA files that the webui knows by name."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from ..blocks.lora_tag import first_lora
from ..blocks.names import SHORT_SD1, SHORT_SDXL
from ..blocks.of_file import BlockSet, blocks_of_file, blocks_of_keys
from ..errors import CheckpointError


class FileBlocks:
    """Reads a file's header once per change. ``networks`` is the built-in Lora extension's module."""

    def __init__(self, networks: Any) -> None:
        self._networks = networks
        self._known: dict[tuple[str, int, int], BlockSet | None] = {}

    def of_prompt(self, prompt: str) -> BlockSet | None:
        """The blocks of the first LoRA in ``prompt``; ``None`` if there is none, or its file does not reveal them."""
        name = first_lora(prompt)
        if name is None:
            return None
        aliases = getattr(self._networks, "available_network_aliases", {})
        entry = self._networks.available_networks.get(name) or aliases.get(name)
        return None if entry is None else self._of_file(Path(entry.filename))

    def to_choose(self) -> tuple[str, ...]:
        """The blocks of the most recently used LoRA, else those with attention in the loaded model's family."""
        for network in getattr(self._networks, "loaded_networks", ()):
            blocks = blocks_of_keys(module.sd_key for module in getattr(network, "modules", {}).values())
            if blocks.names:
                return blocks.names
        return SHORT_SDXL if _model_is_sdxl() else SHORT_SD1

    def _of_file(self, path: Path) -> BlockSet | None:
        try:
            state = path.stat()
        except OSError:
            return None  # the webui itself reports that the file is gone
        key = (str(path), state.st_mtime_ns, state.st_size)
        if key not in self._known:
            try:
                blocks: BlockSet | None = blocks_of_file(path)
            except CheckpointError as problem:
                logging.getLogger(__name__).warning("%s Its blocks are taken for those of SD 1.x.", problem)
                blocks = None
            self._known[key] = blocks if blocks is not None and blocks.names else None
        return self._known[key]


def _model_is_sdxl() -> bool:
    from modules import sd_models

    return bool(getattr(sd_models.model_data.sd_model, "is_sdxl", False))
