"""Wheels of one module each, which pip installs like any others."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path


def make_wheel(folder: Path, pin: str, files: dict[str, str], requires: Sequence[str] = ()) -> str:
    """Write a wheel of ``pin`` (name==version) with the text ``files`` into ``folder``; returns its SHA-256."""
    name, _, version = pin.partition("==")
    about = f"{name}-{version}.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}",
                *(f"Requires-Dist: {needed}" for needed in requires)]
    content = {**files, f"{about}/METADATA": "\n".join(metadata) + "\n",
               f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    content[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in [*content, f"{about}/RECORD"])
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, text in content.items():
            archive.writestr(place, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()
