"""Scan of a dataset: the images of a folder with their captions, and what is skipped and why."""

from __future__ import annotations

import dataclasses
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..config.concepts import AS_FOR_ALL, ConceptSettings
from ..config.groups.dataset import DatasetSettings
from ..errors import DatasetError
from ..files.walk import is_file, is_folder, why_no_file
from .caption_files import caption_lines, read_caption, split_tags
from .folders import ConceptFolder, Layout, LeftOut, find_layout, many_repeats
from .images import PictureError, PictureHeader, decoding_threads, is_picture_name, read_header
from .masks.find import FolderMasks, conditioning_masks, masks_in, stem_of
from .masks.survey import mask_problems
from .problems import Problem, count_of, names_of
from .weights import EVERY_IMAGE, ImageWeight, weights_in

_COMPANIONS = (".txt", ".caption", ".json", ".jsonl", ".npz", ".csv", ".yaml", ".toml", ".md")
"""Files that usually accompany images and are skipped silently."""

_OTHER_PICTURES = (".gif", ".tif", ".tiff", ".heic", ".heif", ".jxl", ".psd", ".xcf", ".kra", ".svg", ".ico", ".tga",
                   ".jfif", ".jp2", ".apng")

_PORTION = 64
"""Headers read per task of a thread; a single one is too fast to be worth the overhead."""


SCAN_SETTINGS = ("train_data_dir", "reg_data_dir", "dataset_repeats", "caption_extension", "activation_tag",
                 "caption_separator", "use_folder_name", "enable_wildcard", "concept_settings", "masked_loss",
                 "conditioning_data_dir")
"""The settings that affect a scan."""


@dataclass(frozen=True)
class Picture:
    """A training image. Sizes are in pixels, after EXIF rotation.

    ``caption`` is one line. ``caption_source`` is ``file``, ``folder`` (the concept's name), ``activation_tag``, or
    ``none`` (then the caption is empty). ``caption_path`` is the caption file, which may not exist. ``caption_lines``
    are all lines of the file, for wildcards. ``regularization`` images show the class, not the concept. ``own`` are
    the folder's own settings. ``mask`` is the file that says which parts are trained on. ``weight`` multiplies the
    loss, ``repeats`` are those of the folder times the image's.
    """

    path: Path
    width: int
    height: int
    has_alpha: bool
    concept: str
    repeats: int
    caption: str
    caption_source: str
    caption_path: Path
    caption_lines: tuple[str, ...] = ()
    regularization: bool = False
    own: ConceptSettings = AS_FOR_ALL
    mask: Path | None = None
    weight: float = 1.0

    def keep_tokens(self, settings: DatasetSettings) -> int:
        """The number of tags kept in front: the folder's own setting, or the one for all."""
        return settings.keep_tokens if self.own.keep_tokens is None else self.own.keep_tokens

    def is_mirrored(self, for_all: bool) -> bool:
        """Whether it is mirrored half of the time: the folder's own setting, or the one for all."""
        return for_all if self.own.flip_aug is None else self.own.flip_aug


@dataclass(frozen=True)
class Concept:
    """A folder of images; ``name`` is empty if the folder's name has no concept."""

    folder: Path
    name: str
    repeats: int
    pictures: int


@dataclass(frozen=True)
class Dataset:
    """A scanned dataset. ``pictures`` are sorted by folder and name.

    ``regularization`` are the images of the regularization folder, with the repeats of its folder names; ``left_out``
    and ``problems`` cover both folders.
    """

    folder: Path
    pictures: tuple[Picture, ...]
    left_out: tuple[LeftOut, ...]
    concepts: tuple[Concept, ...]
    problems: tuple[Problem, ...]
    regularization: tuple[Picture, ...] = ()
    regularization_concepts: tuple[Concept, ...] = ()


def scan_dataset(settings: DatasetSettings) -> Dataset:
    """Scan ``settings.train_data_dir``; reads only the headers of images.

    Raises ``DatasetError`` if the folder is missing or has no images, a caption file is not UTF-8, or no image has
    a caption, concept name or trigger word.
    """
    dataset = survey(settings)
    errors = [problem.text for problem in dataset.problems if problem.level == "error"]
    if errors:
        raise DatasetError("\n".join(errors))
    return dataset


