"""Generated images that join a set, with their captions and a weight of their own."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...files.confine import HIDDEN_FOLDER, own_folder
from ...files.writing import writing
from ...pictures.masks.find import MARKS
from ...pictures.origin import MADE
from ...pictures.problems import count_of
from ...pictures.weights import WEIGHT_ENDING, ImageWeight, bytes_of_weight
from ..editor.editor import CaptionEditor, Outcome
from .add import add_files
from .names import FreeNames, safe_name

_EXTRA_NETWORK = re.compile(r"<[A-Za-z]+:[^<>]*>")
_BREAK = re.compile(r"\bBREAK\b")
_WEIGHTED = re.compile(r"(?<!\\)\(((?:[^()\\]|\\.)*?):\s*[0-9.]+\s*\)")
_BRACKETS = re.compile(r"(?<!\\)[()\[\]]")


@dataclass(frozen=True)
class Generated:
    """An image file and the caption it gets."""

    file: Path
    caption: str


def caption_of_prompt(prompt: str) -> str:
    """A prompt without LoRAs, weights and escapes, as a caption; ``captionOf`` of the page does the same."""
    words, weighted = _BREAK.sub(",", _EXTRA_NETWORK.sub("", prompt)), 1
    while weighted:  # from the innermost brackets outwards
        words, weighted = _WEIGHTED.subn(r"\1", words)
    words = re.sub(r"\\([()\[\]])", r"\1", _BRACKETS.sub("", words))
    return ", ".join(part for part in (" ".join(part.split()) for part in words.split(",")) if part)


def add_generated(editor: CaptionEditor, images: Sequence[Generated], weight: float) -> tuple[Outcome, list[int]]:
    """Copy ``images`` into the set as machine-made, with loss weight ``weight``; returns the numbers they get.

    They go to the folder that has most images, as one undo step. Raises ``ConflictError`` or ``DatasetError`` with
    nothing added.
    """
    extension = editor.settings.caption_extension
    stage = own_folder(editor.folder, HIDDEN_FOLDER, "generated")
    files: list[tuple[Path, str]] = []
    targets = []
    try:
        with editor.lock:
            editor.refresh()
            folder = _folder_of_most(editor)
            place = editor.folder / folder
            names = FreeNames({path.name for path in place.iterdir()} if place.is_dir() else set())
            for number, image in enumerate(images):
                stem = names.free(f"{safe_name(editor.folder.name)}{MADE}", (".png", extension, WEIGHT_ENDING,
                                                                             f"{MARKS[0]}.png"))
                contents = {".png": None, extension: image.caption.encode(),
                            WEIGHT_ENDING: bytes_of_weight(ImageWeight(weight))}
                for ending, content in contents.items():
                    staged = stage / f"{number}{ending}"
                    with writing(staged):
                        if ending == ".png":
                            shutil.copyfile(image.file, staged)
                        elif content:
                            staged.write_bytes(content)
                        else:
                            continue
                    files.append((staged, f"{folder}{stem}{ending}"))
                targets.append(f"{folder}{stem}.png")
            outcome = add_files(editor, f"Added {count_of(len(images), 'generated image')}", files)
            entries = [editor.index.of_path(target) for target in targets]
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return outcome, [entry.id for entry in entries if entry is not None]


def _folder_of_most(editor: CaptionEditor) -> str:
    """The folder with most images, relative and with ``/`` at its end; empty for the dataset's own."""
    found = Counter(entry.folder for entry in editor.index.entries.values()).most_common(1)
    return f"{found[0][0]}/" if found and found[0][0] else ""
