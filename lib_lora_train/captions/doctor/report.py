"""What the doctor says: findings with their fixes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LEVELS = ("error", "warning", "note", "good")


@dataclass(frozen=True)
class Fix:
    """A way to put something right: a button with ``label``.

    ``action`` is what it does, with ``values``: ``apply`` (an ``Operation``), ``delete``, ``lower-case``, ``utf-8``
    (on ``numbers``), ``rename-folder``, ``settings`` (of the training), ``tag`` (open the tagger) or ``show``.
    """

    label: str
    action: str
    numbers: tuple[int, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Pictures that belong together in a finding, such as near-duplicates, with fixes of their own."""

    text: str
    numbers: tuple[int, ...]
    fixes: tuple[Fix, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One thing that was noticed: ``title`` and ``text`` are sentences, ``numbers`` the pictures it is about.

    ``files`` are names with reasons, for what is not a picture of the editor's.
    """

    id: str
    level: str
    title: str
    text: str
    numbers: tuple[int, ...] = ()
    fixes: tuple[Fix, ...] = ()
    groups: tuple[Group, ...] = ()
    files: tuple[tuple[str, str], ...] = ()


def picture_finding(name: str, level: str, title: str, text: str, numbers: Sequence[int],
                    *fixes: Fix) -> list[Finding]:
    """A finding if there are pictures for it, else nothing; a fix without pictures of its own is for all of them."""
    if not numbers:
        return []
    every = tuple(numbers)
    them = " them" if len(every) > 1 else " it"
    filled = tuple(fix if fix.numbers else Fix(fix.label.replace(" them", them), fix.action, every, fix.values)
                   for fix in fixes)
    return [Finding(name, level, title, text, every, filled)]
