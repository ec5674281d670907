"""One field, one place: everything about a setting is in its dataclass field.

The form, the command line, the table in docs/settings.md and the checks are generated from it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_KEY = "setting"

IMAGES, LORA, LORA_FOLDER, CHECKPOINT_FOLDER, TAGGER = "images", "lora", "lora-folder", "checkpoint-folder", "tagger"
"""Kinds of paths: a folder of images, a LoRA or a folder of them, a folder of checkpoints, an ONNX file."""
_LARGE = 10**300  # whole numbers beyond are no floats
PATH_KINDS = (IMAGES, LORA, LORA_FOLDER, CHECKPOINT_FOLDER, TAGGER)


@dataclass(frozen=True)
class Setting:
    """The metadata of one setting, in addition to its type and default.

    ``choices`` lists the allowed texts; ``minimum`` and ``maximum`` are inclusive. ``view`` is its place in the form:
    ``main`` is always visible, ``more`` is collapsed, ``hidden`` is not shown (set by the program, or a path with its
    own control). ``section`` is its part of the form, if not that of its group. ``path`` is one of ``PATH_KINDS`` for
    a path.
    """

    help: str
    advice: str = ""
    label: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    view: str = "more"
    sd_scripts: str = ""
    section: str = ""
    path: str = ""

    def __post_init__(self) -> None:
        if self.view not in ("main", "more", "hidden"):
            raise ValueError(f"view must be main, more or hidden, not {self.view!r}")
        if self.path not in ("", *PATH_KINDS):
            raise ValueError(f"path must be one of {PATH_KINDS}, not {self.path!r}")


def setting(default: Any, help: str, *, advice: str = "", label: str = "", unit: str = "",
            minimum: float | None = None, maximum: float | None = None,
            choices: tuple[str, ...] = (), view: str = "more", sd_scripts: str = "",
            section: str = "", path: str = "") -> Any:
    """A dataclass field with its ``Setting``; a list or dict default is copied for each instance."""
    metadata = {_KEY: Setting(help, advice, label, unit, minimum, maximum, choices, view, sd_scripts, section,
                              path)}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def same_as(group_type: type, name: str) -> Any:
    """A copy of the dataclass field ``name`` of another group, for a job type that shares the setting."""
    field = next(field for field in dataclasses.fields(group_type) if field.name == name)
    return dataclasses.field(default=field.default, metadata=field.metadata)


def groups_of(job_type: type) -> dict[str, type]:
    """The groups of a job's dataclass, by name."""
    return {group.name: group.default_factory for group in dataclasses.fields(job_type)}  # type: ignore[misc]


@dataclass(frozen=True)
class SettingField:
    """A setting with its group and field name."""

    group: str
    name: str
    type_name: str
    default: Any
    info: Setting

    @property
    def key(self) -> str:
        """``group.name``, as used in messages and overrides; the name alone for jobs without groups."""
        return f"{self.group}.{self.name}" if self.group else self.name

    @property
    def label(self) -> str:
        """The label of the control."""
        return self.info.label or self.name.replace("_", " ").capitalize()

    @property
    def sd_scripts_name(self) -> str:
        """The option's name in sd-scripts; the same as ours unless specified."""
        return self.info.sd_scripts or self.name


def fields_of(group: str, group_type: type) -> Iterator[SettingField]:
    """The settings of one group, in the order of the dataclass."""
    for field in dataclasses.fields(group_type):
        info = field.metadata[_KEY]
        if field.default is not dataclasses.MISSING:
            default = field.default
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        else:
            raise TypeError(f"{group}.{field.name} has no default")
        yield SettingField(group, field.name, str(field.type), default, info)


def problem_with(field: SettingField, value: Any) -> str | None:
    """A sentence that says why ``value`` is out of the setting's range, or ``None`` if it is valid."""
    if value is None or isinstance(value, bool):
        return None
    info = field.info
    if info.choices:
        outside = [item for item in (value if isinstance(value, list) else [value]) if item not in info.choices]
        if outside:
            return f"{field.key} is {outside[0]!r}. Choose one of: {', '.join(info.choices)}."
    if isinstance(value, (int, float)):
        below = info.minimum is not None and value < info.minimum
        above = info.maximum is not None and value > info.maximum
        if below or above or value != value:
            shown = f"{value:g}" if isinstance(value, float) or abs(value) < _LARGE else f"{str(value)[:12]}…"
            return f"{field.key} is {shown}. It has to be {_range_text(info)}."
    return None


def _range_text(info: Setting) -> str:
    if info.minimum is None:
        return f"{info.maximum:g} or less"
    if info.maximum is None:
        return f"{info.minimum:g} or more"
    return f"between {info.minimum:g} and {info.maximum:g}"
