"""The pinned list, in an environment with the webui's pins: that stays as it was, and the worker has its own."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from lib_lora_train.environment import check
from lib_lora_train.environment.pins import requirements_of
from tests.figures import FULL

from .conftest import WEBUI_PINS, python_in, site_of
from .copies import ExtensionCopy, copy_extension
from .wheels import make_wheel

pytestmark = pytest.mark.slow

# What packages in the list ask for and the worker never imports: open_clip only lends its vocabulary file, and
# onnxruntime needs the first two for tools of its own.
NEVER_IMPORTED = {"coloredlogs", "humanfriendly", "torchvision", "timm"}
LARGE = {"transformers", "pillow"}
USED = ("diffusers.models.unets.unet_2d_condition", "transformers.models.clip.modeling_clip", "lycoris.kohya",
        "safetensors.torch", "yaml", "google.protobuf", "torch", "numpy")
FROM_THE_INTERPRETER = {"torch", "numpy", "sympy"}
STEP = """
import torch
from accelerate import Accelerator
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel
from lycoris.kohya import create_network
torch.manual_seed(0)
unet = UNet2DConditionModel(sample_size=8, layers_per_block=1, block_out_channels=(32, 64), cross_attention_dim=32,
                            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), attention_head_dim=4,
                            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")).requires_grad_(False)
text = CLIPTextModel(CLIPTextConfig(vocab_size=99, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
                                    num_attention_heads=4)).requires_grad_(False)
network = create_network(1.0, 4, 4, None, [text], unet, algo="lora")
network.apply_to([text], unet, True, True)
weights = [weight for weight in network.parameters() if weight.requires_grad]
optimizer = torch.optim.AdamW(weights, lr=1e-2)
latents, noise, tokens = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8), torch.randint(0, 98, (1, 77))
losses = []
for _ in range(6):
    predicted = unet(latents, torch.tensor([300]), text(tokens).last_hidden_state).sample
    loss = torch.nn.functional.mse_loss(predicted, noise)
    Accelerator(cpu=True).backward(loss)
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
assert losses[-1] < 0.95 * losses[0], losses
from PIL import features
assert features.check("avif") and features.check("webp")
import dadaptation, lion_pytorch, prodigyopt, schedulefree, tensorboardX, onnxruntime
assert "CPUExecutionProvider" in onnxruntime.get_available_providers()
import importlib.util, pathlib
assert (pathlib.Path(importlib.util.find_spec("open_clip").origin).parent / "bpe_simple_vocab_16e6.txt.gz").exists()
"""
SAYS = """
import importlib, json, sys, traceback
try:
    exec({step!r}, {{}})
    said = "trained"
except Exception:
    said = traceback.format_exc()
print()
print(json.dumps([said, {{name: importlib.import_module(name).__file__ for name in {names!r}}}]))
"""
"""A step with no more than what it imports itself, and then the file of each module."""


@pytest.fixture(scope="module")
def comparison(webui_environment: Path) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """The webui's environment before and after the extension is installed with its Python.

    The packages that the webui has in another version, but for the largest; in full the whole list.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_extension(Path(folder) / "extension", Path(folder) / "root", None, python_in(webui_environment))
        if not FULL:
            theirs = {normalised(line.partition("==")[0]) for line in WEBUI_PINS.read_text().splitlines()}
            pins = [pin for pin in requirements_of("base") if normalised(pin.partition("==")[0]) in theirs - LARGE]
            assert len(pins) > 10
            (copy.folder / "lib_lora_train/worker_requirements/pins.txt").write_text("\n".join(["[base]", *pins, ""]))
        before = snapshot(webui_environment)
        result = copy.install()
        assert result.stdout == "Train LoRA: The worker's packages (base) are ready.\n", result.stdout + result.stderr
        yield before, snapshot(webui_environment)


@pytest.fixture(scope="module")
def worker(webui_python_with_torch: str, tmp_path_factory: pytest.TempPathFactory) -> ExtensionCopy:
    """A worker with all packages where the tests themselves have them, since there they are compiled."""
    folder, ours = tmp_path_factory.mktemp("worker"), check()
    (root := folder / "root").mkdir()
    (root / ours.folder.name).symlink_to(ours.folder, target_is_directory=True)
    copy = copy_extension(folder / "extension", root, None, webui_python_with_torch)
    assert copy.status == "ready"
    return copy


@pytest.fixture(scope="module")
def in_one_process(worker: ExtensionCopy) -> tuple[str, dict[str, Path]]:
    """What a training step said, and the file of each package in the list, and of what the worker uses of them.

    One process does both, since most of its time goes into what both import.
    """
    own = worker.root / worker.complete_folders()[0]
    tops = {path.stem if path.suffix == ".py" else path.name for path in own.iterdir()
            if path.is_dir() or path.suffix == ".py"}
    modules = {name for name in tops if re.fullmatch(r"[A-Za-z]\w*", name)}
    assert len(modules) > 30
    names = [*sorted(modules - {"open_clip", "open_clip_train", "google", "pydevd_plugins"}), *USED]
    result = worker.run([launcher(worker), "exec", SAYS.format(step=STEP, names=names)], {"OMP_NUM_THREADS": "1"})
    assert result.returncode == 0, result.stderr
    said, files = json.loads(result.stdout.splitlines()[-1])
    return said, {name: Path(file) for name, file in files.items()}


@pytest.fixture(scope="module")
def imported(in_one_process: tuple[str, dict[str, Path]]) -> dict[str, Path]:
    _, files = in_one_process
    return files


