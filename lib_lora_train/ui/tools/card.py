"""The webui's card of a LoRA: the ``.json`` and the preview beside its file.

Other programs write to them too, so only the user's changes are written.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from ...errors import CheckpointError, ConfigError, RunError, WriteError
from ...files.atomic import write_atomically
from ...files.json_file import DamagedFileError, read_object
from ...files.writing import writing
from ...pictures.images import PictureError, decoded
from ..pictures import keep_picture

NAMES = {"activation_text": "activation text", "preferred_weight": "preferred weight",
         "negative_text": "negative text", "sd_version": "sd version", "notes": "notes", "description": "description"}
"""The webui's own fields, by the page's names."""
VERSIONS = ("Unknown", "SD1", "SD2", "SDXL")
"""The choices in the webui's own editor."""
MOST_WEIGHT = 10.0
LONGEST_TEXT = 20_000
PREVIEW_PIXELS = 1024
_PREVIEW_ENDINGS = tuple(f"{between}.{ending}" for ending in ("png", "jpg", "jpeg", "webp", "gif")
                         for between in ("", ".preview"))


def card_of(lora: Path) -> dict[str, Any]:
    """Return the card's ``values``, ``kept`` (entries of other programs), ``preview`` (exists) and ``problem``."""
    try:
        content, problem = _read(lora), ""
    except CheckpointError as error:
        content, problem = {}, str(error)
    values = {name: _shown(content.get(key)) for name, key in NAMES.items()}
    return {"values": values, "kept": sorted(str(key) for key in content if key not in NAMES.values()),
            "preview": preview_of(lora) is not None, "problem": problem}


def change_card(lora: Path, changes: Mapping[str, Any]) -> None:
    """Write ``changes`` (a value for each name of ``NAMES``) to the card; every other key stays.

    Raises ``ConfigError`` that lists every invalid value, ``CheckpointError`` if the existing file cannot be read and
    would be lost, ``WriteError`` if it cannot be written.
    """
    problems = [text for name, value in changes.items() if (text := _problem(name, value))]
    if problems:
        raise ConfigError(problems)
    content = _read(lora)
    for name, value in changes.items():
        content[NAMES[name]] = float(value or 0) if name == "preferred_weight" else value
    write_atomically(_file(lora), json.dumps(content, indent=4, ensure_ascii=False))


def preview_of(lora: Path) -> Path | None:
    """Return the preview image that the webui shows for the LoRA, if any."""
    return next((path for path in _previews(lora) if path.is_file()), None)


def keep_preview(lora: Path, encoded: str) -> list[str]:
    """Make the image ``encoded`` (base64) the preview; returns the new names of earlier previews.

    It is scaled down to ``PREVIEW_PIXELS``. Raises ``ConfigError`` if it is not an image, and ``WriteError``.
    """
    try:
        content = base64.b64decode(encoded.rpartition(",")[2], validate=True)
        with decoded(Path("The file"), io.BytesIO(content)) as picture:
            small = picture.copy()
            small.thumbnail((PREVIEW_PIXELS, PREVIEW_PIXELS))
        small.info = _parameters(content)
    except (binascii.Error, ValueError, OSError, PictureError) as problem:
        raise ConfigError(f"preview: the file cannot be used as an image ({problem}). Choose a PNG, JPEG or WebP.") \
            from problem
    kept = {path: _set_aside(path) for path in _previews(lora) if path.is_file()}
    try:
        keep_picture(lora.with_suffix(".png"), small)
    except WriteError:
        for path, other in kept.items():
            other.rename(path)
        raise
    return [other.name for other in kept.values()]


def _parameters(content: bytes) -> dict[str, Any]:
    with Image.open(io.BytesIO(content)) as picture:
        text = picture.info.get("parameters")
    return {"parameters": text} if isinstance(text, str) else {}


def _previews(lora: Path) -> list[Path]:
    return [lora.with_suffix(ending) if ending.count(".") == 1 else lora.with_name(lora.stem + ending)
            for ending in _PREVIEW_ENDINGS]


def _set_aside(path: Path) -> Path:
    """Rename an earlier preview to a free name that the webui ignores."""
    for number in range(1, 1000):
        other = path.with_name(f"{path.name}.before" + (f"-{number}" if number > 1 else ""))
        if not other.exists():
            with writing(other):
                path.rename(other)
            return other
    raise RunError(f"There are too many earlier previews of {path.name}. Delete some of them.")


def _file(lora: Path) -> Path:
    return lora.with_suffix(".json")


def _read(lora: Path) -> dict[str, Any]:
    try:
        return read_object(_file(lora))
    except FileNotFoundError:
        return {}
    except (DamagedFileError, OSError) as problem:
        raise CheckpointError(f"{_file(lora).name} beside the LoRA cannot be read ({problem}), so it is left as it is. "
                              "Repair or remove it first.") from problem


def _shown(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    return value if isinstance(value, str) else f"{value:g}"


def _problem(name: str, value: Any) -> str:
    if name not in NAMES:
        return f"{str(name)[:100]!r} is not a field of the card. There are: {', '.join(NAMES)}."
    if name == "preferred_weight":
        usable = value in (None, "") or (isinstance(value, (int, float)) and not isinstance(value, bool)
                                         and abs(value) <= MOST_WEIGHT)
        return "" if usable else (f"preferred_weight is {str(value)[:100]!r}. Write a number from -{MOST_WEIGHT:g} to "
                                  f"{MOST_WEIGHT:g}, or nothing.")
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        return f"{name} has to be a text of {LONGEST_TEXT} characters or fewer."
    if name == "sd_version" and value not in ("", *VERSIONS):
        return f"sd_version is {value[:100]!r}. Choose one of: {', '.join(VERSIONS)}."
    return ""
