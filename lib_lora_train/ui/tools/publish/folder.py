"""A folder ready for upload: a copy of the LoRA, the card as README.md, the cover, and samples with their prompts."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ....errors import CheckpointError, RunError
from ....files.confine import RESERVED_ON_WINDOWS
from ....files.safetensors_header import read_safetensors_header
from ....files.safetensors_metadata import change_metadata
from ....files.writing import writing
from .paths import PrivateFolders
from .private import private_changes

README, COVER, IMAGES = "README.md", "cover.png", "images"
_MOST_FOLDERS = 1000
_ENDING = ".safetensors"


@dataclass(frozen=True)
class PublishedFolder:
    """What was written: the ``folder``, its ``files`` by relative path, and what was ``left_out`` of them.

    ``linked``: the copy is a hard link, which takes no space, since nothing in it had to change.
    """

    name: str
    folder: str
    files: tuple[str, ...]
    left_out: tuple[str, ...]
    linked: bool


def write_folder(place: Path, lora: Path, readme: str, cover: bytes | None, images: Sequence[bytes], *,
                 without_dataset: bool, kept: str, known: PrivateFolders) -> PublishedFolder:
    """Write everything into the first free folder of ``place`` named after ``lora``; an existing one is never touched.

    ``kept`` and ``known`` are for ``private_changes``. It is written under another name first, so that a folder with
    that name is complete. Raises ``WriteError`` if the disk is full or cannot be written, with nothing left behind.
    """
    unfinished = place / f".{uuid.uuid4().hex[:8]}.tmp"
    try:
        with writing(unfinished):
            unfinished.mkdir(parents=True)
        changes, left_out = planned_changes(lora, without_dataset=without_dataset, kept=kept, known=known)
        linked = _copy(lora, unfinished / lora.name, changes)
        _write(unfinished / README, readme.encode("utf-8"))
        if cover is not None:
            _write(unfinished / COVER, cover)
        for number, image in enumerate(images, start=1):
            _write(unfinished / image_place(number), image)
        files = tuple(sorted(path.relative_to(unfinished).as_posix() for path in unfinished.rglob("*")
                             if path.is_file()))
        folder = _to_free_name(unfinished, place, _safe(lora.stem))
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return PublishedFolder(folder.name, str(folder), files, tuple(left_out), linked)


def image_place(number: int) -> str:
    """The relative path of sample ``number``, from 1."""
    return f"{IMAGES}/{number:02d}.png"


def planned_changes(lora: Path, *, without_dataset: bool, kept: str,
                    known: PrivateFolders) -> tuple[dict[str, str | None], list[str]]:
    """What ``private_changes`` would change in a copy of ``lora``. Raises ``CheckpointError`` if it cannot be read."""
    if lora.suffix.lower() != _ENDING:
        return {}, [f"Not left out: whatever {lora.name} holds beside its weights. It is an old kind of file, which is "
                    "copied as it is."]
    try:
        metadata = read_safetensors_header(Path(os.path.realpath(lora))).metadata
    except (OSError, ValueError) as problem:
        raise CheckpointError(f"{lora.name} is damaged or no .safetensors file, so it is not copied. Download or "
                              "copy it again.") from problem
    return private_changes(metadata, without_dataset=without_dataset, kept=kept, known=known)


def _copy(lora: Path, target: Path, changes: dict[str, str | None]) -> bool:
    """Copy ``lora`` to ``target`` with ``changes`` to its metadata; whether it is a hard link.

    Changing the metadata of a link writes a new file, so the original stays as it is.
    """
    real = Path(os.path.realpath(lora))
    size = real.stat().st_size
    linked = _link(real, target)
    if not linked:
        with writing(target, size):
            shutil.copyfile(real, target)
    if changes:
        change_metadata(target, changes)
    return linked and not changes


def _link(real: Path, target: Path) -> bool:
    try:
        os.link(real, target)
    except (OSError, NotImplementedError, AttributeError):  # another disk, or a disk without hard links
        return False
    return True


def _write(path: Path, content: bytes) -> None:
    with writing(path, len(content)):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def _to_free_name(unfinished: Path, place: Path, name: str) -> Path:
    for number in range(1, _MOST_FOLDERS):
        folder = place / (name if number == 1 else f"{name}-{number}")
        if os.path.lexists(folder):
            continue
        with contextlib.suppress(FileExistsError), writing(folder):
            unfinished.rename(folder)
            return folder
    raise RunError(f"There are too many folders named {name} in {place}. Move some of them away.")


def _safe(stem: str) -> str:
    name = stem.strip(" .") or "lora"
    return f"{name}-lora" if name.lower().partition(".")[0] in RESERVED_ON_WINDOWS else name
