"""Where the files of an import go in the dataset: images with their captions and masks, duplicates, and the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...files.confine import open_inside
from ...files.walk import natural_key
from ...pictures.folders import split_folder_name
from ...pictures.masks.find import FOLDERS, MARKS, masks_among
from ..editor.editor import CaptionEditor
from ..editor.index import Entry
from .intake import Arrived, Intake
from .names import FreeNames, parts_of, safe_name, split_ending

_PIECE = 1 << 20


@dataclass(frozen=True)
class IntakeChoice:
    """What the user decides: the ``folder`` of the dataset, whether subfolders of the import are kept in it, and
    whether images that the dataset has already are added again.
    """

    folder: str = ""
    keep_folders: bool = False
    duplicates: bool = False


@dataclass(frozen=True)
class Placed:
    """An arrived file and its path in the dataset."""

    file: Arrived
    target: str


@dataclass
class Arrangement:
    """The files to add, by kind; ``same`` are skipped images, each with the image of the same content.

    ``left`` are files that are not added, each with its reason as a clause.
    """

    images: list[Placed] = field(default_factory=list)
    captions: list[Placed] = field(default_factory=list)
    masks: list[Placed] = field(default_factory=list)
    same: list[tuple[str, str]] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class _Group:
    """An image with the caption files and masks that came with it."""

    image: Arrived
    captions: list[Arrived] = field(default_factory=list)
    mask: Arrived | None = None


def has_concept_folders(files: Sequence[Arrived]) -> bool:
    """Whether the import has ``<repeats>_<concept>`` folders, which mean something in training."""
    depth = _common_depth(files)
    return any(split_folder_name(part) for file in files for part in parts_of(file.path)[depth:-1])


def arrange(editor: CaptionEditor, intake: Intake, choice: IntakeChoice, known: dict[str, str]) -> Arrangement:
    """Decide where the files of ``intake`` go. Nothing is written.

    ``known`` caches the digests of images in the dataset between calls. Raises ``DatasetError`` if one cannot be read.
    """
    found = Arrangement(left=list(intake.left))
    files = sorted(intake.arrived, key=lambda file: natural_key(file.path))
    groups, alone = _grouped(files)
    digests = _digests_of_set(editor, {file.size for file in files}, known)
    places = _Places(editor, choice, _common_depth(files))
    seen: dict[str, str] = {}
    for group in groups:
        same = digests.get(group.image.digest) or seen.get(group.image.digest)
        seen.setdefault(group.image.digest, group.image.path)
        if same and not choice.duplicates:
            found.same.append((group.image.path, same))
        else:
            _place(group, places, found, editor.settings.caption_extension)
    _place_alone(alone, places, found, editor)
    return found


class _Places:
    """Folders and free names in the dataset for arrived files."""

    def __init__(self, editor: CaptionEditor, choice: IntakeChoice, depth: int) -> None:
        self._editor, self._choice, self._depth = editor, choice, depth
        self._names: dict[str, FreeNames] = {}

    def folder_of(self, path: str) -> str:
        """The folder for an arrived file; a folder that differs in case only is taken as the one that is there."""
        folder = self._choice.folder
        for part in parts_of(path)[self._depth:-1] if self._choice.keep_folders else ():
            folder = self._existing(folder, safe_name(part, "folder"))
        return folder

    def stem_in(self, folder: str, stem: str, endings: tuple[str, ...]) -> str:
        if folder not in self._names:
            place = self._editor.folder / folder
            self._names[folder] = FreeNames({path.name for path in place.iterdir()} if place.is_dir() else set())
        return self._names[folder].free(stem, endings)

    def _existing(self, folder: str, part: str) -> str:
        place = self._editor.folder / folder
        names = [path.name for path in place.iterdir() if path.is_dir()] if place.is_dir() else []
        name = next((name for name in names if name.casefold() == part.casefold()), part)
        return f"{folder}/{name}" if folder else name


def _common_depth(files: Iterable[Arrived]) -> int:
    """The number of folders that everything came in and whose names say nothing about training."""
    folders = [parts_of(file.path)[:-1] for file in files]
    for depth, names in enumerate(zip(*folders, strict=False)):
        name = names[0]
        if len(set(names)) > 1 or split_folder_name(name) is not None or name.casefold() in FOLDERS:
            return depth
    return min(map(len, folders), default=0)


def _grouped(files: Sequence[Arrived]) -> tuple[list[_Group], list[Arrived]]:
    """Each image with its captions and mask, and the captions and masks without an image."""
    pictures = {file.path: file for file in files if not file.is_caption}
    masks = _masks(pictures)
    groups = {file.path: _Group(file) for path, file in pictures.items() if path not in masks}
    by_stem: dict[str, list[_Group]] = {}
    for group in groups.values():
        by_stem.setdefault(_key(group.image.path), []).append(group)
    alone = []
    for file in files:
        if not file.is_caption and file.path not in masks:
            continue
        owners = by_stem.get(masks[file.path] if file.path in masks else _key(file.path), [])
        for group in owners:
            if file.is_caption:
                group.captions.append(file)
            elif group.mask is None:
                group.mask = file
        if not owners:
            alone.append(file)
    return list(groups.values()), alone


def _masks(pictures: Mapping[str, Arrived]) -> dict[str, str]:
    """The masks among ``pictures``, each with the key of its image: by name, or in a folder ``mask`` beside it."""
    keys = {_key(path) for path in pictures}
    by_folder: dict[str, list[str]] = {}
    for path in pictures:
        by_folder.setdefault("/".join(parts_of(path)[:-1]), []).append(path)
    masks = {}
    for folder, paths in by_folder.items():
        names = {path: parts_of(path)[-1] for path in paths}
        among = masks_among(names.values())
        parent, _, last = folder.rpartition("/")
        for path, name in names.items():
            beside = f"{parent}/{_key(name)}".lstrip("/")
            if name in among:
                masks[path] = f"{folder}/{among[name]}".lstrip("/").casefold()
            elif last.casefold() in FOLDERS and _without_mark(beside) in keys:
                masks[path] = _without_mark(beside)
            elif last.casefold() in FOLDERS and beside in keys:
                masks[path] = beside
    return masks


def _key(path: str) -> str:
    """What an image, its caption and its mask have in common: the path without its extension."""
    parts = parts_of(path)
    return "/".join((*parts[:-1], split_ending(parts[-1])[0])).casefold()


def _without_mark(key: str) -> str:
    return next((key.removesuffix(mark) for mark in MARKS if key.endswith(mark)), key)


def _place(group: _Group, places: _Places, found: Arrangement, extension: str) -> None:
    image = group.image
    stem, _ = split_ending(parts_of(image.path)[-1])
    folder = places.folder_of(image.path)
    mask_ending = f"{MARKS[0]}{group.mask.ending}" if group.mask else f"{MARKS[0]}.png"
    free = places.stem_in(folder, safe_name(stem), (image.ending, extension, mask_ending))
    begin = f"{folder}/{free}" if folder else free
    found.images.append(Placed(image, begin + image.ending))
    for caption in sorted(group.captions, key=lambda file: file.ending != extension):
        if any(placed.target == begin + extension for placed in found.captions[-1:]):
            found.left.append((caption.path, "the image has another caption file, which is used"))
        else:
            found.captions.append(Placed(caption, begin + extension))
    if group.mask:
        found.masks.append(Placed(group.mask, begin + mask_ending))


def _place_alone(files: Sequence[Arrived], places: _Places, found: Arrangement, editor: CaptionEditor) -> None:
    """Captions without an image of the import go to the image of that name in the set, if it has none."""
    by_stem: dict[str, list[Entry]] = {}
    for entry in editor.index.entries.values():
        by_stem.setdefault(split_ending(entry.name)[0].casefold(), []).append(entry)
    used: set[str] = set()
    for file in files:
        if not file.is_caption:
            found.left.append((file.path, "it is a mask whose image was not added"))
            continue
        stem = safe_name(split_ending(parts_of(file.path)[-1])[0]).casefold()
        entries = by_stem.get(stem, [])
        folder = places.folder_of(file.path)
        here = [entry for entry in entries if entry.folder == folder] or entries
        target = here[0].caption.path if len(here) == 1 else ""
        if not here:
            found.left.append((file.path, "there is no image of that name"))
        elif len(here) > 1:
            found.left.append((file.path, f"{len(here)} images have that name"))
        elif here[0].caption.stamp is not None or target in used:
            found.left.append((file.path, f"{here[0].path} has a caption already, which is kept"))
        else:
            used.add(target)
            found.captions.append(Placed(file, target))


def _digests_of_set(editor: CaptionEditor, sizes: set[int], known: dict[str, str]) -> dict[str, str]:
    """The digests of the images in the dataset that have one of these sizes, each with the image's path."""
    found = {}
    for entry in list(editor.index.entries.values()):
        if entry.file.size in sizes:
            stamp = f"{entry.path}\0{entry.file.modified_ns}"
            if stamp not in known:
                known[stamp] = _digest(editor.folder, entry.path)
            found[known[stamp]] = entry.path
    return found


def _digest(folder: Path, path: str) -> str:
    digest = hashlib.sha256()
    with open_inside(folder, path) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
