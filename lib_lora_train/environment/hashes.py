"""The files allowed for each pin: the SHA-256 of every wheel, stored beside the pinned list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import WorkerEnvironmentError
from .pins import PINS_FILE

HASHES_FILE = PINS_FILE.with_name("hashes.txt")
WHEELS_FOLDER = PINS_FILE.with_name("wheels")

_FILE = re.compile(r"^\s+([0-9a-f]{64})  (\S+)$")


def read_hashes(file: Path = HASHES_FILE) -> dict[str, dict[str, str]]:
    """Return the wheels of each pin (``name==version``): their SHA-256 by file name.

    Raises ``WorkerEnvironmentError`` if the list is missing or has an invalid line.
    """
    found: dict[str, dict[str, str]] = {}
    pin = ""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as problem:
        raise WorkerEnvironmentError(f"The list of hashes {file} cannot be read ({problem.strerror}). "
                                     "Install the extension again.") from problem
    for number, line in enumerate(lines, 1):
        entry = _FILE.match(line)
        if entry and pin:
            found[pin][entry[2]] = entry[1]
        elif "==" in line and not line.startswith(("#", " ")):
            pin = line.strip()
            found[pin] = {}
        elif line.strip() and not line.startswith("#"):
            raise WorkerEnvironmentError(f"{file}, line {number}: “{line.strip()[:80]}” is neither a pin nor a file "
                                         "with its hash. Install the extension again.")
    return found


def hashed_requirements(pins: Sequence[str], file: Path = HASHES_FILE) -> str:
    """Return ``pins`` as a requirements file for ``pip install --require-hashes``.

    Raises ``WorkerEnvironmentError`` as ``read_hashes`` does, and if the hashes of a pin are unknown.
    """
    hashes = read_hashes(file)
    for pin in pins:
        if not hashes.get(pin):
            raise WorkerEnvironmentError(f"{file} has no hash of {pin}, so it is not installed. "
                                         "Install the extension again, or generate the list again.")
    return "".join(pin + "".join(f" --hash=sha256:{digest}" for digest in hashes[pin].values()) + "\n" for pin in pins)
