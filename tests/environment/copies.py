"""Copies of the extension with pins of their own, so that a real installation by pip takes a second or two."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "lib_lora_train"

PINS = "[base]\ntoml==0.10.2\n"
OTHER_PINS = "[base]\ntoml==0.10.1\n"
# wheels of the small packages that the copies are pinned to
HASHES = {
    "toml==0.10.1": "bda89d5935c2eac546d648028b9901107a595863cb36bae0c73ac804a9b4ce88",
    "toml==0.10.2": "806143ae5bfb6a3c6e736a764057db0e6a0e05e338b5630894a5f779cabb4f9b",
    "zipp==3.20.0": "58da6168be89f0be59beb194da1250516fdaa062ccebd30127ac65d30045e10d",
    "zipp==3.20.1": "9960cd8967c8f85a56f920d5d507274e74f9ff813a0ab8889a5b5be2daf44064",
}

# What the copy's worker does: tell where things come from, and run the code that it is given.
PROBE = """
import json, os, sys
from lib_lora_train.environment import ensure_worker_interpreter
ensure_worker_interpreter()
if sys.argv[1:2] == ["exec"]:
    exec(sys.argv[2])
else:
    import importlib
    print(json.dumps({name: importlib.import_module(name).__file__ for name in sys.argv[1:]}))
"""


@dataclass(frozen=True)
class ExtensionCopy:
    """The parts of the extension that make its environment, in ``folder``, installing into ``root``."""

    folder: Path
    root: Path
    python: str = sys.executable

    def pin(self, pins: str, hashes: Mapping[str, str] = HASHES) -> None:
        """Replace the pinned list, and the hashes of the one file of each pin."""
        requirements = self.folder / "lib_lora_train/worker_requirements"
        (requirements / "pins.txt").write_text(pins)
        (requirements / "hashes.txt").write_text("".join(f"{pin}\n    {digest}  file.whl\n"
                                                         for pin, digest in hashes.items()))

    def environ(self, **more: str) -> dict[str, str]:
        """Variables as a process of the webui has them, PYTHONPATH naming the webui's folder."""
        webui = self.folder.parent / "webui"
        (webui / "modules").mkdir(parents=True, exist_ok=True)
        (webui / "launch.py").write_text("raise RuntimeError('the webui must not be imported')\n")
        return {**os.environ, "PYTHONPATH": f"{webui}{os.pathsep}", "LORA_TRAIN_ENV": str(self.root),
                "COMMANDLINE_ARGS": "", **more}

    def install(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run install.py as the webui does."""
        return self.run([str(self.folder / "install.py"), *arguments], variables)

    def run(self, arguments: Sequence[str], variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run this copy's Python with ``arguments``."""
        return subprocess.run([self.python, *arguments], env=self.environ(**variables), cwd=self.folder.parent,
                              capture_output=True, text=True, timeout=300)

    def say(self, expression: str, **variables: str) -> object:
        """The value of ``expression``, in which ``environment`` is the copy's package."""
        code = f"import json; from lib_lora_train import environment; print(json.dumps({expression}))"
        result = self.run(["-c", f"import sys; sys.path.insert(0, {str(self.folder)!r}); {code}"], variables)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    @property
    def status(self) -> object:
        """What ``check`` says in a process of its own."""
        return self.say("environment.check().status")

    def complete_folders(self) -> list[str]:
        """Names of the package folders that are whole."""
        return sorted(stamp.parent.name for stamp in self.root.glob("*/complete.json"))


def copy_extension(folder: Path, root: Path, pins: str | None = PINS,
                   python: str = sys.executable) -> ExtensionCopy:
    """Copy what makes the environment into ``folder``, with a worker that only tells what it sees.

    ``pins`` None keeps the real list.
    """
    package = folder / "lib_lora_train"
    package.mkdir(parents=True)
    shutil.copy(REPOSITORY / "install.py", folder)
    for name in ("__init__.py", "errors.py"):
        shutil.copy(PACKAGE / name, package)
    for name in ("environment", "files", "worker_requirements"):
        shutil.copytree(PACKAGE / name, package / name, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__main__.py").write_text(textwrap.dedent(PROBE))
    copy = ExtensionCopy(folder, root, python)
    if pins is not None:
        copy.pin(pins)
    return copy
