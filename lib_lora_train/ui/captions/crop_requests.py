"""Requests to the routes that crop and turn images, as JSON."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ...captions.editor.editor import CaptionEditor
from ...captions.editor.index import Entry
from ...captions.journal.apply import ConflictError
from ...errors import DatasetError
from ...pictures.editing.turning import Frame, Turn
from .requests import NumbersRequest, SessionRequest


class CropRequest(SessionRequest):
    """An image in the state ``version``, how it is turned, and the ``frame``: left, top, right and bottom in pixels.

    ``settings`` are the form's dataset settings, by which the result would be trained.
    """

    number: int
    version: str = ""
    quarters: int = 0
    mirrored: bool = False
    degrees: float = 0.0
    frame: list[int] | None = None
    settings: dict[str, Any] = Field(default_factory=dict)

    def turn(self) -> Turn:
        """How the image is turned. Raises ``DatasetError`` if there is no such turn."""
        return Turn(self.quarters, self.mirrored, self.degrees)

    def place(self) -> Frame | None:
        """The frame to cut out, ``None`` for all. Raises ``DatasetError`` if it does not have four sides."""
        if self.frame is None:
            return None
        if len(self.frame) != 4:
            raise DatasetError("A crop has four sides: left, top, right and bottom.")
        return Frame(*self.frame)

    def entry(self, editor: CaptionEditor) -> Entry:
        """The image. Raises ``DatasetError`` if it is gone, ``ConflictError`` if its file is another one now."""
        entry = editor.entry(self.number)
        if self.version != entry.version:
            raise ConflictError([entry.path])
        return entry


class CropSaveRequest(CropRequest):
    """Save the crop: as a new image called by ``word``, or ``in_place``.

    ``caption`` is the result's, ``None`` for the image's own; ``before`` is the image's caption as the page knows it.
    """

    in_place: bool = False
    word: str = "crop"
    caption: str | None = None
    before: str = ""


class BatchRequest(NumbersRequest):
    """Look for crops in images: ``kind`` is ``face``, ``portrait`` or ``borders``; or report on the search, or stop it.

    ``plain``: plain backgrounds count as borders, too. By the form's dataset ``settings`` a crop is too small, or not.
    """

    kind: str = "face"
    plain: bool = False
    settings: dict[str, Any] = Field(default_factory=dict)
    begin: bool = False
    stop: bool = False


class BatchSaveRequest(SessionRequest):
    """Save the crops of the last search without those in ``without``, by place; ``remove`` and ``add`` are tags."""

    without: list[int] = Field(default_factory=list)
    remove: list[str] = Field(default_factory=list)
    add: list[str] = Field(default_factory=list)
