"""The worker sees its own packages, the interpreter's torch and numpy, and nothing else of the interpreter's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Packages beside the interpreter's: broken companions of diffusers, and an old version of one of ours."""
    folder = tmp_path / "site"
    for name in ("peft", "xformers", "torchvision"):
        add_package(folder, name, "9.9", "raise ImportError('built for another torch')")
    add_package(folder, "pinned", "1.0", "where = 'site'")
    (folder / "google/protobuf").mkdir(parents=True)
    (folder / "google/protobuf/__init__.py").write_text("where = 'site'")
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    add_package(folder, "pinned", "2.0", "where = 'own'")
    (folder / "google/protobuf").mkdir(parents=True)
    (folder / "google/protobuf/__init__.py").write_text("where = 'own'")
    return folder


def add_package(folder: Path, name: str, version: str, code: str) -> None:
    metadata = folder / f"{name}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(code)


def see(own: Path, site: Path, expression: str, before: str = "pass") -> Any:
    """The value of ``expression`` in a process that is isolated to ``own``, with ``site`` on PYTHONPATH."""
    code = (f"import sys, json; from pathlib import Path\n{before}\n"
            f"from lib_lora_train.environment.isolation import isolate\n"
            f"isolate([Path({str(own)!r}), Path({str(REPOSITORY)!r})])\n"
            f"import importlib.util, importlib.metadata\nprint(json.dumps({expression}))")
    environ = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{REPOSITORY}"}
    result = subprocess.run([sys.executable, "-c", code], env=environ, cwd=site, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_broken_companions_in_the_interpreter_look_as_if_they_were_not_installed(own: Path, site: Path):
    names = "['peft', 'xformers', 'torchvision', 'pytest']"
    assert see(own, site, f"[importlib.util.find_spec(name) for name in {names}]") == [None] * 4
    found = see(own, site, "[found.metadata['Name'] for found in importlib.metadata.distributions()]")
    assert set(found) & {"peft", "xformers", "torchvision", "pytest"} == set()
    assert "pinned" in found


def test_own_packages_come_first_and_their_versions_are_the_ones_reported(own: Path, site: Path):
    assert see(own, site, "__import__('pinned').where") == "own"
    assert see(own, site, "importlib.metadata.version('pinned')") == "2.0"


def test_torch_numpy_and_what_torch_requires_come_from_the_interpreter(own: Path, site: Path):
    names = ("torch", "numpy", "sympy", "networkx")
    find = f"import importlib.util\nfor name in {names}: print(importlib.util.find_spec(name).origin)"
    expected = subprocess.run([sys.executable, "-c", find], check=True, capture_output=True, text=True).stdout
    places, version, shape = see(own, site, f"""[
        [__import__(name).__file__ for name in {names}], importlib.metadata.version('torch'),
        __import__('torch').nn.Linear(2, 2)(__import__('torch').ones(1, 2)).shape]""")
    assert places == expected.split()
    assert version
    assert shape == [1, 2]


def test_the_whole_standard_library_stays_importable(own: Path, site: Path):
    code = """[name for name in sorted(sys.stdlib_module_names) if name not in ('antigravity', 'this', 'idlelib')
               and importlib.util.find_spec(name) is None]"""
    without = subprocess.run([sys.executable, "-c", f"import sys, json, importlib.util; print(json.dumps({code}))"],
                             check=True, capture_output=True, text=True)
    assert see(own, site, code) == json.loads(without.stdout)
    assert see(own, site, "len(__import__('sysconfig').get_config_vars()) > 20")


def test_a_namespace_that_a_pth_file_tied_to_the_interpreter_is_let_go(own: Path, site: Path):
    tie = (f"import types; google = types.ModuleType('google'); google.__path__ = [{str(site / 'google')!r}]\n"
           "sys.modules['google'] = google")
    assert see(own, site, "importlib.import_module('google.protobuf').where", before=tie) == "own"


def test_an_interpreter_without_torch_is_refused_by_name(own: Path, tmp_path: Path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    python = next(path for name in ("bin/python", "Scripts/python.exe") if (path := tmp_path / "bare" / name).exists())
    code = ("from pathlib import Path; from lib_lora_train.environment.isolation import isolate;"
            f"isolate([Path({str(own)!r})])")
    result = subprocess.run([str(python), "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert result.returncode == 1
    assert "has no torch" in result.stderr and str(tmp_path / "bare") in result.stderr
