"""Finds parts of a webui by their dotted names, if they exist."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from .interface import IMAGE_INPUTS


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


def image_inputs() -> dict[str, Any]:
    """The image components of img2img, inpaint and Extras that the webui's own "Send to" buttons fill, by tab."""
    registered = part("modules.infotext_utils.paste_fields") or {}
    found = {name: registered[name].get("init_img") for name in IMAGE_INPUTS if isinstance(registered.get(name), dict)}
    return {name: component for name, component in found.items() if component is not None}
