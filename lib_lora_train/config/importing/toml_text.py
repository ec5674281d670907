"""Reads TOML. Python 3.10 has no TOML reader, but pip bundles one."""

from __future__ import annotations

import importlib
import re
import sys
from typing import Any

from ...errors import ConfigError

_MOST_DOTS = 100
_PATH = re.compile(r"=\s*\"[A-Za-z]:\\[^\\]")


def read_toml(text: str) -> dict[str, Any]:
    """The tables of ``text``. Raises ``ConfigError`` that names the line if it is not valid TOML."""
    if any(line.partition("=")[0].count(".") > _MOST_DOTS for line in text.splitlines()):
        raise ConfigError("The TOML is nested too deep to be read.")
    reader: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "pip._vendor.tomli")
    try:
        return dict(reader.loads(text.removeprefix("\ufeff")))
    except reader.TOMLDecodeError as problem:
        path = " Write a path of Windows with / or in single quotes." if _PATH.search(text) else ""
        raise ConfigError(f"The TOML cannot be read: {problem}. Fix that line, or save the file again in its "
                          f"own program.{path}") from problem
    except RecursionError:
        raise ConfigError("The TOML is nested too deep to be read.") from None
