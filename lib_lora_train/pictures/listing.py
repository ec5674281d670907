"""The contents of a dataset's folder, for the caption editor: every image and its caption file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import DatasetError
from ..files.confine import MOST_LEVELS, is_inside
from ..files.swap import Stamp
from ..files.walk import is_file, is_folder, natural_key, why_no_file
from .folders import REGULARIZATION_FOLDER, LeftOut
from .images import is_picture_name
from .masks.find import FolderMasks, masks_in
from .weights import weight_file


@dataclass(frozen=True)
class PictureFile:
    """An image. ``path``, ``caption``, which need not exist, and ``mask`` are relative to the folder, with ``/``.

    ``mask`` is empty if the image has none; ``mask_version`` changes with the file. ``weight_stamp`` is ``None`` if it
    has no weight file.
    """

    path: str
    modified_ns: int
    size: int
    caption: str
    mask: str = ""
    mask_version: str = ""
    weight_stamp: Stamp | None = None


@dataclass
class Listing:
    """The images by folder and name, the stamps of existing caption files, and what is skipped.

    ``blocked`` are caption files that must not be touched, with the reason as a sentence.
    """

    pictures: list[PictureFile] = field(default_factory=list)
    captions: dict[str, Stamp] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)


def list_folder(folder: Path, caption_extension: str) -> Listing:
    """All images in ``folder`` and its subfolders, except masks, hidden ones and the top-level ``reg`` folder.

    ``folder`` must be resolved; links out of it are not followed. Raises ``DatasetError`` if it cannot be read.
    """
    listing = Listing()
    for relative, entries, masks in _walk(str(folder), listing):
        _add_pictures(str(folder), relative, entries, masks, caption_extension, listing)
    return listing


def _walk(root: str, listing: Listing) -> Iterator[tuple[str, list[os.DirEntry[str]], FolderMasks]]:
    """Each folder with its entries and masks, top-down and sorted by name."""
    waiting = [""]
    while waiting:
        relative = waiting.pop()
        try:
            with os.scandir(os.path.join(root, relative)) as found:
                entries = sorted(found, key=lambda entry: natural_key(entry.name))
        except OSError as problem:
            if not relative:
                raise DatasetError(f"The folder {root} cannot be read: {problem.strerror}.") from problem
            listing.left_out.append(LeftOut(Path(root, relative), f"it cannot be read: {problem.strerror}"))
            continue
        masks = masks_in(os.path.join(root, relative), [entry.name for entry in entries])
        yield relative, entries, masks
        walked = [entry for entry in entries if entry.name not in masks.folders]
        waiting += reversed(list(_folders_to_walk(root, relative, walked, listing)))


def _folders_to_walk(root: str, relative: str, entries: list[os.DirEntry[str]], listing: Listing) -> Iterator[str]:
    for entry in entries:
        path = f"{relative}/{entry.name}" if relative else entry.name
        if entry.name.startswith(".") or (not relative and entry.name.lower() == REGULARIZATION_FOLDER):
            continue
        if entry.is_symlink():
            if is_folder(entry) and not is_inside(root, entry.path):
                listing.left_out.append(LeftOut(Path(entry.path),
                                                "it is a link that leads out of the dataset's folder"))
        elif is_folder(entry) and path.count("/") + 2 > MOST_LEVELS:
            listing.left_out.append(LeftOut(Path(entry.path), f"it lies {MOST_LEVELS} folders deep or more"))
        elif is_folder(entry):
            yield path


def _add_pictures(root: str, folder: str, entries: list[os.DirEntry[str]], masks: FolderMasks, extension: str,
                  listing: Listing) -> None:
    files = {entry.name: entry for entry in entries if is_file(entry)}
    _add_what_is_no_file(entries, listing)
    by_lower = {name.lower(): name for name in files}
    prefix = f"{folder}/" if folder else ""
    for name, entry in files.items():
        if not is_picture_name(name) or name in masks.names:
            continue
        if entry.is_symlink() and not is_inside(root, entry.path):
            listing.left_out.append(LeftOut(Path(entry.path), "it is a link that leads out of the dataset's folder"))
            continue
        try:
            state = entry.stat()
            wanted = os.path.splitext(name)[0] + extension
            caption = wanted if wanted in files else by_lower.get(wanted.lower(), wanted)
            if caption not in files:
                pass
            elif files[caption].is_symlink() and not is_inside(root, files[caption].path):
                listing.blocked[prefix + caption] = (
                    f"{prefix}{caption} is a link that leads out of the dataset's folder.")
            else:
                listing.captions[prefix + caption] = Stamp.of(os.stat(files[caption].path))
            weight = files.get(weight_file(name))
            weight_stamp = None if weight is None else Stamp.of(os.stat(weight.path))
        except FileNotFoundError:  # deleted meanwhile
            continue
        mask, version = _mask_of(name, masks, os.path.join(root, folder))
        listing.pictures.append(PictureFile(prefix + name, state.st_mtime_ns, state.st_size, prefix + caption,
                                            mask and prefix + mask, version, weight_stamp))


def _mask_of(name: str, masks: FolderMasks, folder: str) -> tuple[str, str]:
    """The mask of an image, relative to its folder, and its version; empty if there is none."""
    mask = masks.of(name)
    if mask is None:
        return "", ""
    try:
        state = os.stat(os.path.join(folder, mask))
    except OSError:
        return "", ""
    return mask, version_of(state)


def version_of(state: os.stat_result) -> str:
    """A text that changes when a file's content does."""
    return f"{state.st_mtime_ns:x}-{state.st_size:x}"


def _add_what_is_no_file(entries: list[os.DirEntry[str]], listing: Listing) -> None:
    for entry in entries:
        if not entry.name.startswith(".") and not is_file(entry) and not is_folder(entry):
            listing.left_out.append(LeftOut(Path(entry.path), why_no_file(entry), int(is_picture_name(entry.name))))