def survey(settings: DatasetSettings) -> Dataset:
    """As ``scan_dataset``, but returns problems with single files in ``problems`` instead of raising."""
    found = _pictures_of(Path(settings.train_data_dir), settings, settings.dataset_repeats)
    problems = [*found.problems, *_missing_captions(found.pictures, settings)]
    problems += mask_problems(found.pictures, settings)
    if not settings.reg_data_dir:
        return dataclasses.replace(found, problems=tuple(problems))
    folder = Path(settings.reg_data_dir)
    of_class = _pictures_of(folder, dataclasses.replace(settings, activation_tag="", concept_settings=[],
                                                        conditioning_data_dir=None), repeats=1)
    problems += [problem for problem in mask_problems(of_class.pictures, settings) if problem.level == "error"]
    bare = [picture.path for picture in of_class.pictures if picture.caption_source == "none"]
    if bare:
        problems.append(Problem("warning", f"{count_of(len(bare), 'regularization image')} without a caption or a "
                                           f"folder named like 1_girl, trained with an empty one: {names_of(bare)}.",
                                tuple(bare)))
    left_out = [item for item in found.left_out if os.path.realpath(item.path) != os.path.realpath(folder)]
    return Dataset(found.folder, found.pictures, (*left_out, *of_class.left_out), found.concepts,
                   (*problems, *of_class.problems),
                   tuple(dataclasses.replace(picture, regularization=True) for picture in of_class.pictures),
                   of_class.concepts)


def _pictures_of(folder: Path, settings: DatasetSettings, repeats: int) -> Dataset:
    """The images of one dataset or regularization folder. Raises ``DatasetError`` if there are none."""
    conditioning = _conditioning_folder(folder, settings)
    layout = find_layout(folder, repeats, conditioning)
    pictures: list[Picture] = []
    left_out = list(layout.left_out)
    own = settings.by_folder
    problems = [Problem("note", note) for note in layout.notes] + _unknown_folders(own, layout)
    problems += many_repeats([with_own_repeats(concept, own) for concept in layout.concepts])
    concepts = []
    with ThreadPoolExecutor(decoding_threads()) as pool:
        for concept in (with_own_repeats(concept, own) for concept in layout.concepts):
            found, unused, masks = _list_folder(concept.path)
            portions = [found[start:start + _PORTION] for start in range(0, len(found), _PORTION)]
            headers = [header for portion in pool.map(_headers, portions) for header in portion]
            left_out += unused + [LeftOut(header.path, header.reason) for header in headers
                                  if isinstance(header, PictureError)]
            usable = {path: header for path, header in zip(found, headers, strict=True)
                      if isinstance(header, PictureHeader)}
            captioned, caption_problems = _with_captions(concept, usable, settings)
            elsewhere = {} if conditioning is None else conditioning_masks(
                conditioning, concept.path, [path.name for path in found])
            weights, weight_problems = weights_in(concept.path, [path.name for path in usable])
            weighted = [_weighted(dataclasses.replace(picture, own=own.get(concept.path.name, AS_FOR_ALL),
                                                      mask=_mask_of(picture.path, masks, elsewhere)),
                                  weights.get(picture.path.name, EVERY_IMAGE)) for picture in captioned]
            seen = [picture for picture in weighted if picture.repeats]
            left_out += [LeftOut(picture.path, "its weight file gives it 0 repeats") for picture in weighted
                         if not picture.repeats]
            pictures += seen
            problems += caption_problems + weight_problems
            concepts.append(Concept(concept.path, concept.concept, concept.repeats, len(seen)))
    if not pictures:
        raise DatasetError(f"No image in {folder} can be used:\n" + _reasons(left_out))
    return Dataset(folder, tuple(pictures), tuple(left_out), tuple(concepts), tuple(problems))


def _weighted(picture: Picture, image: ImageWeight) -> Picture:
    """``picture`` with the weight and repeats of its folder times its own."""
    of_folder = 1.0 if picture.own.loss_weight is None else picture.own.loss_weight
    return dataclasses.replace(picture, weight=of_folder * image.weight, repeats=picture.repeats * image.repeats)


