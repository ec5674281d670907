"""The second pass of a tagging run: each image gets a description in sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..captions.descriptions import read_descriptions
from .choose import Chosen
from .results import Result, ResultFile
from .work import Item, Prepared, prepare_ahead

_NO_TAGS = Chosen((), {})
_AHEAD = 4


class Captioner(Protocol):
    """A model that describes images. ``name`` and ``runs_on`` are for messages."""

    name: str
    provider: str

    @property
    def runs_on(self) -> str:
        """What it runs on, in words."""

    def prepare(self, picture: Image.Image) -> NDArray[np.float32]:
        """Preprocess an RGB image. Thread-safe."""

    def describe(self, pixels: NDArray[np.float32]) -> str:
        """The description of a preprocessed image. Raises ``TaggerError``."""


class WebuiDescriptions:
    """The descriptions that the webui's interrogator wrote before the run."""

    name = "the webui's interrogator"
    provider = "webui"
    runs_on = "the webui"

    def __init__(self, folder: Path) -> None:
        """Read those of the images in ``folder``. Raises ``DatasetError``."""
        self._texts = read_descriptions(folder)

    def result(self, prepared: Prepared) -> str | None:
        """The description of an image, ``None`` if the webui wrote none."""
        return self._texts.get(prepared.item.key)

    def prepare(self, picture: Image.Image) -> NDArray[np.float32]:
        """Nothing is computed here."""
        return np.zeros(1, np.float32)


class DescribingPass:
    """Describes the images of a run, and keeps each result."""

    def __init__(self, captioner: Captioner | WebuiDescriptions, mode: str, threads: int) -> None:
        self._captioner, self._mode, self._threads = captioner, mode, threads
        self.missing: list[str] = []
        """The images that the webui has not described."""

    def run(self, items: Sequence[Item], kept: ResultFile, note: Callable[[list[Prepared]], None],
            progress: Callable[[int], bool]) -> bool:
        """Describe ``items``; those with a result keep it. ``note`` takes images that were skipped, ``progress`` the
        number that is done and returns whether to continue. Returns ``False`` if stopped before the end.
        """
        waiting = [item for item in items if item.key not in kept.results or kept.results[item.key].prose is None]
        done = len(items) - len(waiting)
        with closing(prepare_ahead(waiting, self._captioner.prepare, self._mode, _AHEAD, self._threads)) as prepared:
            for one in prepared:
                if one.pixels is None:
                    note([one])
                else:
                    self._keep(one, kept)
                done += 1
                if not progress(done) and done < len(items):
                    return False
        return True

    def _keep(self, prepared: Prepared, kept: ResultFile) -> None:
        captioner, item = self._captioner, prepared.item
        if isinstance(captioner, WebuiDescriptions):
            text = captioner.result(prepared)
        else:
            assert prepared.pixels is not None
            text = captioner.describe(prepared.pixels)
        if text is None:
            self.missing.append(item.key)
            return
        before = kept.results.get(item.key) or Result(item.key, item.caption_key, prepared.caption, _NO_TAGS)
        kept.add([replace(before, prose=text)])
