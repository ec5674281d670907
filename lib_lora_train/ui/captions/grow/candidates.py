"""Candidates for a small set: images that the webui draws with a LoRA of it, kept until they are added or discarded."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ....errors import DatasetError, RunError
from ....files.atomic import write_atomically
from ....files.json_file import DamagedFileError, read_object, text
from ....files.writing import writing
from ....host.interface import PictureSettings, SeriesPlan
from ....pictures.images import PictureError, open_picture
from ....runs.hold import CANDIDATES, Reason
from ...drawing import DrawingService
from ...pictures import data_url, keep_picture
from ...series import PromptSeries

FOLDER = "candidates"
MOST_AT_ONCE = 64
_THUMBNAIL = 512
_NAME = re.compile(r"[0-9]{6}")
_REASON = Reason(CANDIDATES, "candidates for a set")


@dataclass(frozen=True)
class Candidate:
    """An image that was drawn. ``name`` is that of its file without the extension."""

    name: str
    prompt: str
    lora: str
    seed: int


class CandidateDesk:
    """The candidates of all sets, in one folder for each, drawn by the drawing service one set at a time."""

    def __init__(self, drawings: DrawingService, folder: Path) -> None:
        self._drawings, self._folder = drawings, folder
        self._lock = threading.Lock()
        self._last: dict[Path, PromptSeries] = {}

    def folder_of(self, dataset: Path) -> Path:
        """Where the candidates of ``dataset`` are."""
        return self._folder / hashlib.sha256(str(dataset).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def state(self, dataset: Path) -> dict[str, Any]:
        """``state`` (idle, drawing, finished, stopped, failed), ``done`` of ``total``, ``error`` of the last series."""
        last = self._last.get(dataset)
        return {"state": "idle", "done": 0, "total": 0, "error": ""} if last is None else last.state()

    def start(self, dataset: Path, prompts: Sequence[str], lora: str, settings: PictureSettings) -> None:
        """Queue an image for each of ``prompts`` with ``lora``, such as ``<lora:penny:0.8>``, empty for none.

        Raises ``RunError`` if that is not possible now.
        """
        if not prompts or len(prompts) > MOST_AT_ONCE:
            raise RunError(f"{len(prompts)} images were requested. Request 1 to {MOST_AT_ONCE}.")
        with self._lock:
            if self.state(dataset)["state"] == "drawing":
                raise RunError("Candidates for this set are already being generated. Wait until they are finished, "
                               "or stop.")
            plans = [SeriesPlan((f"{prompt} {lora}".strip(),), reason=_REASON,
                                picture=dataclasses.replace(settings, seed=settings.seed + place))
                     for place, prompt in enumerate(prompts)]

            def keep(place: int, picture: Image.Image) -> None:
                self._keep(dataset, prompts[place], lora, plans[place].picture.seed, picture)

            series = PromptSeries(CANDIDATES, f"Candidates for {dataset.name}", plans, keep)
            self._drawings.submit(series)
            self._last[dataset] = series

    def stop(self, dataset: Path) -> None:
        """Cancel the remaining images."""
        self._drawings.cancel(lambda drawing, _: drawing is self._last.get(dataset))

    def all(self, dataset: Path) -> list[Candidate]:
        """The candidates of ``dataset`` in the order they were drawn; damaged ones are left out."""
        found = []
        for file in sorted(self.folder_of(dataset).glob("*.json")):
            try:
                values = read_object(file)
                candidate = Candidate(file.stem, text(values, "prompt"), text(values, "lora"), int(values["seed"]))
            except (OSError, DamagedFileError, KeyError, TypeError, ValueError):
                continue
            if _NAME.fullmatch(candidate.name) and file.with_suffix(".png").is_file():
                found.append(candidate)
        return found

    def file(self, dataset: Path, name: str) -> Path:
        """The image of a candidate. Raises ``DatasetError`` if there is none of that name."""
        path = self.folder_of(dataset) / f"{name}.png"
        if not _NAME.fullmatch(name) or not path.is_file():
            raise DatasetError(f"There is no candidate {name[:40]!r} any more.")
        return path

    def discard(self, dataset: Path, names: Sequence[str]) -> None:
        """Delete candidates. Raises ``DatasetError`` if one does not exist."""
        for path in [self.file(dataset, name) for name in names]:
            path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        with self._lock:
            folder = self.folder_of(dataset)
            if folder.is_dir() and not any(folder.glob("*.png")) and self.state(dataset)["state"] != "drawing":
                shutil.rmtree(folder, ignore_errors=True)

    def _keep(self, dataset: Path, prompt: str, lora: str, seed: int, picture: Image.Image) -> None:
        """Store an image that was drawn. Raises ``WriteError``."""
        with self._lock:
            folder = self.folder_of(dataset)
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
            numbers = [int(path.stem) for path in folder.glob("*.png") if _NAME.fullmatch(path.stem)]
            path = folder / f"{max(numbers, default=0) + 1:06d}.png"
            keep_picture(path, picture)
            candidate = Candidate(path.stem, prompt, lora, seed)
            write_atomically(path.with_suffix(".json"), json.dumps(asdict(candidate)))


def thumbnail(path: Path) -> str:
    """A small copy as a data URL; empty if the image cannot be decoded."""
    try:
        picture = open_picture(path)
    except PictureError:
        return ""
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
    return data_url(picture, "JPEG", quality=88)