def with_own_repeats(concept: ConceptFolder, own: Mapping[str, ConceptSettings]) -> ConceptFolder:
    """``concept`` with its repeats from ``own``, if set there."""
    repeats = own.get(concept.path.name, AS_FOR_ALL).dataset_repeats
    return concept if repeats is None else dataclasses.replace(concept, repeats=repeats)


def _unknown_folders(own: Mapping[str, ConceptSettings], layout: Layout) -> list[Problem]:
    unknown = sorted(own.keys() - {concept.path.name for concept in layout.concepts})
    return [Problem("warning", f"concept_settings has a line for {name}, but no folder of that name is trained on.")
            for name in unknown]


def _list_folder(folder: Path) -> tuple[list[Path], list[LeftOut], FolderMasks]:
    """The images in ``folder``, sorted by name, the files that are not images, and the masks."""
    pictures, left_out, others = [], [], defaultdict(list)
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    masks = masks_in(folder, [entry.name for entry in entries])
    for entry in entries:
        if is_folder(entry) or entry.name in masks.names:
            continue
        path = Path(entry.path)
        ending = path.suffix.lower()
        if not is_file(entry):
            left_out.append(LeftOut(path, why_no_file(entry)))
        elif is_picture_name(entry.name):
            pictures.append(path)
        elif entry.name.startswith("."):
            left_out.append(LeftOut(path, "it is a hidden file", 0))
        elif ending in _OTHER_PICTURES:
            kind = ending[1:].upper()
            left_out.append(LeftOut(path, f"{kind} files are not trained on; save it as PNG"))
        elif ending not in _COMPANIONS:
            others[ending].append(path)
    for ending, paths in others.items():
        kind = f"{ending} files are" if ending else "files without an ending are"
        where = paths[0] if len(paths) == 1 else folder
        how_many = "" if len(paths) == 1 else f" ({len(paths)} of them)"
        left_out.append(LeftOut(where, f"{kind} not images{how_many}", 0))
    return pictures, left_out, masks


def _conditioning_folder(folder: Path, settings: DatasetSettings) -> Path | None:
    """The folder of masks beside that of the images. Raises ``DatasetError`` if it is the same."""
    if not settings.masked_loss or not settings.conditioning_data_dir:
        return None
    conditioning = Path(settings.conditioning_data_dir)
    if os.path.realpath(conditioning) == os.path.realpath(folder):
        raise DatasetError(f"dataset.conditioning_data_dir is the image folder itself, {folder}. Give the folder with "
                           "the masks, or leave it empty if they lie beside the images, such as penny-mask.png.")
    return conditioning


def _mask_of(picture: Path, beside: FolderMasks, elsewhere: Mapping[str, Path]) -> Path | None:
    found = beside.of(picture.name)
    return elsewhere.get(stem_of(picture.name)) if found is None else picture.parent / found


def _headers(paths: list[Path]) -> list[PictureHeader | PictureError]:
    return [_header_or_error(path) for path in paths]


def _header_or_error(path: Path) -> PictureHeader | PictureError:
    try:
        if path.stat().st_size == 0:
            return PictureError(path, "the file is empty (0 bytes)")
        return read_header(path)
    except PictureError as problem:
        return problem


