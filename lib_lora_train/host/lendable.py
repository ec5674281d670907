"""Whether the webui's model can be lent to a run, and if not, why, in words that follow "because"."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from modules import devices, sd_models, sd_vae

from ..config.job import Job
from ..runs.lend_ticket import COPY, FILE, LENT, LENT_MEMORY
from .gpu_lease import same_device
from .parts import part

_SHARED_MEMORY = Path("/dev/shm")
_SPARE = 1.1


class Unlendable(Exception):
    """The model, or a part of it, is not lent; the message is a clause that follows "because"."""


def way_of(job: Job, device: str) -> str:
    """``lent``, ``lent_memory`` or ``copy``, for a webui on ``device``. Raises ``Unlendable`` if none is possible."""
    wanted = job.training.webui_model
    if not _same_device(device, job.training.device):
        raise Unlendable(f"the webui's model is on {device} and the run on {job.training.device}")
    if wanted == FILE:
        raise Unlendable("that is what training.webui_model says")
    if wanted == COPY:
        return COPY
    return LENT if _kind(device) == "cpu" else LENT_MEMORY


def lendable_model(job: Job, device: str) -> Any:
    """The webui's model, if it can be lent to ``job`` on ``device``. Raises ``Unlendable`` if not."""
    model = sd_models.model_data.sd_model
    if model is None:
        raise Unlendable("the webui has no model loaded")
    if not _same_file(model.sd_checkpoint_info.filename, job.base.checkpoint):
        raise Unlendable(f"the webui has {Path(model.sd_checkpoint_info.filename).name} loaded")
    if getattr(devices, "fp8", False):
        raise Unlendable("the webui keeps its model as fp8")
    if any(parameter.device.type == "meta" for parameter in model.parameters()):
        raise Unlendable("the webui's model is unloaded")
    if _kind(device) == "cpu" and any(parameter.device.type != "cpu" for parameter in model.parameters()):
        raise Unlendable("a part of the webui's model is not in main memory")
    return model


def withheld_parts(job: Job) -> dict[str, str]:
    """Parts of the model that differ from those of ``job``, with the reason for each."""
    loaded = sd_vae.loaded_vae_file
    if (loaded and job.base.vae and _same_file(loaded, job.base.vae)) or not (loaded or job.base.vae):
        return {}
    return {"vae": f"the webui has {Path(loaded).name if loaded else 'the VAE of the checkpoint'} loaded"}


def kept_on_gpu(model: Any) -> set[int]:
    """The ids of parameters that never leave the GPU: with --medvram, those that are not swapped."""
    if not getattr(model, "lowvram", False):
        return set()
    in_turn = part("modules.lowvram.module_in_gpu")
    moved = set() if in_turn is None else {id(parameter) for parameter in in_turn.parameters()}
    return {id(parameter) for parameter in model.parameters() if parameter.device.type != "cpu"} - moved


def refuse_small_memory(needed_bytes: int) -> None:
    """Raise ``Unlendable`` if shared memory is too small: writing past its end would crash the webui."""
    if not sys.platform.startswith("linux") or not _SHARED_MEMORY.is_dir():
        return
    import shutil

    free = shutil.disk_usage(_SHARED_MEMORY).free
    if free < needed_bytes * _SPARE:
        raise Unlendable(f"{_SHARED_MEMORY} has {free / 1e9:.1f} GB free and {needed_bytes / 1e9:.1f} GB are needed "
                         "(a container can be given more with --shm-size)")


def _same_device(webui: str, run: str) -> bool:
    if webui != "cpu":
        return same_device(webui, run)
    if run != "auto":
        return run == "cpu"
    import torch  # missing in some Python versions that import this file

    return not (torch.cuda.is_available() or torch.backends.mps.is_available())


def _kind(device: str) -> str:
    return device.partition(":")[0]


def _same_file(one: str, other: str) -> bool:
    return Path(one).resolve() == Path(other).resolve()
