"""Which mask file belongs to an image, and which files of a folder are masks and therefore not images.

A mask is a grey image, white where its image is trained on. Read in this order, with any image extension and in any
case; the first one is written by the editor:

1. ``x-mask.png`` beside ``x.jpg``, also ``x.mask.png`` and ``x-masklabel.png`` (OneTrainer),
2. ``mask/x.png`` or ``masks/x.png`` in a folder beside ``x.jpg``,
3. ``x.png`` in ``conditioning_data_dir`` (sd-scripts), or in its subfolder with the name of the image's folder.

A name makes a mask only together with an image: ``x-mask.png`` without any ``x.*`` is an image of its own (someone who
wears a mask), and so is every file of a folder ``mask`` if fewer than half of them are named like images beside it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import DatasetError
from ...files.reading import reason
from ..images import is_picture_name

MARKS = ("-mask", ".mask", "-masklabel")
"""What follows the stem of an image in the name of its mask."""

FOLDERS = ("mask", "masks")
"""Names of folders of masks beside the images."""


@dataclass(frozen=True)
class FolderMasks:
    """The masks in a folder of images.

    ``by_stem``: the stem of an image, case-folded → its mask, relative to the folder, with ``/``. ``names`` are the
    files in the folder that are masks, ``folders`` its subfolders of masks.
    """

    by_stem: Mapping[str, str] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()

    def of(self, picture_name: str) -> str | None:
        """The mask of an image in the folder, relative to the folder; ``None`` if it has none."""
        return None if picture_name in self.names else self.by_stem.get(stem_of(picture_name))


def mask_file_to_write(picture: Path) -> Path:
    """The path of a new mask for ``picture``: ``x-mask.png``, which is read before any other."""
    return picture.with_name(f"{picture.stem}{MARKS[0]}.png")


def masks_in(folder: Path | str, names: Iterable[str]) -> FolderMasks:
    """The masks of the images in ``folder``; ``names`` are all its entries. Reads only subfolders named like a mask's.

    A subfolder that cannot be read counts as no folder of masks.
    """
    pictures, subfolders = [], []
    for name in names:
        if is_picture_name(name):
            pictures.append(name)
        elif name.casefold() in FOLDERS:
            subfolders.append(name)
    beside = masks_among(pictures)
    by_stem: dict[str, str] = {}
    for name in sorted(beside, key=_preference):
        by_stem.setdefault(beside[name], name)
    stems = {stem_of(name) for name in pictures if name not in beside}
    of_masks = set()
    for subfolder in sorted(subfolders):
        inside: list[str] = []
        with contextlib.suppress(OSError):
            inside = [name for path in Path(folder, subfolder).iterdir() if is_picture_name(name := path.name)]
        found = _matching(inside, stems)
        if found and 2 * len(found) >= len(inside):
            of_masks.add(subfolder)
            for name in sorted(found, key=_preference):
                by_stem.setdefault(found[name], f"{subfolder}/{name}")
    return FolderMasks(by_stem, frozenset(beside), frozenset(of_masks))


def masks_among(pictures: Iterable[str]) -> dict[str, str]:
    """The masks among image file names of one folder, each with the stem of its image, case-folded."""
    by_stem: dict[str, list[str]] = {}
    for name in pictures:
        by_stem.setdefault(stem_of(name), []).append(name)
    masks: dict[str, str] = {}
    images: set[str] = set()
    for stem in sorted(by_stem, key=len):  # an image's stem is shorter than that of its mask
        image = next((stem.removesuffix(mark) for mark in MARKS
                      if stem.endswith(mark) and stem.removesuffix(mark) in images), None)
        if image is None:
            images.add(stem)
        else:
            masks |= dict.fromkeys(by_stem[stem], image)
    return masks


def find_mask(picture: Path, conditioning_data_dir: str | None = None) -> Path | None:
    """The mask of ``picture``; ``None`` if it has none or is a mask itself.

    Raises ``DatasetError`` if a folder cannot be read. For all images of a folder, ``masks_in`` and
    ``conditioning_masks`` are faster.
    """
    names = _names_in(picture.parent)
    here = masks_in(picture.parent, names)
    if picture.name in here.names:
        return None
    beside = here.of(picture.name)
    if beside is not None:
        return picture.parent / beside
    if not conditioning_data_dir:
        return None
    return conditioning_masks(Path(conditioning_data_dir), picture.parent, names).get(stem_of(picture.name))


def conditioning_masks(conditioning: Path, folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """The masks in ``conditioning_data_dir`` of the images ``names`` in ``folder``, by case-folded stem.

    Those in its subfolder named like ``folder`` come first. Raises ``DatasetError`` if it cannot be read.
    """
    stems = {stem_of(name) for name in names if is_picture_name(name)}
    top = _names_in(conditioning)
    places = [conditioning / name for name in top if name.casefold() == folder.name.casefold()
              and (conditioning / name).is_dir()]
    found: dict[str, Path] = {}
    for place in (*places, conditioning):
        inside = top if place == conditioning else _names_in(place)
        masks = _matching([name for name in inside if is_picture_name(name)], stems)
        for name in sorted(masks, key=_preference):
            found.setdefault(masks[name], place / name)
    return found


def stem_of(name: str) -> str:
    """The name of an image file without its extension, case-folded, since Windows ignores case."""
    return name.rpartition(".")[0].casefold()


def _matching(names: Iterable[str], stems: set[str]) -> dict[str, str]:
    """Those of ``names`` that are called like an image, with or without a mark, each with the stem of the image."""
    found = {}
    for name in names:
        stem = stem_of(name)
        bare = next((stem.removesuffix(mark) for mark in MARKS if stem.endswith(mark)), stem)
        image = next((candidate for candidate in (stem, bare) if candidate in stems), None)
        if image is not None:
            found[name] = image
    return found


def _preference(name: str) -> tuple[int, bool, str]:
    """Sorts masks of the same image: by mark, PNG first."""
    stem, _, ending = name.casefold().rpartition(".")
    return next((place for place, mark in enumerate(MARKS) if stem.endswith(mark)), len(MARKS)), ending != "png", name


def _names_in(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError as problem:
        raise DatasetError(f"The folder {folder} cannot be read: {reason(problem)}. Check its path, or give yourself "
                           "permission to read it.") from problem
