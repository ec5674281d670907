"""Descriptions of images by the webui's interrogator, kept in ``.lora_train/descriptions.json``.

The format is ``{relative path of the image: {"text", "size", "modified"}}``: that of an image changed since does not
count. The webui writes them, a tagging run puts them into the captions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DatasetError
from ..files.atomic import write_atomically
from ..files.confine import HIDDEN_FOLDER, own_folder
from ..files.json_file import DamagedFileError, parse
from ..files.reading import read_file, reason

FILE_NAME = "descriptions.json"
MOST_BYTES = 256 << 20


def read_descriptions(folder: Path) -> dict[str, str]:
    """The descriptions of the images in ``folder`` that have not changed since, by their relative paths.

    Raises ``DatasetError`` if the file cannot be read.
    """
    return {key: entry["text"] for key, entry in _entries(folder).items() if _stamp(folder / key) == _stamp_of(entry)}


def keep_descriptions(folder: Path, found: Mapping[str, str]) -> None:
    """Add the descriptions ``found`` by relative path. Raises ``DatasetError`` or ``WriteError``."""
    entries = _entries(folder)
    for key, text in found.items():
        size, modified = _stamp(folder / key)
        entries[key] = {"text": text, "size": size, "modified": modified}
    present = {key: entry for key, entry in entries.items() if (folder / key).is_file()}
    write_atomically(own_folder(folder, HIDDEN_FOLDER) / FILE_NAME, json.dumps(present, ensure_ascii=False, indent=0))


def _entries(folder: Path) -> dict[str, dict[str, Any]]:
    file = folder / HIDDEN_FOLDER / FILE_NAME
    if file.is_symlink() or file.parent.is_symlink():
        raise DatasetError(f"{file} is reached through a link, which is not followed. Remove it.")
    try:
        content = parse(read_file(file, MOST_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, DamagedFileError) as problem:
        raise DatasetError(f"{file} cannot be read ({reason(problem)}). Delete it; the images are described "
                           "again.") from problem
    if not isinstance(content, dict):
        raise DatasetError(f"{file} does not hold descriptions. Delete it; the images are described again.")
    return {str(key): entry for key, entry in content.items()
            if isinstance(entry, dict) and isinstance(entry.get("text"), str)}


def _stamp_of(entry: Mapping[str, Any]) -> tuple[Any, Any]:
    return entry.get("size"), entry.get("modified")


def _stamp(picture: Path) -> tuple[int, int]:
    """Size and modification time; zeros for a missing image."""
    try:
        state = os.stat(picture)  # noqa: PTH116 - ten thousand times
    except OSError:
        return 0, 0
    return state.st_size, state.st_mtime_ns
