"""Small datasets for the tests of the caption editor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from lib_lora_train.captions.editor.editor import CaptionEditor
from lib_lora_train.captions.tokens import TokenCounter
from lib_lora_train.config.groups.dataset import DatasetSettings


def save_picture(path: Path, width: int = 64, height: int = 64, seed: int = 0) -> Path:
    """A picture with sharp edges, different for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = np.random.default_rng(seed).integers(0, 255, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(cells).resize((width, height), Image.Resampling.NEAREST).save(path)
    return path


def make_set(folder: Path, captions: Mapping[str, str | bytes | None]) -> Path:
    """A picture for every name, with its caption; ``None`` gives none."""
    for seed, (name, caption) in enumerate(captions.items()):
        picture = save_picture(folder / name, seed=seed)
        if caption is not None:
            data = caption.encode() if isinstance(caption, str) else caption
            picture.with_suffix(".txt").write_bytes(data)
    return folder.resolve()


def open_editor(folder: Path, cache: Path | None = None, **settings: object) -> CaptionEditor:
    """An editor of ``folder``, its sizes read."""
    cache = cache or folder.parent / "cache" / "facts.json"
    editor = CaptionEditor(folder.resolve(), DatasetSettings(**settings), cache, TokenCounter(None))
    editor.read_sizes()
    return editor


def numbers(editor: CaptionEditor, *names: str) -> list[int]:
    """The numbers of the pictures of these names."""
    return [editor.index.of_path(name).id for name in names]


def names(editor: CaptionEditor, found: object) -> list[str]:
    """The names of the pictures in a set or of these numbers."""
    ids = editor.index.members(found, editor.order()) if isinstance(found, int) else found
    return [editor.index.entries[number].path for number in ids]


def texts(folder: Path) -> dict[str, str]:
    """All captions of ``folder``."""
    return {path.relative_to(folder).as_posix(): path.read_bytes().decode() for path in sorted(folder.rglob("*.txt"))
            if not any(part.startswith(".") for part in path.relative_to(folder).parts)}
