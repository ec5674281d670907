"""Selects the Python of the worker, builds its command line, and sets up the imports of the worker process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import WorkerEnvironmentError
from ..files.atomic import write_atomically
from ..files.lock import mark_in_use
from .folders import (
    EXTENSION_FOLDER,
    OPTIONAL_GROUPS,
    STAMP_NAME,
    check,
    environment_root,
    log_file,
    read_stamp,
    was_chosen,
)
from .installing import install, sole_installer
from .pins import TorchBuild, installed_torch, requirements_of, torch_in
from .pip_install import NotOfferedError, Progress, end, install_pins, start_with_parent

LAUNCHER = Path(__file__).with_name("launch_worker.py")
OLDEST_PYTHON = (3, 10)
OLDEST_TORCH = (2, 1)
_STARTED_AGAIN = "LORA_TRAIN_STARTED_AGAIN"
# A run downloads only a tagger that the user asked for, and sends nothing to anyone.
_LIBRARY_SETTINGS = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TRANSFORMERS_OFFLINE": "1"}


def worker_command(arguments: Sequence[str]) -> list[str]:
    """Return the command that runs ``python -m lib_lora_train`` with ``arguments`` from any working folder.

    It uses the running Python if that has torch, otherwise the worker's own virtual environment. It starts a file
    rather than a module because the Python of portable webuis ignores PYTHONPATH and the working folder.
    """
    flags = ["-s"] if sys.flags.no_user_site else []
    return [str(_worker_python()), *flags, str(LAUNCHER), *arguments]


def worker_environ() -> dict[str, str]:
    """Return the environment variables for ``worker_command``.

    These are the current ones without those that ``accelerate launch`` set for the webui, plus UTF-8 for text files and
    output, unbuffered output, and offline mode of the Hugging Face libraries.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCELERATE_")}
    return {**kept, **_LIBRARY_SETTINGS, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


def ensure_worker_interpreter(progress: Progress | None = None, program: Path = LAUNCHER) -> None:
    """Make sure that this process can import the worker's packages; to be called before any other import.

    If this Python has no torch, a virtual environment with torch is created if necessary, and this call does not
    return: ``program`` restarts in it with the same arguments. Missing packages are installed. ``progress`` gets
    sentences, which otherwise go to the terminal. Raises ``WorkerEnvironmentError`` on failure.
    """
    progress = progress or _print
    if sys.version_info < OLDEST_PYTHON:
        raise WorkerEnvironmentError(f"This is Python {sys.version.split()[0]}, and training needs "
                                     f"{_dotted(OLDEST_PYTHON)} or newer. Start it with a newer Python.")
    if installed_torch() is None:
        if os.environ.get(_STARTED_AGAIN):
            raise WorkerEnvironmentError(f"There is no torch in {sys.prefix} although it was put there. "
                                         f"Delete {own_environment()} and try again.")
        make_virtual_environment(own_environment(), progress)
        _start_again(program)
    if not check().ready:
        install(progress)
    enter()


def enter() -> None:
    """Set up the worker's imports in this process: its own packages first, torch and numpy from the interpreter.

    Raises ``WorkerEnvironmentError`` if the packages are not ready or torch is missing or too old.
    """
    _wait_without_spinning()
    from .isolation import isolate  # importlib.metadata is slow to import, and install.py runs at every start

    torch, state = installed_torch(), check()
    if torch is None:
        raise WorkerEnvironmentError(f"The Python {sys.executable} has no torch. Use the Python of your webui.")
    if torch.version < OLDEST_TORCH:
        raise WorkerEnvironmentError(f"The Python {sys.executable} has torch {_dotted(torch.version)}, and training "
                                     f"needs {_dotted(OLDEST_TORCH)} or newer. Update torch in it.")
    if not state.ready:
        raise WorkerEnvironmentError(state.reason)
    folders = [*ready_optional_folders(), state.folder]
    for folder in folders:
        mark_in_use(folder / STAMP_NAME)
    isolate([*folders, EXTENSION_FOLDER])
    os.environ.update(_LIBRARY_SETTINGS)


def _wait_without_spinning() -> None:
    """Let OpenMP's waiting threads sleep; to be called before torch is loaded.

    They spin by default, and beside another busy process (on a CPU machine the webui is one) a step then takes
    several times as long. A user's own values are kept.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")


def ready_optional_folders() -> list[Path]:
    """Return the folders of the chosen optional groups that are ready for this Python and torch."""
    states = [check(group) for group in OPTIONAL_GROUPS if was_chosen(group)]
    return [state.folder for state in states if state.ready]


def own_environment() -> Path:
    """Return the folder of the virtual environment used without a webui."""
    return environment_root() / "python"


def make_virtual_environment(folder: Path, progress: Progress) -> Path:
    """Create a virtual environment with torch and numpy in ``folder`` if missing, and return its Python.

    Raises ``WorkerEnvironmentError`` if it cannot be created.
    """
    with sole_installer(progress):
        if not _is_complete(folder):
            shutil.rmtree(folder, ignore_errors=True)
            _make_complete(folder, progress)
    return python_of(folder)


def python_of(folder: Path) -> Path:
    """Return the Python of the virtual environment in ``folder``."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _make_complete(folder: Path, progress: Progress) -> None:
    requirements = requirements_of("python")
    progress(f"Making a Python environment in {folder}.")
    made = start_with_parent(sys.executable, "venv", [str(folder)])
    try:
        assert made.stdout is not None
        said = made.stdout.read().strip()
        made.wait()
    finally:
        end(made)
    if made.returncode != 0:
        raise WorkerEnvironmentError(
            f"A Python environment could not be made in {folder}: {said} "
            "On Debian and Ubuntu, install python3-venv; or use a Python that has torch.")
    progress("Installing torch, which is large; it is done once.")
    python = str(python_of(folder))
    try:
        _install_torch(python, requirements, progress)
        install_pins(python, requirements_of("torch-requirements"), progress)
        torch = torch_in(next(folder.glob("**/site-packages/torch")))
        if needs_libraries(torch):
            install_pins(python, requirements_of("torch-libraries", torch), progress)
    except WorkerEnvironmentError as problem:
        raise WorkerEnvironmentError(f"Torch could not be installed in {folder}: {problem} All that pip said is in "
                                     f"{log_file()}. Try again, or use a Python that has torch.") from problem
    write_atomically(folder / STAMP_NAME, json.dumps({"requirements": list(requirements)}))


def _install_torch(python: str, requirements: Sequence[str], progress: Progress) -> None:
    """Install the CPU build if a source set for pip has it, otherwise the default build, which is for CUDA on Linux.

    pip itself would prefer the default build, since only an index lists hashes before a download. Raises
    ``WorkerEnvironmentError`` if pip could not search or not install what it found.
    """
    cpu = [f"{pin}+cpu" if pin.startswith("torch==") else pin for pin in requirements]
    try:
        install_pins(python, cpu, progress)
    except NotOfferedError as problem:
        progress(f"The CPU build of torch is not available ({str(problem).rstrip('.')}), so the usual one is "
                 "installed.")
        install_pins(python, requirements, progress)


def needs_libraries(torch: TorchBuild) -> bool:
    """Whether this build of torch needs CUDA's libraries from separate packages."""
    return sys.platform == "linux" and torch.cuda is not None


def _is_complete(folder: Path) -> bool:
    stamp = read_stamp(folder) or {}
    return bool(stamp.get("requirements") == list(requirements_of("python"))) and python_of(folder).exists()


def _worker_python() -> Path:
    own = python_of(own_environment())
    if installed_torch() is None and own.exists():
        return own
    return Path(sys.executable)


def _start_again(program: Path) -> None:
    """Run ``program`` with the virtual environment's Python, keeping the pid where the system allows."""
    command = [str(python_of(own_environment())), str(program), *sys.argv[1:]]
    environ = {**worker_environ(), _STARTED_AGAIN: "1"}
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform == "win32":
        sys.exit(subprocess.run(command, check=False, env=environ).returncode)
    os.execve(command[0], command, environ)


def _print(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
