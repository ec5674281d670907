"""Imports ``--dataset_config`` of sd-scripts: datasets with subsets, each with its own settings.

A job here has one folder; its subfolders can have their own repeats, keep tokens and flips.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from .places import FOLDER, file_name
from .sd_defaults import fill_dataset_defaults
from .sd_scripts import take_option
from .taking import Option, Options, Taking

_RENAMED = {"batch_size": "train_batch_size", "num_repeats": "dataset_repeats"}
_OF_FOLDERS = {"num_repeats": "dataset_repeats", "keep_tokens": "keep_tokens", "flip_aug": "flip_aug"}
_OWN_REASONS = {
    "class_tokens": "An image without a caption file has no caption here. Put the words into caption files.",
    "metadata_file": "Captions are read from text files beside the images here, not from a metadata JSON.",
    "network_multiplier": "The network has the same strength for every image here.",
    "custom_attributes": "Images have no attributes of their own here.",
    "conditioning_data_dir": "Masks are read from the alpha channel of the images here; see alpha_mask."}
_MOST_SUBSETS = 1000

Subset = dict[str, Any]


def is_dataset_config(tables: Mapping[str, Any]) -> bool:
    """Whether ``tables`` are a dataset configuration."""
    datasets = tables.get("datasets")
    return isinstance(datasets, list) and all(isinstance(dataset, Mapping) for dataset in datasets)


def take_dataset_config(tables: Mapping[str, Any], taking: Taking, *, defaults: bool = True) -> None:
    """Import everything in a dataset configuration."""
    general = _table(tables.get("general"))
    datasets = [_table(dataset) for dataset in tables.get("datasets", [])]
    first = {**general, **_plain(datasets[0] if datasets else {})}
    for number, dataset in enumerate(datasets[1:], 2):
        for name, value in _plain(dataset).items():
            if first.get(name) != value:
                taking.drop(Option(f"datasets[{number}].{name}", value),
                            "All images share one resolution, one batch size and one kind of buckets here. Train "
                            "twice for a second one.")
    subsets = [{**general, **_plain(dataset), **_table(subset)} for dataset in datasets
               for subset in _subsets(dataset)][:_MOST_SUBSETS]
    take_subsets(subsets, first, taking, defaults=defaults)
    for name, value in tables.items():
        if name not in ("general", "datasets"):
            taking.not_known(Option(name, value))


def take_subsets(subsets: Sequence[Subset], dataset: Mapping[str, Any], taking: Taking, *, defaults: bool) -> None:
    """Import the folders of ``subsets`` with their settings, and the shared settings of ``dataset``."""
    trained = [subset for subset in subsets if not subset.get("is_reg")]
    regularization = [subset for subset in subsets if subset.get("is_reg")]
    used = _take_folders(trained, taking)
    _take_regularization(regularization, taking)
    options = _shared_options(used, dataset, taking)
    for name, option in options.items():
        if name in _OWN_REASONS:
            taking.drop(option, _OWN_REASONS[name])
        else:
            take_option(_RENAMED.get(name, name), option, taking)
    if defaults:
        fill_dataset_defaults(frozenset(options), taking)


def _take_folders(subsets: Sequence[Subset], taking: Taking) -> list[Subset]:
    """Set the folder and per-folder settings; returns the subsets that are trained on."""
    if not subsets:
        return []
    folders = [str(subset.get("image_dir") or "") for subset in subsets]
    if len(subsets) == 1 or len(set(folders)) == 1:
        return _take_one(subsets[0], taking)
    parents = Counter(_parent(folder) for folder in folders)
    parent = parents.most_common(1)[0][0]
    used = []
    for subset, folder in zip(subsets, folders, strict=True):
        if _parent(folder) == parent:
            used.append(subset)
        else:
            taking.drop(Option("image_dir", folder), f"All folders of a job lie in one folder, which is {parent} "
                                                     "here. Move this one there.")
    if len(used) == 1:
        return _take_one(used[0], taking)
    option = Option("image_dir", ", ".join(file_name(str(subset["image_dir"])) for subset in used))
    found, why = taking.places.find(FOLDER, parent)
    if found is None:
        taking.drop(option, why)
    else:
        taking.take(option, {"dataset.train_data_dir": found}, _why_parent(used, parent))
    _take_own(used, taking)
    return used


def _take_one(subset: Subset, taking: Taking) -> list[Subset]:
    take_option("train_data_dir", Option("image_dir", str(subset.get("image_dir") or "")), taking)
    return [subset]


def _why_parent(used: Sequence[Subset], parent: str) -> str:
    unnumbered = [name for subset in used if not (name := file_name(str(subset["image_dir"]))).partition("_")[
        0].isdigit()]
    why = f"{parent} is the folder, and its other numbered folders are trained on too."
    return f"{why} Put a number of repeats before the names of {', '.join(unnumbered)}, such as " \
           f"1_{unnumbered[0]}." if unnumbered else why


def _take_own(used: Sequence[Subset], taking: Taking) -> None:
    """Add a line to ``concept_settings`` for each folder that differs from the others."""
    differing = [name for name in _OF_FOLDERS if len({repr(subset.get(name)) for subset in used}) > 1 or
                 (name == "num_repeats" and any(name in subset for subset in used))]
    lines = []
    for subset in used:
        own = [f"{_OF_FOLDERS[name]}={str(subset[name]).lower()}" for name in differing if name in subset]
        if own:
            folder = file_name(str(subset["image_dir"]))
            unnumbered = not folder.partition("_")[0].isdigit()
            lines.append(f"{f'1_{folder}' if unnumbered else folder}: {' '.join(own)}")
    if lines:
        taking.take(Option(", ".join(differing), f"of {len(lines)} folders"), {"dataset.concept_settings": lines})


def _take_regularization(subsets: Sequence[Subset], taking: Taking) -> None:
    if not subsets:
        return
    folders = [str(subset.get("image_dir") or "") for subset in subsets]
    folder = folders[0] if len(set(folders)) == 1 else _parent(folders[0])
    take_option("reg_data_dir", Option("image_dir (is_reg)", folder), taking)
    for other in folders[1:]:
        if len(set(folders)) > 1 and _parent(other) != folder:
            taking.drop(Option("image_dir (is_reg)", other), f"Regularization folders lie in one folder, {folder}.")


def _shared_options(used: Sequence[Subset], dataset: Mapping[str, Any], taking: Taking) -> Options:
    """The shared settings; where subsets differ, the most common value."""
    options = {name: Option(name, value) for name, value in dataset.items()}
    several = len(used) > 1
    for name in dict.fromkeys(name for subset in used for name in subset):
        if name in ("image_dir", "is_reg", "name", "subsets") or (several and name in _OF_FOLDERS and (
                name == "num_repeats" or len({repr(subset.get(name)) for subset in used}) > 1)):
            options.pop(name, None)
            continue
        values = [subset.get(name) for subset in used]
        common = Counter(map(repr, values)).most_common(1)[0][0]
        options[name] = Option(name, next(value for value in values if repr(value) == common))
        others = {file_name(str(subset.get("image_dir"))): value for subset, value in zip(used, values, strict=True)
                  if repr(value) != common}
        for folder, value in others.items():
            taking.drop(Option(f"{name} of {folder}", value), "A folder can have its own dataset_repeats, keep_tokens "
                                                              "and flip_aug; the rest is the same for all.")
    return options


def _parent(folder: str) -> str:
    kind = PureWindowsPath if "\\" in folder or folder[1:2] == ":" else PurePosixPath
    return str(kind(folder).parent)


def _plain(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name != "subsets"}


def _subsets(dataset: Mapping[str, Any]) -> list[Any]:
    subsets = dataset.get("subsets", [])
    return subsets if isinstance(subsets, list) else []


def _table(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}
