"""Which images ``validation_split`` holds out: fixed by a seed, evenly from all folders, no near-duplicate apart."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..config.groups.dataset import DatasetSettings
from ..pictures.duplicates.files import copies_in
from ..pictures.scan import Dataset, Picture

LEAST = 2
"""Images that are held out at least, if that leaves as many to train on: one alone says nothing about the next."""


def held_out_pictures(settings: DatasetSettings, dataset: Dataset) -> tuple[Picture, ...]:
    """The images of ``dataset`` that ``validation_split`` holds out, in its order.

    Each folder gives its share, but never its last image. Near-duplicates stay together, held out or trained on, since
    an image whose copy was trained on is known. Chosen by a hash of folder and file name and ``validation_seed``, so
    that adding an image hardly changes the choice among the others.
    """
    pictures = dataset.pictures
    if not settings.validation_split or len(pictures) < 2:
        return ()
    left = _quotas(Counter(picture.path.parent for picture in pictures),
                   _wanted(settings.validation_split, len(pictures)))
    chosen: set[int] = set()
    for unit in _units(pictures, settings.validation_seed):
        needed = Counter(pictures[place].path.parent for place in unit)
        if all(left[folder] >= count for folder, count in needed.items()):
            chosen.update(unit)
            for folder, count in needed.items():
                left[folder] -= count
    return tuple(picture for place, picture in enumerate(pictures) if place in chosen)


def trained_on_already(held_out: Sequence[Picture], trained: Sequence[Picture]) -> tuple[Picture, ...]:
    """Those of ``held_out`` that are copies of one of ``trained``: the LoRA has seen them."""
    if not held_out or not trained:
        return ()
    groups = copies_in([picture.path for picture in (*trained, *held_out)])
    seen = {place for group in groups if min(group) < len(trained) for place in group}
    return tuple(picture for place, picture in enumerate(held_out, start=len(trained)) if place in seen)


def _wanted(share: float, count: int) -> int:
    return max(min(LEAST, count // 2), min(round(share * count), count - 1))


def _quotas(sizes: Mapping[Path, int], count: int) -> dict[Path, int]:
    """How many of ``count`` images each folder gives, by the largest remainders; at most all but one."""
    total = sum(sizes.values())
    given = {folder: min(count * size // total, size - 1) for folder, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda folder: (-(count * sizes[folder] % total), str(folder)))
    while sum(given.values()) < count and (open_ones := [one for one in by_remainder if given[one] < sizes[one] - 1]):
        for folder in open_ones[:count - sum(given.values())]:
            given[folder] += 1
    return given


def _units(pictures: Sequence[Picture], seed: int) -> list[list[int]]:
    """The places of the images, near-duplicates together, in the order of their hashes."""

    def order(place: int) -> bytes:
        path = pictures[place].path
        return hashlib.sha256(f"{seed}:{path.parent.name}/{path.name}".encode("utf-8", "surrogateescape")).digest()

    groups = copies_in([picture.path for picture in pictures])
    grouped = {place for group in groups for place in group}
    units = [*groups, *([place] for place in range(len(pictures)) if place not in grouped)]
    return sorted(units, key=lambda unit: min(map(order, unit)))
