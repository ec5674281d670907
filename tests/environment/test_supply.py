"""Only the files that were checked are installed, and an installation never outlives the process that asked for it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import psutil
import pytest

from lib_lora_train.environment.hashes import WHEELS_FOLDER, hashed_requirements, read_hashes
from lib_lora_train.environment.pins import PINS_FILE
from lib_lora_train.errors import WorkerEnvironmentError

from .copies import HASHES, ExtensionCopy

PINS = re.findall(r"^[\w.-]+==[\w.]+", PINS_FILE.read_text(), re.MULTILINE)
# parts of file names that a wheel for this system has one of
SYSTEMS = {"windows": ("win_amd64", "none-any"), "linux": ("_x86_64", "none-any"),
           "macos": ("macosx", "none-any")}
ONLY_ON = {"onnxruntime-directml": "windows", "bitsandbytes": "windows linux", "triton": "linux", "nvidia": "linux",
           "cuda": "linux", "onnxruntime-gpu": "windows linux"}
WRONG = "0" * 64


@pytest.mark.parametrize("python", ["310", "311", "312"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_pin_has_a_wheel_for_every_python_and_system(python: str, system: str):
    hashes = read_hashes()
    missing = []
    for pin in PINS:
        only_on = next((systems for name, systems in ONLY_ON.items() if pin.startswith(name)), system)
        if system in only_on.split() and not any(_fits(file, python, system) for file in hashes[pin]):
            missing.append(pin)
    assert missing == []


def test_every_listed_pin_is_wanted_and_every_file_is_a_wheel():
    hashes = read_hashes()
    assert {pin.removesuffix("+cpu") for pin in hashes} == set(PINS)
    assert all(file.endswith(".whl") for files in hashes.values() for file in files)


def test_the_wheels_that_are_kept_here_are_the_listed_ones_and_have_their_licence():
    wheels = sorted(WHEELS_FOLDER.glob("*.whl"))
    assert [wheel.name.partition("-")[0] for wheel in wheels] == ["antlr4_python3_runtime", "dadaptation"]
    for wheel in wheels:
        names = zipfile.ZipFile(wheel).namelist()
        assert any("licenses/LICENSE" in name for name in names), wheel
        assert all(name.endswith((".py", "pygrun")) or "dist-info" in name for name in names), "pure Python"


def test_a_pin_without_a_hash_or_with_nonsense_in_the_list_is_refused(tmp_path: Path):
    listed = tmp_path / "hashes.txt"
    listed.write_text("toml==0.10.2\n")
    with pytest.raises(WorkerEnvironmentError, match=r"no hash of toml==0\.10\.2"):
        hashed_requirements(["toml==0.10.2"], listed)
    listed.write_text("toml==0.10.2\n    abc  toml.whl\n")
    with pytest.raises(WorkerEnvironmentError, match="line 2.*abc"):
        hashed_requirements(["toml==0.10.2"], listed)
    with pytest.raises(WorkerEnvironmentError, match=r"gone\.txt cannot be read"):
        hashed_requirements(["toml==0.10.2"], tmp_path / "gone.txt")


@pytest.mark.slow
def test_a_file_with_another_hash_is_not_installed_and_the_message_says_which(extension: ExtensionCopy):
    pin = "toml==0.10.2"
    extension.pin(f"[base]\n{pin}\n", {pin: WRONG})
    failed = extension.install("--repair")
    assert failed.returncode == 1
    name, _, version = pin.partition("==")
    for words in (f"{name}-{version}-", ".whl", WRONG, HASHES[pin], "pip cache purge", "install.log"):
        assert words in failed.stdout, (words, failed.stdout)
    assert extension.complete_folders() == []


@pytest.mark.slow
def test_a_damaged_wheel_of_the_extension_itself_is_refused_too(extension: ExtensionCopy):
    (wheel,) = (extension.folder / "lib_lora_train/worker_requirements/wheels").glob("dadaptation*")
    content = bytearray(wheel.read_bytes())
    content[len(content) // 2] ^= 1
    wheel.write_bytes(content)
    expected = read_hashes()["dadaptation==3.2"][wheel.name]
    extension.pin("[base]\ndadaptation==3.2\n", {"dadaptation==3.2": expected})
    failed = extension.install("--repair")
    assert failed.returncode == 1 and wheel.name in failed.stdout and expected in failed.stdout, failed.stdout


@pytest.mark.slow
def test_packages_that_are_published_as_source_are_installed_without_building(extension: ExtensionCopy):
    pins = ["dadaptation==3.2", "antlr4-python3-runtime==4.9.3"]
    known = {pin: next(iter(read_hashes()[pin].values())) for pin in pins}
    extension.pin("[base]\n" + "\n".join(pins) + "\n", known)
    done = extension.install("--repair", PIP_NO_INDEX="1", PIP_FIND_LINKS="")
    assert done.returncode == 0, done.stdout
    assert "Building" not in (extension.root / "install.log").read_text()
    (folder,) = extension.complete_folders()
    assert (extension.root / folder / "antlr4/Lexer.py").is_file()


@pytest.mark.slow
def test_a_source_distribution_is_never_taken(extension: ExtensionCopy):
    extension.pin("[base]\ndadaptation==3.2\n",
                  {"dadaptation==3.2": "de8e8289d56bfdee0c8e3ca353143295d8a48363bcb02d6868a708354b47ccc0"})
    assert extension.install("--repair").returncode == 1
    assert extension.complete_folders() == []


@pytest.mark.slow
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_installation_takes_pip_with_it(extension: ExtensionCopy, tmp_path: Path, kill: signal.Signals):
    process = _installing(extension, tmp_path)
    pip = _pip_of(process)
    process.send_signal(kill)
    process.wait(timeout=240)
    _, alive = psutil.wait_procs([pip], timeout=240)
    assert alive == []
    # an interrupt lets it clear up behind itself
    assert extension.status == ("missing" if kill == signal.SIGINT else "half-done")


@pytest.mark.slow
def test_any_module_that_is_started_so_ends_with_its_parent(tmp_path: Path):
    code = ("import sys; sys.path.insert(0, sys.argv[1])\n"
            "from lib_lora_train.environment.pip_install import start_with_parent\n"
            "p = start_with_parent(sys.executable, 'http.server', ['0', '--bind', '127.0.0.1'])\n"
            "print(p.pid, flush=True); p.wait()")
    parent = subprocess.Popen([sys.executable, "-c", code, str(PINS_FILE.parents[2])], stdout=subprocess.PIPE,
                              text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    _, alive = psutil.wait_procs([child], timeout=240)
    assert alive == []


def _fits(file: str, python: str, system: str) -> bool:
    tags = file.removesuffix(".whl").split("-")
    found = re.fullmatch(r"cp3(\d+)", tags[-3])
    right = "py3" in tags[-3] or f"cp{python}" == tags[-3] \
        or (tags[-2] == "abi3" and found is not None and int(found[1]) <= int(python[1:]))
    return right and any(part in file for part in SYSTEMS[system])


def _installing(extension: ExtensionCopy, tmp_path: Path) -> subprocess.Popen[bytes]:
    """install.py, with a pip that hangs at a file whose other end never says a word."""
    import socket

    silent = socket.create_server(("127.0.0.1", 0))
    _KEPT.append(silent)
    port = silent.getsockname()[1]
    variables = {"INDEX_URL": f"http://127.0.0.1:{port}/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "",
                 "PIP_DEFAULT_TIMEOUT": "120"}
    # what a shell starts in the background ignores interrupts, and so would all that is started below it
    return subprocess.Popen([sys.executable, str(extension.folder / "install.py")], env=extension.environ(**variables),
                            cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


_KEPT: list[object] = []


def _pip_of(process: subprocess.Popen[bytes]) -> psutil.Process:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [child for child in psutil.Process(process.pid).children(recursive=True)
                 if "install" in child.cmdline()]
        if found:
            return found[0]
        time.sleep(0.02)
    raise AssertionError("pip did not start")
