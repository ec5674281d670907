"""What a merged checkpoint says of its parents: ``sd_merge_recipe``, ``sd_merge_models``, ``modelspec.merged_from``.

The first two are those of AUTOMATIC1111's webui (modules/extras.py) and of SuperMerger, the last is ModelSpec's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ...files.json_file import DamagedFileError, parse

_ROLES = ("primary_model_hash", "secondary_model_hash", "tertiary_model_hash")
_NAME_KEYS = ("model_a", "model_b", "model_c", "checkpoint")
_MOST_PARENTS = 40
_LONGEST = 200


@dataclass(frozen=True)
class Parent:
    """A checkpoint that went into a merge, as far as the metadata says: any of these may be empty."""

    name: str = ""
    sha256: str = ""
    legacy_hash: str = ""

    @property
    def called(self) -> str:
        """Its name, or a hash."""
        return self.name or self.sha256[:10] or self.legacy_hash


@dataclass(frozen=True)
class Recipe:
    """The parents of a merge, and how they were merged, as a clause that may be empty."""

    parents: tuple[Parent, ...] = ()
    how: str = ""


@dataclass(frozen=True)
class Known:
    """A checkpoint that is there, by what a recipe may call it. ``sha256`` may be only its beginning, or empty."""

    file_name: str
    sha256: str = ""
    legacy_hash: str = ""


def recipe_of(metadata: Mapping[str, str]) -> Recipe:
    """The recipe in a checkpoint's metadata; without parents if it has none that can be read."""
    recipe, models = _object(metadata.get("sd_merge_recipe")), _object(metadata.get("sd_merge_models"))
    parents = [_parent(str(sha256), facts) for sha256, facts in models.items() if isinstance(facts, dict)]
    named = {parent.sha256 for parent in parents}
    hashes = [str(recipe[role]).lower() for role in _ROLES if _is_hash(recipe.get(role))]
    parents += [Parent(sha256=sha256) for sha256 in hashes if sha256 not in named]
    parents += [Parent(name=_line(recipe[key]), sha256=_line(recipe.get(f"{key}_sha256", "")).lower())
                for key in _NAME_KEYS if isinstance(recipe.get(key), str) and recipe[key]]
    parents += [Parent(name=_line(name.strip())) for name in metadata.get("modelspec.merged_from", "").split(",")
                if name.strip()]
    merged: dict[str, Parent] = {}
    for parent in parents:
        if parent.called:
            merged.setdefault(_plain(parent.called), parent)
    return Recipe(tuple(merged.values())[:_MOST_PARENTS], _how(recipe))


def present_in(parent: Parent, files: Sequence[Known]) -> int | None:
    """The number of the file that is ``parent``: by hash, else by name; ``None`` if it is not there."""
    for number, file in enumerate(files):
        if parent.sha256 and file.sha256 and parent.sha256.startswith(file.sha256[:64].lower()):
            return number
    for number, file in enumerate(files):
        if parent.legacy_hash and parent.legacy_hash == file.legacy_hash:
            return number
    names = [_plain(file.file_name) for file in files]
    wanted = _plain(parent.name)
    return names.index(wanted) if wanted and wanted in names else None


def _parent(sha256: str, facts: Mapping[str, Any]) -> Parent:
    legacy = facts.get("legacy_hash")
    return Parent(_line(facts.get("name") or ""), sha256.lower() if _is_hash(sha256) else "",
                  legacy.lower() if isinstance(legacy, str) and re.fullmatch(r"[0-9a-fA-F]{8}", legacy) else "")


def _how(recipe: Mapping[str, Any]) -> str:
    loras = recipe.get("loras")
    if isinstance(loras, list) and loras:
        return f"{len(loras)} LoRA{'' if len(loras) == 1 else 's'} merged into it"
    method, share = recipe.get("interp_method") or recipe.get("mode"), recipe.get("multiplier")
    said = [str(method)[:_LONGEST]] if isinstance(method, str) and method else []
    if isinstance(share, (int, float)) and not isinstance(share, bool):
        said.append(f"multiplier {share:g}")
    return ", ".join(said)


def _object(text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    try:
        content = parse(text)
    except (DamagedFileError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{10,64}", value) is not None


def _line(value: Any) -> str:
    return " ".join(str(value).split())[:_LONGEST]


def _plain(name: str) -> str:
    """A name for comparison: without folders, suffix, the webui's short hash, and case."""
    base = re.sub(r"\[[0-9a-f]{8,10}\]$", "", name.strip().lower()).rstrip()
    base = PurePath(base.replace("\\", "/")).name
    return re.sub(r"\.(safetensors|ckpt|pt|pth|bin)$", "", base)