def _with_captions(concept: ConceptFolder, headers: Mapping[Path, PictureHeader],
                   settings: DatasetSettings) -> tuple[list[Picture], list[Problem]]:
    with os.scandir(concept.path) as entries:
        names = {entry.name for entry in entries}
    by_lower_case = {name.lower(): name for name in sorted(names)}
    pictures, problems = [], []
    empty: list[Path] = []
    long: list[Path] = []
    unread: list[Path] = []
    for path, header in headers.items():
        wanted = f"{path.stem}{settings.caption_extension}"
        caption_path = path.with_name(wanted if wanted in names else by_lower_case.get(wanted.lower(), wanted))
        caption, source = "", "none"
        lines: list[str] = []
        if caption_path.name in names and not settings.use_folder_name:
            try:
                lines = [line for line in caption_lines(read_caption(caption_path))
                         if split_tags(line, settings.caption_separator)]
            except DatasetError as problem:
                problems.append(Problem("error", str(problem), (caption_path,)))
            else:
                if not lines:
                    empty.append(caption_path)
                elif len(lines) > 1 and not settings.enable_wildcard:
                    long.append(caption_path)
            if lines:
                caption, source = lines[0], "file"
        elif not settings.use_folder_name:
            whole_name = by_lower_case.get(f"{path.name}{settings.caption_extension}".lower())
            unread += [] if whole_name is None else [path.with_name(whole_name)]
        if source == "none" and concept.concept:
            caption, source = concept.concept, "folder"
        elif source == "none" and settings.activation_tag.strip():
            caption, source = settings.activation_tag.strip(), "activation_tag"
        pictures.append(Picture(path, header.width, header.height, header.has_alpha, concept.concept, concept.repeats,
                                caption, source, caption_path, tuple(lines)))
    return pictures, problems + _about_texts(empty, long) + _about_names(unread)


def _about_texts(empty: list[Path], long: list[Path]) -> list[Problem]:
    problems = []
    if empty:
        problems.append(Problem("warning", f"{count_of(len(empty), 'caption file')} with nothing in it: "
                                           f"{names_of(empty)}.", tuple(empty)))
    if long:
        problems.append(Problem("warning", f"{count_of(len(long), 'caption file')} with more than one line, of which "
                                           f"only the first is used: {names_of(long)}.", tuple(long)))
    return problems


def _about_names(unread: list[Path]) -> list[Problem]:
    if not unread:
        return []
    name = unread[0].name
    short = Path(Path(name).stem).with_suffix(unread[0].suffix).name
    return [Problem("warning", f"{count_of(len(unread), 'caption file')} named after the whole name of the image and "
                               f"therefore not read: {names_of(unread)}. Rename {name} to {short}"
                               f"{', and the others' if len(unread) > 1 else ''}.", tuple(unread))]


def _missing_captions(pictures: Iterable[Picture], settings: DatasetSettings) -> list[Problem]:
    by_source: dict[str, list[Path]] = defaultdict(list)
    for picture in pictures:
        by_source[picture.caption_source].append(picture.path)
    bare, ending = by_source["none"], settings.caption_extension
    if bare and len(by_source) == 1:
        if settings.use_folder_name:
            return [Problem("error", "With use_folder_name the folder's name is the caption, but no folder is named "
                                     "like 10_penny, and activation_tag is empty. Rename the folder, or give an "
                                     "trigger word.")]
        return [Problem("error", f"No image has a caption: there are no {ending} files with text, no folder is named "
                                 "like 10_penny, and activation_tag is empty. Tag the images, or give a trigger "
                                 f"word.{_other_endings(bare, ending)}")]
    problems = []
    if bare:
        problems.append(Problem("warning", f"{count_of(len(bare), 'image')} without a caption, trained with an empty "
                                           f"one: {names_of(bare)}.", tuple(bare)))
    for source, words in (("folder", "the folder's name"), ("activation_tag", "the trigger word")):
        if by_source[source]:
            problems.append(Problem("note", f"{count_of(len(by_source[source]), 'image')} without a caption, for "
                                            f"which {words} is used.", tuple(by_source[source])))
    return problems


def _other_endings(pictures: list[Path], extension: str) -> str:
    for picture in pictures:
        doubled = picture.with_name(picture.name + extension)
        if doubled.is_file():
            return (f" There are captions named like {doubled.name}, which are not read: rename it to "
                    f"{picture.stem}{extension}, and so for the others.")
    for ending in (".txt", ".caption"):
        if pictures[0].with_suffix(ending).is_file():
            return f" There are {ending} files: set caption_extension to {ending} if those are the captions."
    return ""


def _reasons(left_out: list[LeftOut]) -> str:
    lines = [f"{item.path}: {item.reason}" for item in left_out if item.pictures]
    return "\n".join(lines[:20] + ([f"and {len(lines) - 20} more"] if len(lines) > 20 else []))
