"""Names for new LoRA files that do not exist yet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ..files.walk import files_below

LORA_ENDINGS = (".safetensors", ".pt", ".ckpt")
_OF_A_RUN = re.compile(r"-(?:\d{6}|step\d{8})$")
_VERSION = re.compile(r"^(.*?)-v(\d+)$")


def lora_names(folder: Path) -> set[str]:
    """The names, in lower case, of every LoRA in ``folder`` and its subfolders, each also without its epoch or step.

    Includes subfolders, since a prompt names a LoRA without its folder.
    """
    names: set[str] = set()
    for entry in files_below(folder):
        path = Path(entry.name.lower())
        if path.suffix in LORA_ENDINGS:
            names.update((path.stem, _OF_A_RUN.sub("", path.stem)))
    return names


def next_free_name(name: str, taken: Iterable[str]) -> str:
    """``name``, or the first of ``name-v2``, ``name-v3`` … that is not in ``taken`` (compared in lower case)."""
    used = {other.lower() for other in taken}
    if name.lower() not in used:
        return name
    match = _VERSION.match(name)
    stem, number = (match[1], int(match[2])) if match else (name, 1)
    while f"{stem}-v{number + 1}".lower() in used:
        number += 1
    return f"{stem}-v{number + 1}"
