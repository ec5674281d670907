"""The images of a card as files: chosen by id, with nothing in them but the generation parameters."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from ....errors import RunError
from ....files.reading import read_file, reason
from ....pictures.images import PictureError, decoded
from ....runs.folder import RunFolder
from ...pictures import png_bytes
from ..card import preview_of
from .paths import PrivateFolders
from .private import without_name, without_user
from .tested import PREVIEW, STRIP, CardImage, strip_rows

_MOST_BYTES = 64 << 20
_STRIP_PROMPTS, _STRIP_SIDE, _GAP = 4, 512, 8


def image_bytes(lora: Path, run: RunFolder | None, image: CardImage, kept: str, known: PrivateFolders) -> bytes:
    """Return ``image`` as PNG with the webui's generation parameters, without the folders ``known``
    and the names of its user (``without_name``).

    Raises ``RunError`` if it cannot be read.
    """
    if image.id == STRIP and run is not None:
        return png_bytes(_strip(run, lora))
    path = preview_of(lora) if image.id == PREVIEW else run.path / image.id if run is not None else None
    if path is None:
        raise RunError(f"The image {image.id[:200]!r} is no longer there. Choose another.")
    try:
        with decoded(path, io.BytesIO(read_file(path, _MOST_BYTES))) as picture:
            copy = picture.convert("RGB")
            said = picture.info.get("parameters")
    except (OSError, ValueError, PictureError) as problem:
        raise RunError(f"The image {path.name} cannot be read: {reason(problem)}. Choose another.") from problem
    copy.info = {"parameters": without_name(without_user(said, known), kept)} if isinstance(said, str) else {}
    return png_bytes(copy)


def _strip(run: RunFolder, lora: Path) -> Image.Image:
    """The first prompts of the strip side by side: above without the LoRA, below with it."""
    rows = strip_rows(run, lora)[:_STRIP_PROMPTS]
    if not rows:
        raise RunError("The images of the strip are no longer there. Choose another cover.")
    columns = []
    for pair in rows:
        column = []
        for path in pair:
            try:
                with decoded(path, io.BytesIO(read_file(path, _MOST_BYTES))) as picture:
                    small = picture.convert("RGB")
            except (OSError, ValueError, PictureError) as problem:
                raise RunError(f"The image {path.name} cannot be read: {reason(problem)}. Choose another.") from problem
            small.thumbnail((_STRIP_SIDE, _STRIP_SIDE))
            column.append(small)
        columns.append(column)
    width = max(cell.width for column in columns for cell in column)
    height = max(cell.height for column in columns for cell in column)
    sheet = Image.new("RGB", (len(columns) * (width + _GAP) - _GAP, 2 * height + _GAP), "white")
    for number, column in enumerate(columns):
        for line, cell in enumerate(column):
            sheet.paste(cell, (number * (width + _GAP) + (width - cell.width) // 2,
                               line * (height + _GAP) + (height - cell.height) // 2))
    return sheet
