"""The doctor's report: findings with their fixes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LEVELS = ("error", "warning", "note", "good")


@dataclass(frozen=True)
class Fix:
    """A fix for a finding, shown as a button with ``label``.

    ``action``, with the parameters ``values``: ``apply`` (an ``Operation``), ``delete``, ``lower-case`` or ``utf-8``
    (on ``numbers``), ``rename-folder``, ``settings`` (of the training), ``tag`` (open the tagger) or ``show``.
    """

    label: str
    action: str
    numbers: tuple[int, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """A group of images within a finding, such as near-duplicates, with its own fixes."""

    text: str
    numbers: tuple[int, ...]
    fixes: tuple[Fix, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A finding: ``title`` and ``text`` for the user, ``numbers`` of the affected images.

    ``files`` are names with reasons, for files that are not images of the editor.
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
    """A list of one finding, or empty if ``numbers`` is; fixes without images of their own apply to all."""
    if not numbers:
        return []
    every = tuple(numbers)
    them = " them" if len(every) > 1 else " it"
    filled = tuple(fix if fix.numbers else Fix(fix.label.replace(" them", them), fix.action, every, fix.values)
                   for fix in fixes)
    return [Finding(name, level, title, text, every, filled)]
