"""An image that the webui has made, added beside the image it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ...errors import DatasetError
from ...files.reading import reason
from ...files.writing import writing
from ...pictures.caption_files import MOST_CAPTION_BYTES, too_large
from ...pictures.folders import REGULARIZATION_FOLDER
from ...pictures.masks.find import MARKS
from ...pictures.origin import EDITED, MADE, origin_of
from ..editor.editor import CaptionEditor, Outcome
from .add import add_files
from .intake import Arrived, Intake
from .names import FreeNames, parts_of, safe_name, split_ending


@dataclass(frozen=True)
class Result:
    """How a result is added. ``source`` is the path of the image it was made from, empty if there is none.

    ``folder`` is for one without a source. With ``regularization`` it goes to the regularization folder ``reg`` of the
    dataset, under the path of its source. ``keep_info`` keeps the generation parameters in the file.
    """

    source: str = ""
    folder: str = ""
    caption: str = ""
    regularization: bool = False
    keep_info: bool = True


def add_result(editor: CaptionEditor, intake: Intake, result: Result) -> tuple[Outcome, str]:
    """Add the only image of ``intake`` with its caption as one undo step; returns the outcome and the image's path.

    Raises ``ConflictError`` or ``DatasetError`` with nothing added.
    """
    images = [file for file in intake.arrived if not file.is_caption]
    if len(images) != 1:
        raise DatasetError(intake.left[0][1] if intake.left else "Exactly one image has to be sent.")
    if result.source and editor.index.of_path(result.source) is None:
        raise DatasetError(f"{result.source[:200]!r} is no longer in the set. Add the result as a new image.")
    caption = result.caption.strip()
    size = len(caption.encode("utf-8"))
    if size > MOST_CAPTION_BYTES:
        raise DatasetError(f"Nothing was added: {too_large('the caption', size)}")
    image = images[0] if result.keep_info else _without_info(images[0], intake)
    with editor.lock:
        editor.refresh()
        target = _target(editor, image, result)
        files = [(image.file, target)]
        if caption:
            text = intake.new_file(editor.settings.caption_extension)
            with writing(text, size):
                text.write_text(caption, encoding="utf-8", newline="")
            files.append((text, split_ending(target)[0] + editor.settings.caption_extension))
        return add_files(editor, f"Added {target}", files), target


def _target(editor: CaptionEditor, image: Arrived, result: Result) -> str:
    stem, _ = split_ending(parts_of(result.source or image.path)[-1])
    stem = safe_name(stem)
    folder = "/".join(parts_of(result.source)[:-1]) if result.source else result.folder
    if result.regularization:
        folder = f"{REGULARIZATION_FOLDER}/{folder}".rstrip("/")
    elif result.source:
        stem += EDITED
    elif not origin_of(f"{stem}.png"):
        stem += MADE
    place = editor.folder / folder
    names = FreeNames({path.name for path in place.iterdir()} if place.is_dir() else set())
    free = names.free(stem, (image.ending, editor.settings.caption_extension, f"{MARKS[0]}.png"))
    return f"{folder}/{free}{image.ending}" if folder else f"{free}{image.ending}"


def _without_info(image: Arrived, intake: Intake) -> Arrived:
    """A PNG copy with the same pixels, but without text, EXIF data and generation parameters."""
    file = intake.new_file(".png")
    try:
        with Image.open(image.file) as picture:
            bare = picture.copy()
    except OSError as problem:
        raise DatasetError(f"{image.path} cannot be opened: {reason(problem)}.") from problem
    bare.info.clear()
    with writing(file):
        bare.save(file, "PNG")
    return Arrived(f"{split_ending(image.path)[0]}.png", file, Path(file).stat().st_size, "")
