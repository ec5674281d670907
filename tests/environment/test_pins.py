"""The pinned list: exact, and right for each torch."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lib_lora_train.environment.pins import PINS_FILE, TorchBuild, installed_torch, requirements_of
from lib_lora_train.errors import WorkerEnvironmentError

WEBUI_TORCH = TorchBuild((2, 1), 12)
TODAYS_TORCH = TorchBuild((2, 13), 13)


def test_every_requirement_is_pinned_to_one_version_and_names_no_host():
    lines = [line.partition("#")[0].strip() for line in PINS_FILE.read_text().splitlines()]
    wrong = [line for line in lines if line and not re.fullmatch(r"[A-Za-z0-9-]+==[\d.]+|\[[^\]]+\]", line)]
    assert wrong == []
    assert "://" not in PINS_FILE.read_text()


def test_torch_and_numpy_are_not_in_the_folder_but_come_from_the_interpreter():
    names = {requirement.partition("==")[0] for requirement in requirements_of("base")}
    assert names & {"torch", "numpy"} == set()
    assert {"diffusers", "transformers", "accelerate", "safetensors", "omegaconf", "Pillow"} <= names


@pytest.mark.parametrize(("torch", "version"), [
    (TorchBuild((2, 1), 12), "0.45.5"), (TorchBuild((2, 3), None), "0.45.5"),
    (TorchBuild((2, 4), 12), "0.50.2"), (TorchBuild((2, 13), 13), "0.50.2"), (TorchBuild((3, 0), 13), "0.50.2"),
])
def test_bitsandbytes_fits_the_torch(torch: TorchBuild, version: str):
    assert requirements_of("bitsandbytes", torch) == (f"bitsandbytes=={version}",)


@pytest.mark.parametrize(("torch", "brings_libraries"), [
    (TorchBuild((2, 6), 12), True), (WEBUI_TORCH, False), (TODAYS_TORCH, False), (TorchBuild((2, 6), None), False),
])
def test_onnxruntime_for_nvidia_brings_the_libraries_that_torch_does_not(torch: TorchBuild, brings_libraries: bool):
    names = [requirement.partition("==")[0] for requirement in requirements_of("onnxruntime-gpu", torch)]
    assert "onnxruntime-gpu" in names
    assert ("nvidia-cudnn-cu12" not in names) == brings_libraries


def test_a_build_that_this_machine_cannot_have_is_refused_with_what_it_needs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(WorkerEnvironmentError, match=r"onnxruntime-directml.*linux, torch 2\.1 with CUDA 12.*os = w"):
        requirements_of("onnxruntime-directml", WEBUI_TORCH)
    monkeypatch.setattr(sys, "platform", "win32")
    assert "onnxruntime-directml" in requirements_of("onnxruntime-directml", WEBUI_TORCH)[0]


def test_mistakes_in_the_list_are_named(tmp_path: Path):
    pins = tmp_path / "pins.txt"
    pins.write_text("[base: torch > two]\nnumpy==1\n")
    with pytest.raises(WorkerEnvironmentError, match="torch > two"):
        requirements_of("base", WEBUI_TORCH, pins)
    pins.write_text("numpy==1\n")
    with pytest.raises(WorkerEnvironmentError, match="line 1"):
        requirements_of("base", None, pins)
    with pytest.raises(WorkerEnvironmentError, match="onnx-tpu"):
        requirements_of("onnx-tpu")


def test_the_version_of_torch_is_read_without_importing_torch():
    code = ("import sys; from lib_lora_train.environment.pins import installed_torch as find; build = find();"
            "assert 'torch' not in sys.modules; import importlib.util, pathlib, runpy;"
            "place = pathlib.Path(importlib.util.find_spec('torch').origin);"
            "torch = runpy.run_path(str(place.with_name('version.py')));"
            "assert torch['__version__'].startswith('%d.%d.' % build.version), build;"
            "assert (torch['cuda'] or '').partition('.')[0] == str(build.cuda or ''), build")
    result = subprocess.run([sys.executable, "-c", code], cwd=PINS_FILE.parents[2], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(("text", "build"), [
    ("__version__ = '2.1.2+cu121'\ndebug = False\ncuda = '12.1'\nhip = None\n", TorchBuild((2, 1), 12)),
    ("__all__ = ['cuda']\n__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\n", TorchBuild((2, 13), None)),
])
def test_both_ways_in_which_torch_writes_its_version_are_read(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, build: TorchBuild):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").write_text("")
    (tmp_path / "torch/version.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert installed_torch() == build
