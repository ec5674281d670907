"""How often each regularization picture is seen, so that they balance the pictures that are trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ..pictures.scan import Picture


def balanced(trained: Sequence[Picture], found: Sequence[Picture]) -> tuple[Picture, ...]:
    """As many looks at pictures of ``found``, or few more, as there are at those of ``trained``.

    A picture that has the name of a trained one comes first and is seen as often as that one. Then, as in
    sd-scripts, pictures are taken in order with their own repeats until there are enough looks; what is left over is
    not used. If all are too few, each is seen once more, one after the other, until there are enough.
    """
    if not found:
        return ()
    wanted = sum(picture.repeats for picture in trained)
    taken: list[Picture] = []
    looks = 0
    for picture in _matches_first(trained, found):
        if looks >= wanted:
            break
        taken.append(picture)
        looks += picture.repeats
    rounds, more = divmod(max(0, wanted - looks), len(taken))
    return tuple(dataclasses.replace(picture, repeats=picture.repeats + rounds + (number < more))
                 for number, picture in enumerate(taken))


def _matches_first(trained: Sequence[Picture], found: Sequence[Picture]) -> list[Picture]:
    """``found`` with the partners of trained pictures in front, in the trained ones' order and with their repeats."""
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
