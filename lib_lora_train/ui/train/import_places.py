"""Resolves paths of imported settings: in the webui's own lists and the folders that the tab may use."""

from __future__ import annotations

from pathlib import Path

from ...config.importing.places import CHECKPOINT, FOLDER, LORA, OUTPUT, VAE, file_name, missing
from ...errors import CheckpointError, DatasetError
from ...files.confine import is_inside, local_path
from ...host.interface import Host
from ..access import dataset_folder
from ..lora_files import lora_file


class WebuiPlaces:
    """The webui's files. A file is also found by its name alone; files named in the settings are not read."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def find(self, kind: str, path: str) -> tuple[str | None, str]:
        """Return the path to use for the source's ``path``, ``None`` if there is none, and a sentence about it."""
        if kind in (CHECKPOINT, VAE):
            files = self._host.checkpoints() if kind == CHECKPOINT else self._host.vaes()
            return _named([file.path for file in files], kind, path)
        if kind == FOLDER:
            try:
                return str(dataset_folder(self._host, path)), ""
            except DatasetError:
                return None, missing(kind, path)
        if kind == LORA:
            return self._lora(path)
        return self._output(path) if kind == OUTPUT else (None, missing(kind, path))

    def read(self, path: str) -> str | None:
        """Return ``None``: pasted text must not make the webui read other files."""
        return None

    def _lora(self, path: str) -> tuple[str | None, str]:
        for name in (path, file_name(path)):
            try:
                return str(lora_file(self._host.lora_dir, name)), ""
            except CheckpointError:
                continue
        return None, missing(LORA, path)

    def _output(self, path: str) -> tuple[str | None, str]:
        try:
            if is_inside(self._host.lora_dir, local_path(path)):
                return path, ""
        except (DatasetError, OSError, ValueError):
            pass
        return None, f"Files are saved in the webui's LoRA folder, {self._host.lora_dir}."


def _named(files: list[Path], kind: str, path: str) -> tuple[str | None, str]:
    same = next((file for file in files if str(file) == path), None)
    if same is not None:
        return str(same), ""
    wanted = file_name(path).casefold()
    found = next((file for file in files if file.name.casefold() == wanted), None)
    if found is None:
        return None, missing(kind, path)
    return str(found), f"There is no {path[:300]} here; the {kind} of that name in the webui is used."
