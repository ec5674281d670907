"""Small JSON files that may be damaged: read completely or not at all, with checked types."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from .reading import NO_PLAIN_FILE, read_file

MOST_BYTES = 1 << 20
MOST_DEPTH = 100
_MISSING: Any = object()


class DamagedFileError(ValueError):
    """The content of a file is invalid; the message says where, without the file's name."""


def read_object(path: Path, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """Return the JSON object in ``path``.

    Raises ``FileNotFoundError`` if there is no file, another ``OSError`` if it cannot be read now, and
    ``DamagedFileError`` if it holds anything else, or is a folder or a pipe.
    """
    try:
        data = read_file(path, most_bytes)
    except ValueError as problem:
        raise DamagedFileError(str(problem)) from problem
    except OSError as problem:
        if problem.errno in NO_PLAIN_FILE:
            raise DamagedFileError(f"it is not a regular file ({problem.strerror})") from problem
        raise
    value = parse(data)
    if not isinstance(value, dict):
        raise DamagedFileError(f"it holds {_kind(value)} instead of an object")
    return value


def parse(data: bytes | str) -> Any:
    """Return the JSON value ``data``. NaN, infinity and deep nesting are refused. Raises ``DamagedFileError``."""
    try:
        value = json.loads(data, parse_constant=_refuse)
    except DamagedFileError:
        raise
    except (ValueError, RecursionError) as problem:
        raise DamagedFileError("it is not valid JSON") from problem
    if _is_deeper_than(value, MOST_DEPTH):
        raise DamagedFileError(f"it is nested more than {MOST_DEPTH} deep")
    return value


def number(values: Mapping[str, Any], name: str, default: Any = _MISSING) -> Any:
    """Return the finite number ``name``, or ``default`` if it is missing or null. Raises ``DamagedFileError``."""
    value = values.get(name)
    if value is None and default is not _MISSING:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_finite(value):
        raise DamagedFileError(f"“{name}” is {_kind(value)} instead of a number")
    return value


def is_finite(value: int | float) -> bool:
    """Whether ``value`` is a number that a float can hold; JSON and YAML have whole numbers of any length."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def text(values: Mapping[str, Any], name: str, default: Any = _MISSING) -> Any:
    """Return the text ``name``, or ``default`` if it is missing or null. Raises ``DamagedFileError``."""
    value = values.get(name)
    if value is None and default is not _MISSING:
        return default
    if not isinstance(value, str):
        raise DamagedFileError(f"“{name}” is {_kind(value)} instead of text")
    return value


def flag(values: Mapping[str, Any], name: str) -> bool:
    """Return the boolean ``name``. Raises ``DamagedFileError``."""
    value = values.get(name)
    if not isinstance(value, bool):
        raise DamagedFileError(f"“{name}” is {_kind(value)} instead of true or false")
    return value


def _is_deeper_than(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [child for parent in level if isinstance(parent, (dict, list))
                 for child in (parent.values() if isinstance(parent, dict) else parent)]
        if not level:
            return False
    return True


def _kind(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return {dict: "an object", list: "a list", str: "text", bool: "a switch"}.get(type(value), "a number")


def _refuse(name: str) -> NoReturn:
    raise DamagedFileError(f"it holds {name}, which is not a number")
