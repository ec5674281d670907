"""Locations and state of the worker's packages.

One root has a folder for each group of pins, named after the Python version and a hash of the pins, so that other pins
or another Python never change a folder that a running worker may be using::

    worker_env/
        base-cp310-1f0c3a9b/           complete.json is written last; without it the folder is ignored
        bitsandbytes-cp310-77ab20d1/
        base-cp310-1f0c3a9b.4711.new/  being installed by process 4711, or left over from it
        base.failure.json              why the last attempt failed, until one succeeds
        install.log                    pip's output in the last attempt
        install.lock                   locked by the installing process
        python/                        the virtual environment used without a webui
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..files.atomic import write_atomically
from ..files.json_file import DamagedFileError, read_object, text
from ..files.lock import lock_holder
from .pins import installed_torch, requirements_of

BASE = "base"
OPTIONAL_GROUPS = ("bitsandbytes", "prodigy-plus", "opencv", "onnxruntime-gpu", "onnxruntime-directml")
EXTENSION_FOLDER = Path(__file__).resolve().parents[2]
ROOT_VARIABLE = "LORA_TRAIN_ENV"
STAMP_NAME = "complete.json"
WAY_OUT = "Click “Repair” in the Train LoRA tab, or run: python install.py --repair"
NEW_SUFFIX = ".new"
OLD_SUFFIX = ".old"

Status = Literal["ready", "missing", "installing", "half-done", "outdated"]


@dataclass(frozen=True)
class EnvironmentState:
    """The state of one group of the worker's packages; ``reason`` is a sentence for the user."""

    status: Status
    reason: str
    folder: Path
    log_file: Path

    @property
    def ready(self) -> bool:
        """Whether the worker can start."""
        return self.status == "ready"


def environment_root() -> Path:
    """Return the root folder of all packages: ``LORA_TRAIN_ENV`` if set, otherwise the extension's ``worker_env``."""
    given = os.environ.get(ROOT_VARIABLE)
    return Path(given).expanduser().absolute() if given else EXTENSION_FOLDER / "worker_env"


def python_tag() -> str:
    """Return the running Python's version as package files name it, such as ``cp310``."""
    return f"cp{sys.version_info.major}{sys.version_info.minor}"


def pins_of(group: str) -> tuple[str, ...]:
    """Return the pins of ``group`` on this machine; the base group does not depend on torch."""
    return requirements_of(group, None if group == BASE else installed_torch())


def group_folder(group: str, requirements: Sequence[str]) -> Path:
    """Return the folder for ``requirements`` of ``group`` with this Python on this kind of machine."""
    content = "\n".join([*requirements, python_tag(), sysconfig.get_platform()])
    return environment_root() / f"{group}-{python_tag()}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def log_file() -> Path:
    """Return the log file of pip's output in the last attempt."""
    return environment_root() / "install.log"


def lock_file() -> Path:
    """Return the file locked by the installing process."""
    return environment_root() / "install.lock"


def failure_file(group: str) -> Path:
    """Return the file that records why the last attempt to install ``group`` failed."""
    return environment_root() / f"{group}.failure.json"


def check(group: str = BASE) -> EnvironmentState:
    """Return the state of ``group`` for the running Python, from file names and one small file, in milliseconds.

    Raises ``WorkerEnvironmentError`` if there is no build of an optional group for this machine.
    """
    folder = group_folder(group, pins_of(group))
    status, reason = _inspect(group, folder)
    return EnvironmentState(status, reason, folder, log_file())


def write_stamp(folder: Path, final_name: str, requirements: Sequence[str]) -> None:
    """Mark ``folder`` as complete, as the last step before it is renamed to ``final_name``."""
    stamp = {"folder": final_name, "platform": sysconfig.get_platform(), "requirements": list(requirements),
             "content": sorted(entry.name for entry in folder.iterdir())}
    write_atomically(folder / STAMP_NAME, json.dumps(stamp, indent=1))


def read_stamp(folder: Path) -> dict[str, Any] | None:
    """Return what ``write_stamp`` wrote, or None if it is missing or unreadable."""
    try:
        return read_object(folder / STAMP_NAME)
    except (OSError, DamagedFileError):
        return None


def superseded_folders(group: str, current: Path) -> Iterator[Path]:
    """Yield the complete folders of ``group`` for this Python and machine with outdated pins."""
    for folder in _folders_of(group):
        stamp = read_stamp(folder)
        if folder != current and stamp is not None and stamp.get("platform") == sysconfig.get_platform():
            yield folder


def was_chosen(group: str) -> bool:
    """Whether ``group`` has ever been installed for this Python on this kind of machine, with any pins."""
    stamps = (read_stamp(folder) for folder in _folders_of(group))
    return any(stamp is not None and stamp.get("platform") == sysconfig.get_platform() for stamp in stamps)


def leftover_folders(group: str) -> list[Path]:
    """Return the folders left by interrupted attempts to install ``group``."""
    root = environment_root()
    return [folder for suffix in (NEW_SUFFIX, OLD_SUFFIX) for folder in root.glob(f"{group}-cp*{suffix}")]


def _inspect(group: str, folder: Path) -> tuple[Status, str]:
    missing = _missing_content(folder)
    if missing == []:
        return "ready", f"The worker's packages ({group}) are ready."
    holder = lock_holder(lock_file())
    if holder is not None:
        return "installing", f"The worker's packages ({group}) are being installed by process {holder}."
    return _what_is_wrong(group, folder, missing)


def _what_is_wrong(group: str, folder: Path, missing: list[str] | None) -> tuple[Status, str]:
    if missing:
        return "half-done", f"The worker's packages are damaged: {folder} lacks {', '.join(missing[:5])}. {WAY_OUT}"
    failure = _last_failure(group, folder)
    if failure:
        return "half-done", failure
    if any(left.name.endswith(NEW_SUFFIX) for left in leftover_folders(group)):
        return "half-done", f"Installing the worker's packages ({group}) was interrupted before it was done. {WAY_OUT}"
    others = list(superseded_folders(group, folder))
    if others:
        return "outdated", f"The worker's packages ({group}) are of an earlier version. {WAY_OUT}"
    return "missing", f"The worker's packages ({group}) are not installed yet for {python_tag()}. {WAY_OUT}"


def _missing_content(folder: Path) -> list[str] | None:
    """Return what the stamp lists and the folder lacks; None if there is no folder."""
    stamp = read_stamp(folder)
    if stamp is None:
        return [STAMP_NAME] if folder.is_dir() else None
    present = {entry.name for entry in folder.iterdir()}
    content = stamp.get("content")
    if not isinstance(content, list):
        return [STAMP_NAME]  # damaged: the expected content is unknown
    return [str(name) for name in content if not isinstance(name, str) or name not in present]


def _last_failure(group: str, folder: Path) -> str | None:
    try:
        failure = read_object(failure_file(group))
        return text(failure, "reason") if failure.get("folder") == folder.name else None
    except (OSError, DamagedFileError):
        return None


def _folders_of(group: str) -> list[Path]:
    return [folder for folder in environment_root().glob(f"{group}-{python_tag()}-*")
            if not folder.name.endswith((NEW_SUFFIX, OLD_SUFFIX)) and folder.is_dir()]

