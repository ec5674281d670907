"""Webuis that came from Forge, and mixtures of several, made of the stand-in's modules and those of Forge's kind."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from modules import sd_models

FORGE, REFORGE = (Path(__file__).resolve().parents[1] / "standin_forge" / name for name in ("forge", "reforge"))
MEMORY = {FORGE: "backend.memory_management", REFORGE: "ldm_patched.modules.model_management"}
_PACKAGES = ("modules_forge", "backend", "ldm_patched")
_HOST = "lib_lora_train.host.forge"


def become(monkeypatch, *roots):
    """Let this process have the packages that lie in ``roots`` and no other of Forge's kind."""
    forget()
    for root in roots:
        monkeypatch.syspath_prepend(str(root))
    if FORGE in roots:
        monkeypatch.setattr(sd_models.model_data, "forge_loading_parameters", {}, raising=False)


def forget():
    """Drop what is loaded of Forge's packages, so that they are looked for again."""
    for name in [name for name in sys.modules if name.partition(".")[0] in _PACKAGES or name == _HOST]:
        del sys.modules[name]  # for good: monkeypatch would bring it back
    importlib.invalidate_caches()


def write_package(folder, **files):
    """A root with packages: ``backend__memory_management="…"`` is the source of ``backend/memory_management.py``."""
    for dotted, text in files.items():
        path = folder.joinpath(*dotted.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder
