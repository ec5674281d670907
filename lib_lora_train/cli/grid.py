"""A run's samples as one image: a row for each prompt, a column for each save."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from ..files.atomic import write_atomically
from ..pictures.images import open_picture
from ..runs.events import read_events
from ..runs.folder import RunFolder

_GAP = 8
_LABEL_WIDTH = 210
_HEADER_HEIGHT = 34
_PAPER, _INK = (250, 250, 249), (40, 40, 44)


def draw_grid(run: RunFolder, target: Path) -> Path:
    """Write ``run``'s samples as a grid to the PNG ``target``. Raises ``ValueError`` if the run has none."""
    samples = [event for event in read_events(run.events_file)[0] if event["event"] == "sample"]
    if not samples:
        raise ValueError(f"The run {run.id} has no samples.")
    steps = sorted({int(event["step"]) for event in samples})
    rows = sorted({int(event["index"]) for event in samples})
    pictures = {(int(event["index"]), int(event["step"])): open_picture(run.path / event["path"]) for event in samples}
    cell = max(picture.width for picture in pictures.values()), max(picture.height for picture in pictures.values())
    sheet = Image.new("RGB", (_LABEL_WIDTH + len(steps) * (cell[0] + _GAP) + _GAP,
                              _HEADER_HEIGHT + len(rows) * (cell[1] + _GAP) + _GAP), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for column, step in enumerate(steps):
        draw.text((_LABEL_WIDTH + column * (cell[0] + _GAP) + cell[0] // 2, _HEADER_HEIGHT // 2),
                  _column_title(samples, step), fill=_INK, font=font, anchor="mm")
    for row, index in enumerate(rows):
        top = _HEADER_HEIGHT + row * (cell[1] + _GAP)
        prompt = next(event["prompt"] for event in samples if event["index"] == index)
        draw.multiline_text((_GAP, top + cell[1] // 2), textwrap.fill(prompt, 26), fill=_INK, font=font, anchor="lm")
        for column, step in enumerate(steps):
            if (index, step) in pictures:
                sheet.paste(pictures[index, step], (_LABEL_WIDTH + column * (cell[0] + _GAP), top))
    return _write(sheet, target)


def _column_title(samples: Sequence[dict[str, Any]], step: int) -> str:
    if step == 0:
        return "without"
    epoch = next(event["epoch"] for event in samples if event["step"] == step)
    return f"epoch {epoch}"


def _write(sheet: Image.Image, target: Path) -> Path:
    import io

    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    write_atomically(target, buffer.getvalue())
    return target
