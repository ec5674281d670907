"""Surveys of dataset folders, cached until a file changes, so that totals update while typing."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path

from ...config.groups.dataset import DatasetSettings
from ...files.walk import is_folder
from ...pictures.masks.find import FOLDERS as MASK_FOLDERS
from ...pictures.scan import SCAN_SETTINGS, Dataset, survey

_KEPT = 8

State = tuple[tuple[str, int, int], ...]


class DatasetCache:
    """Cache of dataset surveys. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[State, Dataset]] = OrderedDict()

    def survey(self, settings: DatasetSettings) -> Dataset:
        """Return what ``dataset.scan.survey`` returns; fast if no file in the folder has changed. Raises as it does."""
        wanted = DatasetSettings(**{name: getattr(settings, name) for name in SCAN_SETTINGS})
        key = repr(wanted)
        state = folder_state(Path(settings.train_data_dir))
        if settings.reg_data_dir:
            state += folder_state(Path(settings.reg_data_dir))
        if settings.masked_loss and settings.conditioning_data_dir:
            state += folder_state(Path(settings.conditioning_data_dir))
        with self._lock:
            if key in self._known and self._known[key][0] == state:
                self._known.move_to_end(key)
                return self._known[key][1]
        found = survey(wanted)
        with self._lock:
            self._known[key] = (state, found)
            self._known.move_to_end(key)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return found


def folder_state(folder: Path) -> State:
    """Return name, modification time and size of everything in ``folder``, its subfolders, and their folders of masks;
    empty if it cannot be read.
    """
    entries: list[tuple[str, int, int]] = []
    places = [str(folder), *_folders_in(folder)]
    for place in places:
        try:
            with os.scandir(place) as found:
                for entry in found:
                    entries.append((entry.path, *_state_of(entry)))
                    if entry.name.casefold() in MASK_FOLDERS and is_folder(entry) and entry.path not in places:
                        places.append(entry.path)
        except OSError:
            entries.append((place, 0, 0))
    return tuple(sorted(entries))


def _state_of(entry: os.DirEntry[str]) -> tuple[int, int]:
    try:
        state = entry.stat()
    except OSError:  # a broken or circular link
        return 0, 0
    return state.st_mtime_ns, state.st_size


def _folders_in(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as found:
            return [entry.path for entry in found if is_folder(entry)]
    except OSError:
        return []
