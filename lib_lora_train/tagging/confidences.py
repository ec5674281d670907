"""Keeping the tagger's confidences beside the pictures, where the editor and the checks read them."""

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
    """Put the confidences of the pictures in ``found`` in place of older ones; those of other pictures stay.

    ``found`` is ``{picture's path relative to folder: {tag: confidence}}``. A tag that the tagger knows and that is not
    there for a picture has less than ``CONFIDENCE_FLOOR``. Raises ``DatasetError`` if they cannot be written.
    """
    file = own_folder(folder, HIDDEN_FOLDER) / FILE_NAME
    known = {key: tags for key, tags in _already_there(file).items() if (folder / key).is_file()}
    try:
        remove_leftovers(file)
        write_atomically(file, json.dumps({**known, **found}, ensure_ascii=False, separators=(",", ":")))
    except OSError as problem:
        raise DatasetError(f"The tagger's confidences were not saved. {cannot_write(file, problem)}") from problem


def _already_there(file: Path) -> dict[str, Any]:
    """The confidences of earlier runs; none if they are damaged, since a run renews what it can."""
    try:
        found = parse(read_file(file, MOST_BYTES))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