def snapshot(environment: Path) -> dict[str, str]:
    """``pip freeze`` and each installed file's time of change and content."""
    freeze = subprocess.run([python_in(environment), "-B", "-m", "pip", "freeze", "--all"], check=True,
                            capture_output=True, text=True).stdout
    files = {str(path): f"{path.stat().st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"
             for path in sorted(site_of(environment).rglob("*")) if path.is_file()}
    return {"pip freeze": freeze, **files}


def test_the_webuis_environment_is_the_same_to_the_byte(comparison: tuple[dict[str, str], dict[str, str]]):
    before, after = comparison
    assert "transformers==4.30.2" in before["pip freeze"] and "gradio==3.41.2" in before["pip freeze"]
    assert after["pip freeze"] == before["pip freeze"]
    assert len(before) > 2000
    assert after == before


def test_the_worker_has_its_own_packages_and_the_webuis_torch_and_numpy(
        worker: ExtensionCopy, imported: dict[str, Path], webui_environment: Path):
    own = worker.root / worker.complete_folders()[0]
    assert {"diffusers", "transformers", "tokenizers", "huggingface_hub", "safetensors", "accelerate", "omegaconf",
            "PIL", "lycoris", "onnxruntime", "requests"} < imported.keys()
    assert [name for name, file in imported.items() if not file.is_relative_to(own)] == ["torch", "numpy"]
    assert imported["numpy"].is_relative_to(site_of(webui_environment))
    code = "import importlib.metadata as metadata; print(metadata.version('transformers'))"
    in_the_webui = subprocess.run([worker.python, "-c", code], check=True, capture_output=True, text=True)
    assert in_the_webui.stdout.strip() == "4.30.2"


def test_everything_in_the_list_can_be_imported(imported: dict[str, Path]):
    assert set(USED) < imported.keys()


def test_a_training_step_runs_on_them(in_one_process: tuple[str, dict[str, Path]]):
    said, _ = in_one_process
    assert said == "trained"


def test_the_list_is_complete_and_its_versions_suit_one_another(worker: ExtensionCopy):
    own = worker.root / worker.complete_folders()[0]
    found = {normalised(path.name.partition("-")[0]): Distribution.at(path) for path in own.glob("*.dist-info")}
    wrong = []
    for name, distribution in found.items():
        for needed in map(Requirement, distribution.requires or []):
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                other = normalised(needed.name)
                if other in found and not needed.specifier.contains(found[other].version):
                    wrong.append(f"{name} needs {needed}, not {found[other].version}")
                elif other not in found.keys() | FROM_THE_INTERPRETER | NEVER_IMPORTED:
                    wrong.append(f"{name} needs {needed}")
    assert wrong == []
    pinned = {normalised(requirement.partition("==")[0]) for requirement in requirements_of("base")}
    assert found.keys() == pinned


def test_no_package_takes_a_name_of_the_standard_library(worker: ExtensionCopy):
    own = worker.root / worker.complete_folders()[0]
    assert {path.stem for path in own.iterdir()} & sys.stdlib_module_names == set()


def test_the_worker_starts_under_an_interpreter_that_ignores_paths(worker: ExtensionCopy):
    result = worker.run(["-I", launcher(worker), "toml"], {})
    assert str(worker.root) in result.stdout, result.stderr


def test_the_worker_starts_from_any_folder_with_the_given_command_and_variables(worker: ExtensionCopy):
    command = worker.say("environment.worker_command(['toml'])")
    environ = worker.say("environment.worker_environ()", ACCELERATE_MIXED_PRECISION="fp16")
    assert isinstance(command, list) and isinstance(environ, dict)
    assert command[0] == worker.python
    assert "ACCELERATE_MIXED_PRECISION" not in environ
    assert environ["HF_HUB_OFFLINE"] == "1"
    result = subprocess.run(command, env=environ, cwd=tempfile.gettempdir(), capture_output=True, text=True)
    assert str(worker.root) in result.stdout, result.stderr


def test_without_torch_a_virtual_environment_with_it_is_made_and_used(tmp_path: Path):
    """With a torch of two lines; tests/run.py has made its environment with the real one in the same way."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    copy = copy_extension(tmp_path / "extension", tmp_path / "root", python=python_in(tmp_path / "bare"))
    (wheels := tmp_path / "wheels").mkdir()
    version = "__version__ = '2.13.0+cpu'\ncuda = None\n"
    cpu_build = make_wheel(wheels, "torch==2.13.0+cpu", {"torch/__init__.py": "import sympy\n",
                                                         "torch/version.py": version}, ["sympy"])
    others = {pin: make_wheel(wheels, pin, {f"{pin.partition('==')[0]}/__init__.py": ""})
              for pin in ("numpy==2.2.6", "sympy==1.14.0", "small==1.0")}
    copy.pin("[base]\nsmall==1.0\n[python]\ntorch==2.13.0\nnumpy==2.2.6\n[torch-requirements]\nsympy==1.14.0\n",
             {"torch==2.13.0+cpu": cpu_build, **others})
    result = subprocess.run([copy.python, "-m", "lib_lora_train", "torch", "small"], cwd=copy.folder,
                            env=copy.environ(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels)), capture_output=True,
                            text=True)
    assert result.returncode == 0, result.stderr
    places = json.loads(result.stdout)
    assert Path(places["torch"]).is_relative_to(copy.root / "python")
    assert Path(places["small"]).is_relative_to(copy.root)
    assert "Making a Python environment" in result.stderr
    again = subprocess.run([copy.python, "-m", "lib_lora_train", "torch"], cwd=copy.folder, env=copy.environ(),
                           capture_output=True, text=True)
    assert (again.returncode, again.stderr) == (0, "")


def launcher(worker: ExtensionCopy) -> str:
    return str(worker.folder / "lib_lora_train/environment/launch_worker.py")


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
