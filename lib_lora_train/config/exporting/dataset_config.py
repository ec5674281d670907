"""Exports the folders of a job as subsets of a ``--dataset_config`` for sd-scripts, whose command line reads repeats
from folder names only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from ..concepts import AS_FOR_ALL, ConceptSettings
from ..groups.dataset import DatasetSettings


@dataclass(frozen=True)
class SubsetFolder:
    """A folder with images: ``repeats`` as its name says, ``concept`` is the caption of images without their own.

    ``masks`` is a folder of masks named like the images; ``masks_beside``: whether masks lie among the images.
    """

    path: PurePath
    repeats: int
    concept: str = ""
    masks: PurePath | None = None
    masks_beside: bool = False


@dataclass(frozen=True)
class Folders:
    """The folders with images in ``train_data_dir`` and in ``reg_data_dir``, and how many weight files are in them."""

    trained: tuple[SubsetFolder, ...]
    regularization: tuple[SubsetFolder, ...] = ()
    weight_files: int = 0


@dataclass(frozen=True)
class DatasetConfig:
    """A dataset configuration: shared settings, subsets, and sentences about what is missing."""

    general: Mapping[str, Any]
    subsets: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()


def dataset_config(dataset: DatasetSettings, folders: Folders | None) -> DatasetConfig | None:
    """The dataset configuration of ``dataset``; ``None`` if the command line can express everything.

    ``folders`` is ``None`` if the folders cannot be read; those named in ``concept_settings`` are used then. Raises
    ``ValueError`` if ``concept_settings`` are invalid.
    """
    own = dataset.by_folder
    notes = []
    if folders is None:
        if not own:
            return None
        folders = _named_folders(dataset, own)
        notes.append("dataset.train_data_dir: the folder cannot be read here, so the dataset configuration has only "
                     "the folders of concept_settings. Add a subset for each of the others.")
        if dataset.reg_data_dir:
            notes.append("dataset.reg_data_dir: if its images are in numbered folders, replace its subset in the "
                         "dataset configuration by one for each of them.")
    elif not own and not _are_flat(dataset, folders) and not dataset.masked_loss:
        return None
    if dataset.masked_loss:
        folders = _with_masks(dataset, folders)
        notes += _about_masks(dataset, folders)
    unknown = sorted(own.keys() - {folder.path.name for folder in folders.trained})
    notes += [f"dataset.concept_settings has a line for {name}, but there is no such folder with images in "
              f"{dataset.train_data_dir}." for name in unknown]
    notes += [f"dataset.concept_settings gives {name} the loss weight {settings.loss_weight:g}; sd-scripts has no such "
              "setting." for name, settings in own.items() if settings.loss_weight is not None]
    general = {name: getattr(dataset, name) for name in ("keep_tokens", "flip_aug")
               if any(getattr(settings, name) is not None for settings in own.values())}
    trained = [_subset(folder, own.get(folder.path.name, AS_FOR_ALL)) for folder in folders.trained]
    of_class = [{**_subset(folder, AS_FOR_ALL), "is_reg": True} for folder in folders.regularization]
    return DatasetConfig(general, (*trained, *of_class), tuple(notes))


def _subset(folder: SubsetFolder, own: ConceptSettings) -> dict[str, Any]:
    repeats = folder.repeats if own.dataset_repeats is None else own.dataset_repeats
    values = {"image_dir": str(folder.path), "num_repeats": repeats, "class_tokens": folder.concept or None,
              "keep_tokens": own.keep_tokens, "flip_aug": own.flip_aug,
              "conditioning_data_dir": None if folder.masks is None else str(folder.masks)}
    return {name: value for name, value in values.items() if value is not None}


def _with_masks(dataset: DatasetSettings, folders: Folders) -> Folders:
    """``folders`` with ``conditioning_data_dir`` where a folder has no masks of its own."""
    given = _path(dataset.conditioning_data_dir) if dataset.conditioning_data_dir else None
    return replace(folders, trained=tuple(folder if folder.masks else replace(folder, masks=given)
                                          for folder in folders.trained))


def _about_masks(dataset: DatasetSettings, folders: Folders) -> Iterator[str]:
    beside = [folder.path.name for folder in folders.trained if folder.masks_beside]
    if beside:
        yield (f"dataset.masked_loss: masks such as penny-mask.png lie among the images of {', '.join(beside)}. "
               "sd-scripts takes them for images, and reads masks only from another folder, named like their images: "
               "move them there, and give it as conditioning_data_dir of the subset.")
    elif not any(folder.masks for folder in folders.trained):
        yield ("dataset.masked_loss: no mask folder is known here. Add conditioning_data_dir to the subsets of the "
               "dataset configuration.")


def _are_flat(dataset: DatasetSettings, folders: Folders) -> bool:
    """Whether a chosen folder contains images directly. sd-scripts reads only its numbered subfolders."""
    return any(folder.path == type(folder.path)(chosen) for chosen, found in (
        (dataset.train_data_dir, folders.trained), (dataset.reg_data_dir or "", folders.regularization))
        for folder in found)


def _named_folders(dataset: DatasetSettings, own: Mapping[str, ConceptSettings]) -> Folders:
    chosen = _path(dataset.train_data_dir)
    trained = (SubsetFolder(chosen if name == chosen.name else chosen / name, *_number_and_concept(name))
               for name in own)
    return Folders(tuple(trained), tuple(_named_regularization(dataset)))


def _named_regularization(dataset: DatasetSettings) -> Iterator[SubsetFolder]:
    if dataset.reg_data_dir:
        path = _path(dataset.reg_data_dir)
        yield SubsetFolder(path, *_number_and_concept(path.name))


def _number_and_concept(name: str) -> tuple[int, str]:
    number, _, rest = name.partition("_")
    return (int(number), rest.replace("_", " ").strip()) if number.isascii() and number.isdigit() else (1, "")


def _path(text: str) -> PurePath:
    return (PureWindowsPath if "\\" in text or text[1:2] == ":" else PurePosixPath)(text)
