"""Forge and its descendants, where they differ from A1111's webui: they manage the GPU themselves."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modules import sd_models, sd_vae, shared
from modules_forge import main_thread

from ..runs.folder import WITH_BASE, RunFolder
from ..runs.lend_ticket import FILE, LendTicket, write_ticket
from ..runs.process_mark import this_process
from ..runs.supervisor import Loan
from .interface import NO_BLOCK_WEIGHTS, NOT_DRAWN_HERE, V_PREDICTION_SOURCES, Describer, ModelFile
from .webui import Webui


class _OwnMemory(Webui):
    """A webui with Forge's thread that moves models, and a module ``memory`` that manages GPU memory."""

    puts_block_weights = False
    memory = ""

    def __init__(self) -> None:
        super().__init__()
        self._memory = importlib.import_module(self.memory)

    def limits(self) -> tuple[str, ...]:
        """What does not work, since Forge manages the models itself."""
        return ("Training reads the checkpoint from its file: this webui moves and casts the loaded model in ways of "
                "its own, so it is not shared with training.", NO_BLOCK_WEIGHTS, NOT_DRAWN_HERE)

    def lend_model(self, run: RunFolder, changed: Callable[[], None]) -> Loan | None:
        """Forge moves and casts weights in its own way, so nothing is lent and the run reports it."""
        if run.command in WITH_BASE:
            write_ticket(run.path, LendTicket(FILE, this_process(),
                                              reason="this webui moves its models as it needs to"))
        return None

    def free_gpu(self) -> None:
        """Unload every model, in the thread that moves models."""
        if not self._memory.current_loaded_models:
            return
        problems: list[Exception] = []
        main_thread.run_and_wait_result(self._unload_all, problems)
        if problems:
            raise problems[0]

    def plot_drawer(self) -> None:
        """``None``: Forge applies LoRAs in a way that our block weights do not support."""

    def describer(self) -> Describer | None:
        """The built-in interrogator's BLIP, loaded by Forge's memory management; Forge Classic has none."""
        from .describing.forge import ForgeInterrogator

        if getattr(shared, "interrogator", None) is None:
            return None
        return ForgeInterrogator(self._memory.load_models_gpu, main_thread.run_and_wait_result)

    def txt2img_form(self) -> dict[str, Any]:
        """Empty, since the tab generates no images here."""
        return {}

    def prediction_of(self, checkpoint: Path) -> str:
        """Unknown: the model's sampling object decides, and each of these webuis has another."""
        return ""

    def restore_gpu(self) -> None:
        """Does nothing: required models are loaded for the next image."""

    def _unload_all(self, problems: list[Any]) -> None:
        try:
            self._memory.unload_all_models()
            self._memory.soft_empty_cache()
        except Exception as problem:  # noqa: BLE001  # the thread would keep it to itself; the caller raises it
            problems.append(problem)


class Forge(_OwnMemory):
    """Forge loads a model when it is first needed, so the selected one counts as the current one."""

    name = "Stable Diffusion webui Forge"
    memory = "backend.memory_management"
    reads_v_prediction: V_PREDICTION_SOURCES = ("yaml", "mark")

    def checkpoint(self) -> ModelFile | None:
        """The checkpoint for the next image."""
        chosen = sd_models.model_data.forge_loading_parameters.get("checkpoint_info")
        return ModelFile(chosen.title, Path(chosen.filename)) if chosen else super().checkpoint()

    def vae(self) -> ModelFile | None:
        """The VAE among the selected "VAE / Text Encoder" files."""
        chosen = {str(Path(path).absolute()) for path in getattr(shared.opts, "forge_additional_modules", None) or []}
        for name, path in list(sd_vae.vae_dict.items()):
            if str(Path(path).absolute()) in chosen:
                return ModelFile(name, Path(path))
        return None


class ReForge(_OwnMemory):
    """reForge, Forge Classic and the first Forge: checkpoint and VAE as in AUTOMATIC1111's, memory as in Forge."""

    name = "Stable Diffusion webui reForge or Forge Classic"
    memory = "ldm_patched.modules.model_management"
    reads_v_prediction: V_PREDICTION_SOURCES = ("mark",)
