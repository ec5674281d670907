"""Which folders the tab's routes may use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DatasetError
from ..files.confine import is_inside, local_path
from ..files.reading import reason
from ..host.interface import Host

_FOLDERS = ("train_data_dir", "reg_data_dir", "validation_data_dir", "conditioning_data_dir")
"""The dataset settings that name a folder."""


def dataset_folder(host: Host, text: str) -> Path:
    """Return the folder ``text`` with links resolved. Raises ``DatasetError`` if it is not a folder or not allowed."""
    if not text.strip().strip('"'):
        raise DatasetError("No folder is given. Type the path of the folder with your images.")
    try:
        folder = Path(os.path.realpath(local_path(text)))
        allowed = host.access().folders
        if allowed is not None and not any(is_inside(root, folder) for root in allowed):
            raise DatasetError(f"The webui was started with --hide-ui-dir-config, so only folders under "
                               f"{' or '.join(str(root) for root in allowed)} can be used, not {folder}.")
        found = folder.is_dir()
    except (OSError, ValueError) as problem:  # too long, or no proper text
        raise DatasetError(f"{text[:200]!r} cannot be a folder: {reason(problem)}.") from problem
    if not found:
        raise DatasetError(f"There is no folder {str(folder)[:400]}. Check the path, or make the folder and put "
                           "images in it.")
    return folder


def folders_of(host: Host, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the dataset ``settings`` with each folder checked. Raises ``DatasetError`` as ``dataset_folder`` does."""
    return {name: str(dataset_folder(host, str(value))) if name in _FOLDERS and value else value
            for name, value in settings.items()}
