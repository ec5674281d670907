"""An unknown webui: training reads files, and the webui's models, memory and generation are not touched."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from modules import paths, shared

from ..runs.folder import WITH_BASE, RunFolder
from ..runs.lend_ticket import FILE, LendTicket, write_ticket
from ..runs.process_mark import this_process
from ..runs.supervisor import Lease, Loan
from .addresses import reached_from_elsewhere
from .interface import (
    NO_BLOCK_WEIGHTS,
    NOT_DRAWN_HERE,
    REMOTE_REFUSED,
    V_PREDICTION_SOURCES,
    AccessRules,
    ModelFile,
)
from .lists import update_checkpoints, update_loras
from .parts import FINISHED_COMMAND, cuda_bytes, gpus_beside, image_inputs, part, setting_text

_ENDINGS = (".safetensors", ".ckpt")
_CHECKPOINTS, _VAES = "Stable-diffusion", "VAE"
_OPENED_BY = ("listen", "share", "ngrok", "server_name")


class UnknownWebui:
    """Reads what the webui provides under A1111's names, else its folders. Changes nothing in it."""

    name = "Unknown webui"
    puts_block_weights = False
    reads_v_prediction: V_PREDICTION_SOURCES = ()

    def __init__(self, lacks: str) -> None:
        """``lacks`` says why it is not a known one, as a clause such as "it has no modules.sd_vae"."""
        self._lacks = lacks

    def limits(self) -> tuple[str, ...]:
        """Why it is unknown, and what does not work here."""
        return (f"Train LoRA does not know this webui ({self._lacks}). Training reads the checkpoint from its file.",
                "The webui's model stays on the GPU while a run trains. If memory is short, unload the model in the "
                "webui's settings first, and generate no images meanwhile.", NO_BLOCK_WEIGHTS, NOT_DRAWN_HERE)

    @property
    def data_dir(self) -> Path:
        """The webui's ``--data-dir``, else the webui's folder."""
        return Path(getattr(paths, "data_path", None) or paths.script_path).absolute()

    @property
    def models_dir(self) -> Path:
        """The webui's ``--models-dir``, else ``models`` in its data folder."""
        return Path(getattr(paths, "models_path", None) or self.data_dir / "models").absolute()

    @property
    def lora_dir(self) -> Path:
        """The webui's ``--lora-dir``, else ``Lora`` in its models folder."""
        return Path(getattr(shared.cmd_opts, "lora_dir", None) or self.models_dir / "Lora").absolute()

    def access(self) -> AccessRules:
        """A1111's rules; if the webui has none, nobody may use a tab that others can reach."""
        options = shared.cmd_opts
        refused = getattr(options, "disable_extension_access", None)
        if refused is None:
            refused = any(getattr(options, name, None) for name in _OPENED_BY)
        folders = (self.data_dir,) if getattr(options, "hide_ui_dir_config", False) else None
        given = getattr(options, "api_auth", None) or ""
        passwords = dict(pair.split(":", 1) for pair in given.split(",") if ":" in pair)
        return AccessRules(REMOTE_REFUSED if refused else None, folders, passwords)

    def reached_from_elsewhere(self) -> bool:
        """Decided by the webui's options and the address that its page is served at."""
        return reached_from_elsewhere(shared.cmd_opts, getattr(shared, "demo", None))

    def finished_command(self) -> str:
        """The setting that ``add_settings`` has added."""
        return setting_text(FINISHED_COMMAND)

    def checkpoint(self) -> ModelFile | None:
        """The loaded checkpoint, else the one in the settings, else ``None``."""
        aliases = part("modules.sd_models.checkpoint_aliases") or {}
        for info in (part("modules.sd_models.model_data.sd_model.sd_checkpoint_info"),
                     aliases.get(getattr(shared.opts, "sd_model_checkpoint", None))):
            if info is not None and hasattr(info, "title") and hasattr(info, "filename"):
                return ModelFile(info.title, Path(info.filename))
        return None

    def checkpoints(self) -> list[ModelFile]:
        """The webui's list, else the files in its checkpoint folder."""
        listed = part("modules.sd_models.checkpoints_list")
        if listed is None:
            return _files_in(self.models_dir / _CHECKPOINTS)
        return [ModelFile(info.title, Path(info.filename)) for info in list(listed.values())]

    def vae(self) -> ModelFile | None:
        """The VAE file loaded into the model, if the webui provides it."""
        file = part("modules.sd_vae.loaded_vae_file")
        return ModelFile(Path(file).name, Path(file)) if file else None

    def vaes(self) -> list[ModelFile]:
        """The webui's list, else the files in its VAE folder."""
        listed = part("modules.sd_vae.vae_dict")
        if listed is None:
            return _files_in(self.models_dir / _VAES)
        return [ModelFile(name, Path(file)) for name, file in list(listed.items())]

    def model_config(self, family: str) -> Path | None:
        """``None``: unknown."""

    def prediction_of(self, checkpoint: Path) -> str:
        """Empty: unknown."""
        return ""

    def clip_skip(self) -> int:
        """The setting "Clip skip", 1 if there is none."""
        return int(getattr(shared.opts, "CLIP_stop_at_last_layers", 1) or 1)

    def use_clip_skip(self, layers: int) -> None:
        """Change the setting "Clip skip", if it exists."""
        if hasattr(shared.opts, "CLIP_stop_at_last_layers"):
            shared.opts.set("CLIP_stop_at_last_layers", layers)

    def device(self) -> str:
        """The device of the webui's models; ``auto`` if unknown."""
        return str(part("modules.devices.device") or "auto")

    def gpu_bytes(self) -> int | None:
        """The memory of the NVIDIA or AMD GPU, if the device is known."""
        return cuda_bytes(self.device())

    def gpus(self) -> list[str]:
        """As torch counts them."""
        return gpus_beside(self.device())

    def refresh_loras(self, changed: Path | None = None) -> None:
        """Update the list of the built-in Lora extension, if it exists under A1111's names."""
        update_loras(sys.modules.get("networks"), self.lora_dir, changed)

    def refresh_checkpoints(self, saved: Collection[Path] = ()) -> None:
        """Update the list under A1111's names, if there is one."""
        update_checkpoints(part("modules.sd_models"), [self.models_dir / _CHECKPOINTS], saved)

    def lend_gpu(self, device: str, changed: Callable[[], None] = lambda: None) -> Lease | None:
        """``None``: how this webui moves its models is unknown."""
        return None

    def gpu_is_wanted(self) -> None:
        """``None``, since nothing is held."""

    def lend_model(self, run: RunFolder, changed: Callable[[], None]) -> Loan | None:
        """Nothing is lent, and the run reports it."""
        if run.command in WITH_BASE:
            write_ticket(run.path, LendTicket(FILE, this_process(),
                                              reason=f"Train LoRA does not know this webui ({self._lacks})"))
        return None

    def describer(self) -> None:
        """``None``: how this webui describes images is unknown."""

    def plot_drawer(self) -> None:
        """``None``: how this webui generates images is unknown."""

    def txt2img_form(self) -> dict[str, Any]:
        """Empty, since the tab generates no images."""
        return {}

    def image_inputs(self) -> dict[str, Any]:
        """Those under A1111's names, if there are any."""
        return image_inputs()


def _files_in(folder: Path) -> list[ModelFile]:
    return [ModelFile(path.relative_to(folder).as_posix(), path) for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in _ENDINGS]
