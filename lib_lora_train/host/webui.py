"""AUTOMATIC1111's webui, 1.10, behind ``Host``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from modules import call_queue, devices, paths, sd_models, sd_vae, shared

from ..runs.folder import WITH_BASE, RunFolder
from ..runs.hold import Reason
from ..runs.supervisor import Lease, Loan
from .addresses import host_endings, host_names, reached_from_elsewhere
from .gpu_lease import GpuLease, same_device
from .guard import guard_of, plain_lock
from .interface import REMOTE_REFUSED, V_PREDICTION_SOURCES, AccessRules, Describer, ModelFile, PlotDrawer
from .lists import update_checkpoints, update_loras
from .loan import MainMemory, ModelLoan
from .parts import FINISHED_COMMAND, cuda_bytes, gpus_beside, image_inputs, part, setting_text, txt2img_controls

_MODEL_CONFIGS = {"SD 1.x": "config_default", "SD 2.x": "config_sd2", "SD 2.x 768-v": "config_sd2v",
                  "SDXL": "config_sdxl", "SSD-1B": "config_sdxl"}
"""The webui's YAML of each family; an SSD-1B is built as an SDXL and pruned."""


class Webui:
    """The webui of this process. Does not cache its state."""

    name = "Stable Diffusion webui"
    puts_block_weights = True
    reads_v_prediction: V_PREDICTION_SOURCES = ("yaml",)

    def __init__(self) -> None:
        self._moved: list[Any] = []
        self._main_memory = MainMemory()
        self._guard = guard_of(call_queue.queue_lock)
        self._take_lock, self._give_lock = plain_lock(call_queue.queue_lock)

    def limits(self) -> tuple[str, ...]:
        """Empty: everything works."""
        return ()

    @property
    def data_dir(self) -> Path:
        """The webui's ``--data-dir``."""
        return Path(paths.data_path).absolute()

    @property
    def lora_dir(self) -> Path:
        """The webui's ``--lora-dir``; without the built-in Lora extension, its usual place."""
        given = getattr(shared.cmd_opts, "lora_dir", None)
        return Path(given or Path(paths.models_path) / "Lora").absolute()

    @property
    def models_dir(self) -> Path:
        """The webui's ``--models-dir``."""
        return Path(paths.models_path).absolute()

    def access(self) -> AccessRules:
        """The webui's rules for its own extension and folder controls."""
        options = shared.cmd_opts
        folders = (self.data_dir,) if options.hide_ui_dir_config else None
        given = getattr(options, "api_auth", None) or ""
        passwords = dict(pair.split(":", 1) for pair in given.split(",") if ":" in pair)
        return AccessRules(REMOTE_REFUSED if options.disable_extension_access else None, folders, passwords,
                           host_names(options, getattr(getattr(shared, "demo", None), "share_url", None)),
                           host_endings(options), getattr(options, "cors_allow_origins_regex", None) or "")

    def reached_from_elsewhere(self) -> bool:
        """Decided by the webui's options and the address that its page is served at."""
        return reached_from_elsewhere(shared.cmd_opts, getattr(shared, "demo", None))

    def finished_command(self) -> str:
        """The setting that ``add_settings`` has added."""
        return setting_text(FINISHED_COMMAND)

    def checkpoint(self) -> ModelFile | None:
        """The loaded checkpoint, else the one in the settings."""
        info = getattr(sd_models.model_data.sd_model, "sd_checkpoint_info", None)
        info = info or sd_models.checkpoint_aliases.get(getattr(shared.opts, "sd_model_checkpoint", None))
        return ModelFile(info.title, Path(info.filename)) if info else None

    def vae(self) -> ModelFile | None:
        """The VAE file loaded into the model."""
        file = sd_vae.loaded_vae_file
        return ModelFile(Path(file).name, Path(file)) if file else None

    def checkpoints(self) -> list[ModelFile]:
        """Every checkpoint in the webui's list."""
        return [ModelFile(info.title, Path(info.filename)) for info in list(sd_models.checkpoints_list.values())]

    def vaes(self) -> list[ModelFile]:
        """Every VAE in the webui's list."""
        return [ModelFile(name, Path(file)) for name, file in list(sd_vae.vae_dict.items())]

    def model_config(self, family: str) -> Path | None:
        """The file that ``sd_models_config`` names for the family."""
        file = part(f"modules.sd_models_config.{_MODEL_CONFIGS[family]}") if family in _MODEL_CONFIGS else None
        return Path(file) if file and Path(file).is_file() else None

    def prediction_of(self, checkpoint: Path) -> str:
        """The loaded model's ``parameterization``, which the samplers use."""
        model = sd_models.model_data.sd_model
        info = getattr(model, "sd_checkpoint_info", None)
        if info is None or Path(info.filename) != checkpoint:
            return ""
        return str(getattr(model, "parameterization", ""))

    def clip_skip(self) -> int:
        """The setting "Clip skip"."""
        return int(getattr(shared.opts, "CLIP_stop_at_last_layers", 1))

    def use_clip_skip(self, layers: int) -> None:
        """Change the setting "Clip skip", as its slider does; it is not written to the webui's settings file."""
        shared.opts.set("CLIP_stop_at_last_layers", layers)

    def device(self) -> str:
        """The device of ``--device-id`` and ``--use-cpu``."""
        return str(devices.device or "cpu")

    def gpu_bytes(self) -> int | None:
        """The memory of the NVIDIA or AMD GPU."""
        return cuda_bytes(self.device())

    def gpus(self) -> list[str]:
        """As torch counts them."""
        return gpus_beside(self.device())

    def refresh_loras(self, changed: Path | None = None) -> None:
        """Update the list of the built-in Lora extension, if it is enabled."""
        update_loras(sys.modules.get("networks"), self.lora_dir, changed)

    def refresh_checkpoints(self, saved: Collection[Path] = ()) -> None:
        """``--models-dir`` and ``--ckpt-dir``."""
        given = getattr(shared.cmd_opts, "ckpt_dir", None)
        update_checkpoints(sd_models, [self.models_dir / "Stable-diffusion", *([Path(given)] if given else [])], saved)

    def lend_gpu(self, device: str, changed: Callable[[], None] = lambda: None) -> Lease | None:
        """Block generation and move the models off the GPU, unless the run uses another device."""
        return GpuLease(self, changed) if same_device(self.device(), device) else None

    def gpu_is_wanted(self) -> Reason | None:
        """Generation, upscaling and model changes take the webui's lock or wait for it."""
        return self._guard.wanted

    def txt2img_form(self) -> dict[str, Any]:
        """The controls that the webui registers for pasting the parameters of an image."""
        return txt2img_controls()

    def image_inputs(self) -> dict[str, Any]:
        """The components that the webui registers for its own "Send to" buttons."""
        return image_inputs()

    def plot_drawer(self) -> PlotDrawer | None:
        """The built-in script "X/Y/Z plot"."""
        from .plots import Plots  # imports the webui's generation, which is not needed earlier

        return Plots()

    def describer(self) -> Describer | None:
        """The built-in interrogator's BLIP."""
        from .describing.interrogator import Interrogator  # imports what is not needed earlier

        return Interrogator()

    def lend_model(self, run: RunFolder, changed: Callable[[], None]) -> Loan | None:
        """Offer the loaded model to a run that uses it: training, and the check of what the base knows."""
        if run.command not in WITH_BASE:
            return None
        return ModelLoan(run, self.device(), lambda: sys.modules.get("networks"), changed, self._main_memory)

    def hold_generation(self) -> None:
        """Acquire the lock that every generation and every change of model waits for."""
        self._take_lock()

    def release_generation(self) -> None:
        """Release that lock."""
        self._give_lock()

    def listen(self, heard: Callable[[], None]) -> Callable[[], None]:
        """Call ``heard`` whenever something comes to want that lock, until the returned function is called."""
        return self._guard.listen(heard)

    def free_gpu(self) -> None:
        """Move every loaded model, and the interrogator, off the GPU; lent models only lose their copy there."""
        with self._main_memory.changing:
            with sd_models.model_data.lock:  # held while the first model loads; moving it then would break the load
                loaded = [model for model in sd_models.model_data.loaded_sd_models if _on_gpu(model)]
            self._main_memory.leave_gpu()
            if not loaded:
                return
            for model in loaded:
                if not any(model is moved for moved in self._moved):
                    self._moved.append(model)
                sd_models.send_model_to_cpu(model)
            shared.interrogator.unload()
            devices.torch_gc()

    def restore_gpu(self) -> None:
        """Move back those of the moved models that are still loaded."""
        with self._main_memory.changing:
            self._main_memory.return_to_gpu()
            loaded = sd_models.model_data.loaded_sd_models
            while self._moved:
                model = self._moved[-1]
                if any(model is candidate for candidate in loaded):
                    sd_models.send_model_to_device(model)
                self._moved.pop()


def _on_gpu(model: Any) -> bool:
    return any(parameter.device.type not in ("cpu", "meta") for parameter in model.parameters())
