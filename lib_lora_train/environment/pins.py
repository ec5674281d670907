"""The pinned list of the worker's packages, and the part of it that this machine needs."""

from __future__ import annotations

import importlib.util
import operator
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import WorkerEnvironmentError
from ..files.reading import reason

PINS_FILE = Path(__file__).resolve().parents[1] / "worker_requirements" / "pins.txt"

_HEADER = re.compile(r"^\[([\w-]+)(?::([^\]]+))?\]$")
_CONDITION = re.compile(r"^(torch|cuda|os) (<|>=|=) ([\w.]+)$")
_COMPARISONS = {"<": operator.lt, ">=": operator.ge, "=": operator.eq}
_OS_NAMES = {"win32": "windows", "darwin": "macos"}


@dataclass(frozen=True)
class TorchBuild:
    """The interpreter's torch: its ``version`` (2, 1) and the major version of CUDA it is built for, if any."""

    version: tuple[int, int]
    cuda: int | None


@dataclass(frozen=True)
class _Group:
    name: str
    conditions: tuple[str, ...]
    requirements: tuple[str, ...]


def requirements_of(group: str, torch: TorchBuild | None = None, pins_file: Path = PINS_FILE) -> tuple[str, ...]:
    """Return the pins (``name==version``) of ``group`` that fit this machine and ``torch``.

    ``torch`` is only needed for groups with a condition on it. Raises ``WorkerEnvironmentError`` if there is no such
    group, or none that fits.
    """
    candidates = [each for each in _read_groups(pins_file) if each.name == group]
    if not candidates:
        raise WorkerEnvironmentError(f"There is no group “{group}” in the worker's pinned list {pins_file}.")
    for candidate in candidates:
        if all(_holds(condition, torch, pins_file) for condition in candidate.conditions):
            return candidate.requirements
    conditions = "; or ".join(", ".join(each.conditions) for each in candidates)
    raise WorkerEnvironmentError(
        f"There is no {group} for this machine ({_os_name()}, {_words(torch)}). It needs: {conditions}.")


def installed_torch() -> TorchBuild | None:
    """Return this interpreter's torch without importing it, or None if it has none.

    Raises ``WorkerEnvironmentError`` if its version cannot be read.
    """
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.origin:
        return None
    return torch_in(Path(spec.origin).parent)


def torch_in(folder: Path) -> TorchBuild:
    """Return the version of the torch in ``folder``. Raises ``WorkerEnvironmentError`` if it cannot be read."""
    version_file = folder / "version.py"
    try:
        text = version_file.read_text(encoding="utf-8")
    except OSError as problem:
        raise WorkerEnvironmentError(
            f"Torch is installed in {version_file.parent}, but its version cannot be read: {reason(problem)}. "
            "Install torch again.") from problem
    version = re.search(r"^__version__[^=]*= *['\"](\d+)\.(\d+)", text, re.MULTILINE)
    cuda = re.search(r"^cuda[^=]*= *['\"](\d+)", text, re.MULTILINE)
    if version is None:
        raise WorkerEnvironmentError(f"{version_file} does not say which torch it is. Install torch again.")
    return TorchBuild((int(version[1]), int(version[2])), int(cuda[1]) if cuda else None)


def _read_groups(pins_file: Path) -> Iterator[_Group]:
    name: str | None = None
    conditions: tuple[str, ...] = ()
    requirements: list[str] = []
    for number, line in enumerate(pins_file.read_text(encoding="utf-8").splitlines(), 1):
        text = line.partition("#")[0].strip()
        header = _HEADER.match(text)
        if header:
            if name is not None:
                yield _Group(name, conditions, tuple(requirements))
            name, requirements = header[1], []
            conditions = tuple(part.strip() for part in (header[2] or "").split(",") if part.strip())
        elif text and name is None:
            raise WorkerEnvironmentError(f"{pins_file}, line {number}: “{text}” is before any [group].")
        elif text:
            requirements.append(text)
    if name is not None:
        yield _Group(name, conditions, tuple(requirements))


def _holds(condition: str, torch: TorchBuild | None, pins_file: Path) -> bool:
    parts = _CONDITION.match(condition)
    if parts is None:
        raise WorkerEnvironmentError(f"{pins_file}: the condition “{condition}” is not understood.")
    subject, comparison, value = parts.groups()
    if subject == "os":
        return _os_name() == value
    if torch is None:
        raise WorkerEnvironmentError("This choice depends on the version of torch, and this Python has no torch.")
    if subject == "cuda":
        return torch.cuda is not None and bool(_COMPARISONS[comparison](torch.cuda, int(value)))
    major, _, minor = value.partition(".")
    return bool(_COMPARISONS[comparison](torch.version, (int(major), int(minor))))


def _os_name() -> str:
    return _OS_NAMES.get(sys.platform, sys.platform)


def _words(torch: TorchBuild | None) -> str:
    if torch is None:
        return "no torch"
    cuda = f"CUDA {torch.cuda}" if torch.cuda else "no CUDA"
    return f"torch {torch.version[0]}.{torch.version[1]} with {cuda}"
