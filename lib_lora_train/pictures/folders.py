"""The folder layout of a dataset: concept folders with repeats."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

from ..config.exporting.dataset_config import Folders, SubsetFolder
from ..config.groups.dataset import DatasetSettings
from ..errors import DatasetError
from ..files.walk import is_file, is_folder
from .images import PICTURE_ENDINGS, is_picture_name
from .masks.find import masks_among, masks_in
from .problems import Problem, count_of, names_of
from .weights import WEIGHT_ENDING

_MANY_REPEATS = 500
CACHE_FOLDER = ".lora_train_cache"
REGULARIZATION_FOLDER = "reg"


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is skipped; ``pictures`` is the number of images lost."""

    path: Path
    reason: str
    pictures: int = 1


@dataclass(frozen=True)
class ConceptFolder:
    """A folder of training images. ``concept`` is empty if the folder's name has none."""

    path: Path
    concept: str
    repeats: int
    repeats_from_name: bool


@dataclass(frozen=True)
class Layout:
    """The concept folders, what is skipped, and notes for the user."""

    concepts: tuple[ConceptFolder, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...] = ()


def split_folder_name(name: str) -> tuple[int, str] | None:
    """``10_red_penny`` as (10, "red penny"), as in sd-scripts; None if it does not begin with a number above 0."""
    number, _, rest = name.partition("_")
    if not number.isascii() or not number.isdigit() or int(number) < 1:
        return None
    return int(number), rest.replace("_", " ").strip()


def find_layout(folder: Path, repeats: int, aside: Path | None = None) -> Layout:
    """Find the concept folders in ``folder``, or use it as a single one with ``repeats`` repeats.

    ``aside`` is a folder that is none of them, such as one of masks.
    Raises ``DatasetError`` if it is missing or has no images in the expected places, with a hint if there are some
    elsewhere.
    """
    _check_exists(folder)
    own_pictures = count_pictures(folder)
    concepts, left_out = [], []
    for path in sorted(subfolders(folder)):
        if aside is not None and os.path.realpath(path) == os.path.realpath(aside):
            continue
        named = split_folder_name(path.name)
        try:
            inside = count_pictures(path)
        except OSError as problem:
            left_out.append(LeftOut(path, f"it cannot be read: {problem.strerror}", 0))
            continue
        if path.name.lower() == REGULARIZATION_FOLDER:
            left_out.append(LeftOut(path, "it is only used if reg_data_dir names it", _pictures_below(path)))
        elif named is None and inside:
            left_out.append(LeftOut(path, "its name does not begin with a number of repeats, such as "
                                          f"1_{path.name}", inside))
        elif named is not None and inside:
            concepts.append(ConceptFolder(path, named[1], named[0], True))
        elif named is not None:
            left_out.append(LeftOut(path, "there are no images in it", 0))
    if concepts:
        if own_pictures:
            left_out.append(LeftOut(folder, f"{count_of(own_pictures, 'image')} beside the concept folders; move "
                                            "them into one of them", own_pictures))
        return Layout(tuple(concepts), tuple(left_out + _deeper(concepts)))
    if own_pictures:
        return _single(folder, repeats, left_out)
    raise DatasetError(_nothing_here(folder, left_out))


def folders_to_export(settings: DatasetSettings) -> Folders | None:
    """The folders with images that a dataset configuration names; ``None`` if they cannot be read here."""
    if not settings.train_data_dir:
        return None
    try:
        aside = Path(settings.conditioning_data_dir) if settings.conditioning_data_dir else None
        trained = find_layout(Path(settings.train_data_dir), settings.dataset_repeats, aside)
        of_class = find_layout(Path(settings.reg_data_dir), 1) if settings.reg_data_dir else Layout((), ())
    except (DatasetError, OSError):
        return None
    weights = sum(1 for concept in (*trained.concepts, *of_class.concepts)
                  for file in concept.path.iterdir() if file.name.endswith(WEIGHT_ENDING))
    conditioning = Path(settings.conditioning_data_dir) if settings.conditioning_data_dir else None
    return Folders(tuple(_subset(concept, settings.masked_loss, conditioning) for concept in trained.concepts),
                   tuple(_subset(concept, settings.masked_loss, None) for concept in of_class.concepts), weights)


def _subset(concept: ConceptFolder, with_masks: bool, conditioning: Path | None) -> SubsetFolder:
    """``concept`` with its folder of masks: ``mask`` in it, or its namesake in ``conditioning``."""
    subset = SubsetFolder(concept.path, concept.repeats, concept.concept)
    if not with_masks:
        return subset
    masks = masks_in(concept.path, [path.name for path in concept.path.iterdir()])
    places = [concept.path / name for name in sorted(masks.folders)]
    if conditioning is not None and (conditioning / concept.path.name).is_dir():
        places.append(conditioning / concept.path.name)
    return replace(subset, masks=places[0] if places else None, masks_beside=bool(masks.names))


