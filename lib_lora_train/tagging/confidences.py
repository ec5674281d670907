"""Saves the tagger's confidences in the dataset's folder for the editor and the checks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..captions.confidences import FILE_NAME, MOST_BYTES
from ..errors import DatasetError
from ..files.atomic import remove_leftovers, write_atomically
from ..files.confine import HIDDEN_FOLDER, own_folder
from ..files.json_file import parse
from ..files.reading import read_file
from ..files.writing import cannot_write


def keep_confidences(folder: Path, found: Mapping[str, Mapping[str, float]]) -> None:
    """Save the confidences in ``found``, replacing older ones of the same images and keeping those of others.

    ``found`` is ``{image path relative to folder: {tag: confidence}}``, without tags below ``CONFIDENCE_FLOOR``.
    Raises ``DatasetError`` if they cannot be written.
    """
    file = own_folder(folder, HIDDEN_FOLDER) / FILE_NAME
    known = {key: tags for key, tags in _already_there(file).items() if (folder / key).is_file()}
    try:
        remove_leftovers(file)
        write_atomically(file, json.dumps({**known, **found}, ensure_ascii=False, separators=(",", ":")))
    except OSError as problem:
        raise DatasetError(f"The tagger's confidences were not saved. {cannot_write(file, problem)}") from problem


def _already_there(file: Path) -> dict[str, Any]:
    """The confidences of earlier runs; empty if the file is damaged, since this run replaces it."""
    try:
        found = parse(read_file(file, MOST_BYTES))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
