"""Finds parts of a webui by their dotted names, if they exist, and adds our settings to its own."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

from .interface import IMAGE_INPUTS

FINISHED_COMMAND = "train_lora_finished_command"
_SECTION = ("train_lora", "Train LoRA")
_TXT2IMG = ("negative_prompt", "styles", "steps", "sampler_name", "scheduler", "cfg_scale", "width", "height", "seed",
            "enable_hr", "denoising_strength", "hr_scale", "hr_upscaler", "hr_second_pass_steps", "hr_resize_x",
            "hr_resize_y", "hr_checkpoint_name", "hr_sampler_name", "hr_scheduler", "hr_prompt", "hr_negative_prompt")
"""What images that the tab generates take from the webui's txt2img form."""


def part(name: str) -> Any | None:
    """The module ``name`` or an attribute of one, such as ``modules.sd_vae.vae_dict``; ``None`` if it does not exist.

    A module that cannot be imported counts as missing: an incomplete webui can fail in any way.
    """
    owner, _, last = name.rpartition(".")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return getattr(part(owner), last, None) if owner else None
    except Exception:
        logging.getLogger(__name__).warning("%s is there but cannot be imported", name, exc_info=True)
        return None


def missing_parts(parts: Mapping[str, Sequence[str]]) -> list[str]:
    """The missing dotted names, of owners and their required attributes."""
    missing = []
    for owner, names in parts.items():
        found = part(owner)
        missing += [f"{owner}.{name}" for name in names if not hasattr(found, name)] if found is not None else [owner]
    return missing


def cuda_bytes(device: str) -> int | None:
    """The memory of the GPU ``device``, such as ``cuda:0``; ``None`` for other kinds of devices."""
    if not device.startswith("cuda"):
        return None
    import torch  # missing in some Python versions that import this file

    return int(torch.cuda.get_device_properties(device).total_memory)


def image_inputs() -> dict[str, Any]:
    """The image components of img2img, inpaint and Extras that the webui's own "Send to" buttons fill, by tab."""
    registered = part("modules.infotext_utils.paste_fields") or {}
    found = {name: registered[name].get("init_img") for name in IMAGE_INPUTS if isinstance(registered.get(name), dict)}
    return {name: component for name, component in found.items() if component is not None}


def txt2img_controls() -> dict[str, Any]:
    """The controls of the webui's txt2img form by their names in its API, as far as it registers them."""
    registered = part("modules.infotext_utils.paste_fields") or {}
    fields = registered.get("txt2img", {}).get("fields") or []
    known = {getattr(field, "api", None): field.component for field in fields}
    return {name: known[name] for name in _TXT2IMG if name in known}


def add_settings() -> None:
    """Add our section to the webui's settings, if it has settings that its API cannot change.

    A command that a request could set would let any program that reaches the API run one.
    """
    options: Any = part("modules.shared.opts")
    info = part("modules.shared.OptionInfo")
    if info is None or not hasattr(options, "add_option") or "restrict_api" not in signature(info).parameters:
        return
    options.add_option(FINISHED_COMMAND, info(
        "", "Command to run when the queue of trainings is finished (chosen in the Train LoRA tab)", section=_SECTION,
        restrict_api=True))


def setting_text(name: str) -> str:
    """The webui's setting ``name``, empty if it is unknown or no text."""
    options = part("modules.shared.opts")
    known = name in (getattr(options, "data_labels", None) or {})
    value = getattr(options, name, "") if known else ""
    return value if isinstance(value, str) else ""


def gpus_beside(own: str) -> list[str]:
    """Every CUDA device that torch sees, ``own`` last; empty without torch or CUDA."""
    cuda = part("torch.cuda")
    if cuda is None or not cuda.is_available():
        return []
    own = "cuda:0" if own == "cuda" else own
    return sorted((f"cuda:{number}" for number in range(cuda.device_count())), key=lambda gpu: gpu == own)
