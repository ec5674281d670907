"""Repeats of regularization images, so that they balance the training images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ..pictures.scan import Picture


def balanced(trained: Sequence[Picture], found: Sequence[Picture]) -> tuple[Picture, ...]:
    """Choose images of ``found`` and their repeats so that they are seen about as often as those of ``trained``.

    Images with the name of a training image come first, with the repeats of that one. Then, as in sd-scripts, images
    are taken in order with their own repeats until the total suffices; the rest is not used. If there are too few,
    repeats are increased by one, image by image, until the total suffices.
    """
    if not found:
        return ()
    wanted = sum(picture.repeats for picture in trained)
    taken: list[Picture] = []
    images = 0
    for picture in _matches_first(trained, found):
        if images >= wanted:
            break
        taken.append(picture)
        images += picture.repeats
    rounds, more = divmod(max(0, wanted - images), len(taken))
    return tuple(dataclasses.replace(picture, repeats=picture.repeats + rounds + (number < more))
                 for number, picture in enumerate(taken))


def _matches_first(trained: Sequence[Picture], found: Sequence[Picture]) -> list[Picture]:
    """``found`` with the namesakes of training images in front, in their order and with their repeats."""
    by_name: dict[tuple[str, str], int] = {}
    for number, picture in enumerate(found):
        by_name.setdefault((picture.concept, picture.path.stem), number)
        by_name.setdefault(("", picture.path.stem), number)
    partners: dict[int, int] = {}
    for picture in trained:
        for key in ((picture.concept, picture.path.stem), ("", picture.path.stem)):
            if key in by_name and by_name[key] not in partners:
                partners[by_name[key]] = picture.repeats
                break
    first = [dataclasses.replace(found[number], repeats=repeats) for number, repeats in partners.items()]
    return first + [picture for number, picture in enumerate(found) if number not in partners]
