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
    "custom_attributes": "Images have no attributes of their own here."}
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
    used = _with_one_mask_folder([_without_class_tokens(subset, taking) for subset in _take_folders(trained, taking)])
    _take_regularization(regularization, taking)
    own = _take_own(used, dataset, taking)
    options = _shared_options(used, dataset, own, taking)
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


def _take_own(used: Sequence[Subset], dataset: Mapping[str, Any], taking: Taking) -> frozenset[str]:
    """Add a line to ``concept_settings`` for each folder that differs from the settings of ``dataset``.

    Returns the options that are fully handled this way.
    """
    lines: dict[str, list[str]] = {}
    done: set[str] = set()
    for name in _OF_FOLDERS:
        values = [_value_of(name, subset) for subset in used]
        numbers = [_number_of(str(subset.get("image_dir") or "")) for subset in used]
        if name == "num_repeats":
            if len(used) < 2 and numbers == [None]:
                continue
            shared: Sequence[Any] = [number or 1 for number in numbers]
        elif name in dataset:
            shared = [dataset[name]] * len(used)
        elif len(set(map(repr, values))) > 1:
            shared = [None] * len(used)
        else:
            continue
        done.add(name)
        for subset, value, common in zip(used, values, shared, strict=True):
            if value is not None and value != common:
                folder = file_name(str(subset.get("image_dir") or ""))
                named = f"1_{folder}" if len(used) > 1 and _number_of(folder) is None else folder
                lines.setdefault(named, []).append(f"{_OF_FOLDERS[name]}={str(value).lower()}")
    _report_own(lines, done, used, taking)
    return frozenset(name for name in done if name == "num_repeats" or name not in dataset)


def _report_own(lines: Mapping[str, Sequence[str]], done: set[str], used: Sequence[Subset], taking: Taking) -> None:
    texts = [f"{folder}: {' '.join(own)}" for folder, own in lines.items()]
    set_by_lines = [name for name in _OF_FOLDERS
                    if any(text.startswith(f"{_OF_FOLDERS[name]}=") for own in lines.values() for text in own)]
    if texts:
        taking.take(Option(", ".join(set_by_lines), f"of {len(texts)} folders"), {"dataset.concept_settings": texts})
    if "num_repeats" in done - set(set_by_lines) and any("num_repeats" in subset for subset in used):
        taking.note(Option("num_repeats", ", ".join(str(_value_of("num_repeats", subset)) for subset in used)),
                    "The names of the folders say the same.")


def _value_of(name: str, subset: Subset) -> Any:
    """The value of a folder; sd-scripts repeats images once by default, whatever the folder's name says."""
    return subset.get(name, 1 if name == "num_repeats" else None)


def _number_of(folder: str) -> int | None:
    """The number of repeats in a folder's name, if any."""
    number, line, _ = file_name(folder).partition("_")
    return int(number) if line and number.isascii() and number.isdigit() and int(number) else None


def _without_class_tokens(subset: Subset, taking: Taking) -> Subset:
    """``subset`` without class tokens that its folder's name says anyway."""
    words = subset.get("class_tokens")
    folder = file_name(str(subset.get("image_dir") or ""))
    if words is None or _number_of(folder) is None or \
            str(words).replace("_", " ").strip() != folder.partition("_")[2].replace("_", " ").strip():
        return subset
    taking.not_needed(Option(f"class_tokens of {folder}", words), "The name of the folder says the same.")
    return {name: value for name, value in subset.items() if name != "class_tokens"}


def _with_one_mask_folder(subsets: list[Subset]) -> list[Subset]:
    """``subsets`` with the parent of their mask folders, if these are named like their image folders."""
    masks = [str(subset.get("conditioning_data_dir") or "") for subset in subsets]
    named_alike = all(mask and file_name(mask) == file_name(str(subset.get("image_dir") or ""))
                      for mask, subset in zip(masks, subsets, strict=True))
    if len(subsets) < 2 or not named_alike or len(set(map(_parent, masks))) > 1:
        return subsets
    return [{**subset, "conditioning_data_dir": _parent(masks[0])} for subset in subsets]


def _take_regularization(subsets: Sequence[Subset], taking: Taking) -> None:
    if not subsets:
        return
    folders = [str(subset.get("image_dir") or "") for subset in subsets]
    folder = folders[0] if len(set(folders)) == 1 else _parent(folders[0])
    take_option("reg_data_dir", Option("image_dir (is_reg)", folder), taking)
    for other in folders[1:]:
        if len(set(folders)) > 1 and _parent(other) != folder:
            taking.drop(Option("image_dir (is_reg)", other), f"Regularization folders lie in one folder, {folder}.")
    for subset in subsets:
        name = file_name(str(subset.get("image_dir") or ""))
        here, there = _number_of(name) or 1, _value_of("num_repeats", subset)
        if there != here:
            taking.drop(Option("num_repeats (is_reg)", there),
                        "The names of regularization folders say how often their images are repeated here, which is "
                        f"{here} for {name}. Rename it to repeat them {there} times.")


def _shared_options(used: Sequence[Subset], dataset: Mapping[str, Any], own: frozenset[str],
                    taking: Taking) -> Options:
    """The shared settings without ``own``, those of single folders; where subsets differ, the most common value."""
    options = {name: Option(name, value) for name, value in dataset.items()}
    for name in dict.fromkeys(name for subset in used for name in subset):
        if name in ("image_dir", "is_reg", "name", "subsets", *own):
            options.pop(name, None)
            continue
        if name in _OF_FOLDERS and name in dataset:
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
