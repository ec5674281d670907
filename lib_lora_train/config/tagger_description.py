"""Descriptions of taggers: what an ONNX file takes, what it answers, and what its tag list means. Data, not code.

The known ones are in ``tagging/taggers/*.yaml``; a user's own is ``tagger.yaml``, or a YAML file of the same name, next
to an ONNX file. ``docs/taggers.md`` lists every field.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError, TaggerError
from .groups.tagger import UNUSED, TaggerDescription
from .groups.tagging import CATEGORIES
from .load import merged, read_file, read_settings
from .setting import fields_of, groups_of

FOLDER = Path(__file__).resolve().parents[1] / "tagging" / "taggers"
OWN_FILE = "tagger.yaml"
LIKE, MODELS = "like", "models"
_REQUIRED = ("files.tags", "image.layout", "image.resize", "image.filter", "image.channels", "image.divide_by",
             "model.values")


@functools.cache
def described() -> dict[str, TaggerDescription]:
    """The known interfaces by name, such as ``wd``."""
    return {path.stem: description_from(values_in(path), str(path)) for path in sorted(FOLDER.glob("*.yaml"))}


def own_description(model: Path) -> Path | None:
    """The description next to the ONNX file ``model``, if there is one."""
    return next((path for path in (model.with_suffix(".yaml"), model.with_name(OWN_FILE)) if path.is_file()), None)


def read_description(path: Path) -> TaggerDescription:
    """The description in the file ``path``. Raises ``TaggerError`` that lists every problem."""
    return description_from(values_in(path), str(path))


def values_in(path: Path) -> dict[Any, Any]:
    """The unchecked values of a description. Raises ``TaggerError`` if it cannot be read."""
    try:
        values = read_file(path)
    except ConfigError as problem:
        raise TaggerError(str(problem).replace("job file", "tagger description")) from problem
    if not isinstance(values, dict):
        raise TaggerError(f"{path} has to hold the groups source, files, image, model, tags and thresholds, not "
                          f"{values!r}.")
    return values


def description_from(values: Mapping[Any, Any], source: str) -> TaggerDescription:
    """A checked description. ``like: wd`` starts from a known one. Raises ``TaggerError`` that lists every problem."""
    given = {key: value for key, value in values.items() if key != MODELS}
    like = given.pop(LIKE, None)
    if like is not None:
        base = FOLDER / f"{like}.yaml"
        known = sorted(path.stem for path in FOLDER.glob("*.yaml"))
        if str(like) not in known:
            raise TaggerError(f"{source}: like is {str(like)[:100]!r}. Choose one of: {', '.join(known)}.")
        below = {key: value for key, value in values_in(base).items() if key != MODELS}
        below["source"] = {"licence": "", "note": "", "detect": "false"}
        given = merged(below, given)
    description, problems = read_settings(TaggerDescription, given, source=source)
    problems = problems or [f"{source}: {problem}" for problem in _problems_of(description)]
    if problems:
        raise TaggerError("\n".join(problems))
    return description


def _problems_of(description: TaggerDescription) -> list[str]:
    fields = {one.key: one for group, kind in groups_of(TaggerDescription).items() for one in fields_of(group, kind)}
    problems = [f"{key} is missing. Write what applies: {fields[key].info.help}" for key in _REQUIRED
                if getattr(getattr(description, fields[key].group), fields[key].name) in ("", None, [])]
    if problems:
        problems.append("What is missing can also be taken from a known tagger, with a line such as like: wd.")
    image = description.image
    for name, values in (("pad_color", image.pad_color), ("mean", image.mean), ("std", image.std)):
        if len(values) != 3 or (name == "std" and 0 in values):
            problems.append(f"image.{name} is {values!r}. Write three numbers, one for each color channel"
                            f"{', none of them 0' if name == 'std' else ''}.")
    for key, category in description.tags.categories.items():
        if category not in (*CATEGORIES, UNUSED):
            problems.append(f"tags.categories has {key}: {category!r}. Choose one of: {', '.join(CATEGORIES)}, "
                            f"{UNUSED}.")
    for name in (description.files.model, *description.files.tags, description.files.thresholds):
        if name and (Path(name).name != name or "\\" in name):
            problems.append(f"files has {name!r}. Write the name of a file in the tagger's folder, without a path.")
    return problems
