"""A copy of the extension, and an environment with the webui's pins."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .copies import ExtensionCopy, copy_extension

WEBUI_PINS = Path(__file__).with_name("webui_pins.txt")


@pytest.fixture
def extension(tmp_path: Path) -> ExtensionCopy:
    return copy_extension(tmp_path / "extension", tmp_path / "root")


@pytest.fixture(scope="session")
def installed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    result = copy_extension(folder / "extension", folder / "root").install()
    assert result.returncode == 0, result.stdout
    return folder / "root"


@pytest.fixture
def installed(extension: ExtensionCopy, installed_once: Path) -> ExtensionCopy:
    """``extension`` with its packages installed, copied from one installation."""
    shutil.copytree(installed_once, extension.root)
    return extension


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("LORA_TRAIN_TEST_CACHE")
    folder = Path(given) / "environment" if given else tmp_path_factory.mktemp("environments")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def webui_environment(cache_folder: Path) -> Path:
    """The site-packages of a virtual environment with the webui's pins, without torch."""
    folder = cache_folder / f"webui-{sys.version_info.major}{sys.version_info.minor}"
    done = folder / "done"
    if not done.exists() or done.read_text() != WEBUI_PINS.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)], check=True)
        _copy_pip(folder)
        # nothing of it is imported, and to compile it takes as long as to install it
        subprocess.run([python_in(folder), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps",
                        "--no-compile", "-r", str(WEBUI_PINS)], check=True)
        done.write_text(WEBUI_PINS.read_text())
    return folder


@pytest.fixture(scope="session")
def webui_python_with_torch(webui_environment: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python that sees the webui's packages as installed, and behind them the torch of the Python running this."""
    torch = importlib.util.find_spec("torch")
    assert torch is not None and torch.origin, "these tests need a Python with torch"
    folder = tmp_path_factory.mktemp("webui-with-torch")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    sites = [site_of(webui_environment), Path(torch.origin).parents[1]]
    (site_of(folder) / "webui.pth").write_text(
        "".join(f"import site; site.addsitedir({str(site)!r})\n" for site in sites))
    return python_in(folder)


def _copy_pip(environment: Path) -> None:
    """Give ``environment`` the pip of the Python running this, which is compiled; venv would take 3 seconds of a core.
    """
    pip = importlib.util.find_spec("pip")
    assert pip is not None and pip.origin
    for folder in Path(pip.origin).parents[1].glob("pip*"):
        shutil.copytree(folder, site_of(environment) / folder.name)


def python_in(folder: Path) -> str:
    return str(folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))


def site_of(folder: Path) -> Path:
    return next(folder.glob("**/site-packages"))
