"""Whether the webui's model can be lent to a run, and if not, why, in words that follow "because"."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from modules import devices, sd_models, sd_vae

from ..config.job import Job
from ..runs.lend_ticket import FILE, LENT
from .gpu_lease import same_device

_TRIED = ("cpu",)
"""Where "auto" lends. Sharing the memory of a GPU is written by the book but has not been run on one yet."""
_SHARED_MEMORY = Path("/dev/shm")
_SPARE = 1.1


class Unlendable(Exception):
    """The model, or a part of it, is not lent; the message is a clause that follows "because"."""


def way_of(job: Job, device: str) -> str:
    """``lent`` or ``copy``, for a webui on ``device``. Raises ``Unlendable`` if it is neither."""
    wanted = job.training.webui_model
    on_gpu = _kind(device) != "cpu"
    if job.training.base_weights != "full" or (
            on_gpu and (job.training.weights_on_cpu or job.training.fit_in_gb is not None)):
        raise Unlendable("the run keeps its weights in its own way (base_weights, weights_on_cpu or fit_in_gb)")
    if not _same_device(device, job.training.device):
        raise Unlendable(f"the webui's model is on {device} and the run on {job.training.device}")
    if wanted == "auto":
        if _kind(device) not in _TRIED:
            raise Unlendable("sharing the memory of a GPU is new; set training.webui_model to lent to try it")
        return LENT
    if wanted == FILE:
        raise Unlendable("that is what training.webui_model says")
    return wanted


def lendable_model(job: Job, device: str) -> Any:
    """The webui's model, if it can be lent to ``job`` on ``device``. Raises ``Unlendable`` if not."""
    model = sd_models.model_data.sd_model
    if model is None:
        raise Unlendable("the webui has no model loaded")
    if not _same_file(model.sd_checkpoint_info.filename, job.base.checkpoint):
        raise Unlendable(f"the webui has {Path(model.sd_checkpoint_info.filename).name} loaded")
    if getattr(model, "lowvram", False):
        raise Unlendable("the webui moves its model on and off the GPU in parts (--medvram or --lowvram)")
    if getattr(devices, "fp8", False):
        raise Unlendable("the webui keeps its model as fp8")
    _refuse_where_it_is(model, device)
    return model


def withheld_parts(job: Job) -> dict[str, str]:
    """Parts of the model that are not those of ``job``, with the reason for each."""
    loaded = sd_vae.loaded_vae_file
    if (loaded and job.base.vae and _same_file(loaded, job.base.vae)) or not (loaded or job.base.vae):
        return {}
    return {"vae": f"the webui has {Path(loaded).name if loaded else 'the VAE of the checkpoint'} loaded"}


def refuse_small_memory(needed_bytes: int) -> None:
    """Raise ``Unlendable`` if shared memory is too small: writing past its end would kill the webui."""
    if not sys.platform.startswith("linux") or not _SHARED_MEMORY.is_dir():
        return
    import shutil

    free = shutil.disk_usage(_SHARED_MEMORY).free
    if free < needed_bytes * _SPARE:
        raise Unlendable(f"{_SHARED_MEMORY} has {free / 1e9:.1f} GB free and {needed_bytes / 1e9:.1f} GB are needed "
                         "(a container can be given more with --shm-size)")


def _refuse_where_it_is(model: Any, device: str) -> None:
    places = {str(parameter.device) for parameter in model.parameters()}
    if len({_kind(place) for place in places}) != 1 or "meta" in places:
        raise Unlendable("the webui's model is unloaded, or only a part of it is on the GPU")
    lies_on = next(iter(places))
    if _kind(lies_on) != _kind(device):
        raise Unlendable(f"the webui's model is on {lies_on}")
    if _kind(lies_on) not in ("cpu", "cuda"):
        raise Unlendable(f"memory of {lies_on} cannot be shared between programs")
    if _kind(lies_on) == "cuda" and sys.platform == "win32":
        raise Unlendable("Windows does not let programs share the memory of a GPU")


def _same_device(webui: str, run: str) -> bool:
    if webui != "cpu":
        return same_device(webui, run)
    if run != "auto":
        return run == "cpu"
    import torch  # not there in every Python that this file is read by

    return not (torch.cuda.is_available() or torch.backends.mps.is_available())


def _kind(device: str) -> str:
    return device.partition(":")[0]


def _same_file(one: str, other: str) -> bool:
    return Path(one).resolve() == Path(other).resolve()
