"""The confidences beside the pictures, for the editor and the checks.

``<dataset>/.lora_train/confidences.json``: ``{picture's relative path: {tag: confidence}}``. A tag that the tagger
knows and that is not there for a picture has less than ``CONFIDENCE_FLOOR``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ..dataset.confine import HIDDEN_FOLDER, own_folder
from ..errors import DatasetError
from ..runs.files import write_atomically

CONFIDENCES_FILE = "confidences.json"


def keep_confidences(folder: Path, found: Mapping[str, Mapping[str, float]]) -> None:
    """Put the confidences of the pictures in ``found`` in place of older ones; those of other pictures stay.

    Raises ``DatasetError`` if they cannot be written.
    """
    file = own_folder(folder, HIDDEN_FOLDER) / CONFIDENCES_FILE
    known = {key: tags for key, tags in read_confidences(folder).items() if (folder / key).is_file()}
    try:
        write_atomically(file, json.dumps({**known, **found}, ensure_ascii=False, separators=(",", ":")))
    except OSError as problem:
        raise DatasetError(f"The confidences {file} cannot be written: {problem.strerror}. Make room there and tag "
                           "again.") from problem


def read_confidences(folder: Path) -> dict[str, dict[str, float]]:
    """What ``keep_confidences`` wrote; nothing if there is no such file or it is damaged, since tagging renews it."""
    try:
        found = json.loads((folder / HIDDEN_FOLDER / CONFIDENCES_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
