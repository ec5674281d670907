"""Forge, as far as it differs from AUTOMATIC1111's webui: it manages models and the GPU in its own way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend import memory_management
from modules import sd_models, sd_vae, shared
from modules_forge import main_thread

from ..runs.folder import TRAIN, RunFolder
from ..runs.lend_ticket import FILE, LendTicket, write_ticket
from ..runs.process_mark import this_process
from ..runs.supervisor import Loan
from .interface import ModelFile
from .webui import Webui


class Forge(Webui):
    """Forge loads a model when it is first needed, so the choice that will be loaded counts as the current one."""

    name = "Stable Diffusion webui Forge"

    def checkpoint(self) -> ModelFile | None:
        """The checkpoint that the next picture is made with."""
        chosen = sd_models.model_data.forge_loading_parameters.get("checkpoint_info")
        return ModelFile(chosen.title, Path(chosen.filename)) if chosen else super().checkpoint()

    def vae(self) -> ModelFile | None:
        """The VAE among the "VAE / Text Encoder" files that are chosen."""
        chosen = {str(Path(path).absolute()) for path in getattr(shared.opts, "forge_additional_modules", None) or []}
        for name, path in list(sd_vae.vae_dict.items()):
            if str(Path(path).absolute()) in chosen:
                return ModelFile(name, Path(path))
        return None

    def lend_model(self, run: RunFolder, changed: Callable[[], None]) -> Loan | None:
        """Forge moves and casts its weights in ways of its own, so nothing is lent and the run is told so."""
        if run.command == TRAIN:
            write_ticket(run.path, LendTicket(FILE, this_process(), reason="Forge moves its models as it needs to"))
        return None

    def free_gpu(self) -> None:
        """Have Forge unload every model, in the one thread that it moves models in."""
        if not memory_management.current_loaded_models:
            return
        problems: list[Exception] = []
        main_thread.run_and_wait_result(_unload_all, problems)
        if problems:
            raise problems[0]

    def plot_drawer(self) -> None:
        """Forge's LoRAs are put in in another way than our axes and block weights know."""

    def txt2img_form(self) -> dict[str, Any]:
        """Nothing, since no pictures are drawn from the tab."""
        return {}

    def restore_gpu(self) -> None:
        """Nothing to do: Forge loads what it needs at the next picture."""


def _unload_all(problems: list[Any]) -> None:
    try:
        memory_management.unload_all_models()
        memory_management.soft_empty_cache()
    except Exception as problem:  # noqa: BLE001  # Forge's thread would keep it to itself; the caller raises it
        problems.append(problem)