def many_repeats(concepts: list[ConceptFolder]) -> list[Problem]:
    """A warning for each folder name with hundreds of repeats, such as a year."""
    found = []
    for concept in concepts:
        if concept.repeats < _MANY_REPEATS or not concept.repeats_from_name:
            continue
        name = concept.path.name
        rest = name.partition("_")[2] or "images"
        year = f" If {concept.repeats} is a year, rename" if 1900 <= concept.repeats < 2100 else " Else rename"
        found.append(Problem("warning", f"{name} begins with {concept.repeats}, so each of its images is repeated "
                                        f"{concept.repeats} times an epoch.{year} the folder to 1_{rest}.",
                             (concept.path,)))
    return found


def subfolders(folder: Path) -> list[Path]:
    """The folders in ``folder``, without hidden ones and those of masks."""
    with os.scandir(folder) as found:
        entries = list(found)
    masks = masks_in(folder, [entry.name for entry in entries]).folders
    return [Path(entry.path) for entry in entries
            if is_folder(entry) and not entry.name.startswith(".") and entry.name not in masks]


def count_pictures(folder: Path) -> int:
    """The number of image files directly in ``folder``, without hidden ones and masks. Raises ``OSError``."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if is_picture_name(entry.name) and is_file(entry)]
    return len(names) - len(masks_among(names))


def _check_exists(folder: Path) -> None:
    if not folder.exists():
        raise DatasetError(f"There is no folder {folder}. Check the path, or make the folder and put images in it.")
    if not folder.is_dir():
        raise DatasetError(f"{folder} is a file. Give the folder with the images, such as {folder.parent}.")
    try:
        os.scandir(folder).close()
    except OSError as problem:
        raise DatasetError(f"The folder {folder} cannot be read: {problem.strerror}. Give yourself the right to "
                           "read it.") from problem


def _single(folder: Path, repeats: int, left_out: list[LeftOut]) -> Layout:
    named = split_folder_name(folder.name)
    if named is None:
        return Layout((ConceptFolder(folder, "", repeats, False),), tuple(left_out))
    note = (f"The folder's own name, {folder.name}, says that each image is seen {count_of(named[0], 'time')} an "
            f"epoch. Rename it if that is not meant.")
    return Layout((ConceptFolder(folder, named[1], named[0], True),), tuple(left_out), (note,))


def _deeper(concepts: list[ConceptFolder]) -> list[LeftOut]:
    return [LeftOut(path, "folders inside a concept folder are ignored", inside)
            for concept in concepts for path in sorted(subfolders(concept.path)) if (inside := _pictures_below(path))]


def _pictures_below(folder: Path) -> int:
    """The number of images in ``folder`` and its subfolders, ignoring unreadable ones, since it is skipped anyway."""
    total = 0
    with contextlib.suppress(OSError):
        total = count_pictures(folder)
        for inside in subfolders(folder):
            with contextlib.suppress(OSError):
                total += count_pictures(inside)
    return total


def _nothing_here(folder: Path, left_out: list[LeftOut]) -> str:
    """The message that there is nothing to train on, with a hint where the images seem to be."""
    for inside in sorted(subfolders(folder)):
        below = _numbered_with_pictures(inside)
        if below:
            return (f"{folder} has no images of its own and no <repeats>_<concept> folders, but {inside} has "
                    f"{below[0].name}. Give {inside} as the dataset folder.")
    unnumbered = [item for item in left_out if item.pictures and item.path.name.lower() != REGULARIZATION_FOLDER]
    if len(unnumbered) == 1:
        item = unnumbered[0]
        return (f"{folder} has no images of its own, but {count_of(item.pictures, 'image')} in {item.path}. Give "
                f"that folder, or rename it to 1_{item.path.name}.")
    if unnumbered:
        names = ", ".join(item.path.name for item in unnumbered[:5])
        return (f"{folder} has no images of its own, and none of its folders ({names}) begins with a number of "
                f"repeats. Rename them, such as {unnumbered[0].path.name} to 1_{unnumbered[0].path.name}.")
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    what = f"only files of other kinds ({names_of(files)})" if files else "nothing that could be one"
    return f"There are no images in {folder}, {what}. Put {', '.join(PICTURE_ENDINGS)} files into it."


def _numbered_with_pictures(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):  # an unreadable folder cannot be suggested
        return [path for path in sorted(subfolders(folder)) if split_folder_name(path.name) and count_pictures(path)]
    return []
