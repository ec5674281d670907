"""What the tab asks of the webui it lives in. A1111, Forge and the tests' stand-in fulfil it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..runs.supervisor import Lease

DATA_FOLDER = "lora_train"
"""The folder of ours in the webui's data folder."""


@dataclass(frozen=True)
class ModelFile:
    """A checkpoint or VAE: the title that the webui shows for it, and its file."""

    title: str
    path: Path


@dataclass(frozen=True)
class AccessRules:
    """Who may use the tab, as the webui's own options say.

    ``refused`` is a sentence that says why nobody may, or ``None``. ``folders`` are the only folders that a dataset
    may lie in, or ``None`` for anywhere. ``api_passwords`` maps user to password where the webui asks for them.
    """

    refused: str | None = None
    folders: tuple[Path, ...] | None = None
    api_passwords: Mapping[str, str] = field(default_factory=dict)


class Host(Protocol):
    """The webui. Every method is quick and may be called from any thread."""

    name: str

    @property
    def data_dir(self) -> Path:
        """The folder that the webui keeps the user's data in."""
        ...

    @property
    def lora_dir(self) -> Path:
        """The folder that the webui reads LoRA files from."""
        ...

    @property
    def models_dir(self) -> Path:
        """The folder that the webui keeps models of every kind in, each kind in a folder of its own."""
        ...

    def access(self) -> AccessRules:
        """Who may use the tab."""
        ...

    def checkpoint(self) -> ModelFile | None:
        """The checkpoint in use, or the one that is about to be loaded; never loads it."""
        ...

    def vae(self) -> ModelFile | None:
        """The VAE in use, or ``None`` if it is the checkpoint's own."""
        ...

    def checkpoints(self) -> list[ModelFile]:
        """Every checkpoint that can be chosen."""
        ...

    def vaes(self) -> list[ModelFile]:
        """Every VAE that can be chosen."""
        ...

    def clip_skip(self) -> int:
        """The CLIP skip that pictures are made with now."""
        ...

    def device(self) -> str:
        """Where the webui's models live while pictures are made: ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
        ...

    def refresh_loras(self) -> None:
        """Let the webui's list of LoRAs hold the files that are in ``lora_dir`` now."""
        ...

    def lend_gpu(self, device: str) -> Lease | None:
        """Begin to free ``device`` for a worker, whatever the webui is doing; ``None`` if nothing has to be freed.

        An empty ``device`` means the one that the worker would choose by itself.
        """
        ...
