"""Installing package folders with pip: into a temporary folder that is renamed at the end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import WorkerEnvironmentError
from ..files.atomic import write_atomically
from ..files.lock import LockHeldError, is_in_use, process_lock
from ..files.writing import cannot_write
from .folders import (
    BASE,
    NEW_SUFFIX,
    OLD_SUFFIX,
    OPTIONAL_GROUPS,
    STAMP_NAME,
    WAY_OUT,
    check,
    environment_root,
    failure_file,
    group_folder,
    leftover_folders,
    lock_file,
    log_file,
    pins_of,
    superseded_folders,
    was_chosen,
    write_stamp,
)
from .pip_install import Progress, install_pins

_WAIT_LIMIT_SECONDS = 30 * 60.0
_NO_WAIT_SECONDS = 1.0
_RENAME_TRIES = 20
_RENAME_PAUSE_SECONDS = 0.25
_NOT_WANTED = ("bin", "Scripts", "test")  # commands for another Python; the name of a standard library module


def install(progress: Progress, *, wait: bool = True) -> None:
    """Install the worker's packages for the running Python, unless they are ready.

    ``progress`` gets sentences. While another process installs, this one waits for it, or fails at once if ``wait`` is
    False. Raises ``WorkerEnvironmentError`` on failure, with the previous installation unchanged.
    """
    _install_group(BASE, progress, wait=wait)


def repair(progress: Progress) -> None:
    """Reinstall whatever is missing, damaged, incomplete or outdated, including chosen optional groups.

    Raises as ``install`` does.
    """
    _install_group(BASE, progress, wait=True)
    for group in OPTIONAL_GROUPS:
        if failure_file(group).exists() or was_chosen(group):
            add_optional(group, progress)


def add_optional(group: str, progress: Progress) -> None:
    """Install ``group`` (one of ``OPTIONAL_GROUPS``) into its own folder, unless it is ready.

    Raises ``WorkerEnvironmentError`` as ``install`` does, and if there is no build of it for this machine.
    """
    if group not in OPTIONAL_GROUPS:
        raise WorkerEnvironmentError(f"“{group}” is not an optional part of the worker; the parts are "
                                     f"{', '.join(OPTIONAL_GROUPS)}.")
    _install_group(group, progress, wait=True)


def remove_superseded(group: str = BASE) -> None:
    """Delete folders of ``group`` with the pins of an earlier version, unless a worker still uses them."""
    for folder in superseded_folders(group, group_folder(group, pins_of(group))):
        _delete_unless_in_use(folder)


@contextlib.contextmanager
def sole_installer(progress: Progress, *, wait: bool = True) -> Iterator[None]:
    """Hold the installation lock of the root folder, which is created if missing.

    While another process installs, ``progress`` is called and this one waits, or fails at once if ``wait`` is False.
    Raises ``WorkerEnvironmentError`` in that case and for file system errors inside the block.
    """
    root = environment_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with process_lock(lock_file(), _WAIT_LIMIT_SECONDS if wait else _NO_WAIT_SECONDS,
                          lambda pid: progress(f"Waiting for process {pid}, which is installing.")):
            yield
    except LockHeldError as problem:
        raise WorkerEnvironmentError(f"Process {problem.pid} is installing the worker's packages already. "
                                     "Wait for it, or end it and try again.") from problem
    except OSError as problem:
        raise WorkerEnvironmentError(f"The worker's packages cannot be installed. "
                                     f"{cannot_write(problem.filename or root, problem)} Or name another folder in "
                                     "LORA_TRAIN_ENV.") from problem


def _install_group(group: str, progress: Progress, *, wait: bool) -> None:
    if check(group).ready:
        return
    with sole_installer(progress, wait=wait):
        if not check(group).ready:
            _install_locked(group, progress)


def _install_locked(group: str, progress: Progress) -> None:
    requirements = pins_of(group)
    folder = group_folder(group, requirements)
    try:
        for leftover in leftover_folders(group):
            shutil.rmtree(leftover, ignore_errors=True)
        _fill(group, folder, requirements, progress)
    except (OSError, WorkerEnvironmentError) as problem:
        cause = cannot_write(problem.filename or folder, problem) if isinstance(problem, OSError) else str(problem)
        reason = (f"The worker's packages ({group}) could not be installed: {cause.rstrip('.')}. "
                  f"All that pip said is in {log_file()}. {WAY_OUT}")
        with contextlib.suppress(OSError):  # the failure is reported anyway, only not again at the next start
            write_atomically(failure_file(group), json.dumps({"folder": folder.name, "reason": reason}))
        raise WorkerEnvironmentError(reason) from problem
    failure_file(group).unlink(missing_ok=True)
    remove_superseded(group)
    progress(f"The worker's packages ({group}) are ready in {folder}.")


def _fill(group: str, folder: Path, requirements: Sequence[str], progress: Progress) -> None:
    new = folder.with_name(f"{folder.name}.{os.getpid()}{NEW_SUFFIX}")
    new.mkdir()
    try:
        progress(f"Installing the worker's packages ({group}) into {folder}.")
        install_pins(sys.executable, requirements, progress, new)
        for name in _NOT_WANTED:
            shutil.rmtree(new / name, ignore_errors=True)
        write_stamp(new, folder.name, requirements)
        if folder.exists():
            _rename(folder, folder.with_name(f"{folder.name}.{os.getpid()}{OLD_SUFFIX}"))
        _rename(new, folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    for old in leftover_folders(group):
        shutil.rmtree(old, ignore_errors=True)


def _rename(source: Path, target: Path) -> None:
    """Rename a folder; on Windows a virus scanner may briefly hold files of a new one."""
    for _ in range(_RENAME_TRIES - 1):
        try:
            source.rename(target)
        except PermissionError:
            time.sleep(_RENAME_PAUSE_SECONDS)
        else:
            return
    source.rename(target)


def _delete_unless_in_use(folder: Path) -> None:
    doomed = folder.with_name(f"{folder.name}.{os.getpid()}{OLD_SUFFIX}")
    try:
        if is_in_use(folder / STAMP_NAME):
            return
        folder.rename(doomed)
    except OSError:
        return  # a worker has its files open, or the folder is read-only; tried again at the next start
    shutil.rmtree(doomed, ignore_errors=True)
