"""install.py with real pip, on a copy of the extension with a list of one small package."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from lib_lora_train.environment.hashes import read_hashes
from lib_lora_train.environment.pins import requirements_of

from .copies import OTHER_PINS, PINS, ExtensionCopy

pytestmark = pytest.mark.slow

NO_INDEX = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}


def test_it_installs_once_and_then_has_nothing_to_do(extension: ExtensionCopy, capsys: pytest.CaptureFixture[str]):
    first = extension.install()
    assert first.stdout == "Train LoRA: The worker's packages (base) are ready.\n", first.stderr
    assert first.returncode == 0
    began = time.perf_counter()
    second = extension.install()
    with capsys.disabled():
        print(f"\ninstall.py with nothing to do took {time.perf_counter() - began:.3f} s")
    assert (second.returncode, second.stdout, second.stderr) == (0, first.stdout, "")


def test_it_renews_the_folder_when_the_pins_change(installed: ExtensionCopy):
    (old,) = installed.complete_folders()
    installed.pin(OTHER_PINS)
    assert installed.status == "outdated"
    installed.install()
    (new,) = installed.complete_folders()
    assert new != old
    assert [path.name for path in (installed.root / new).glob("*.dist-info")] == ["toml-0.10.1.dist-info"]


def test_a_failing_pip_leaves_what_was_there_and_says_why(installed: ExtensionCopy):
    extension, before = installed, installed.complete_folders()
    extension.pin(OTHER_PINS)
    failed = extension.install(**NO_INDEX)
    assert failed.returncode == 0, "the webui's start must not see an error"
    assert failed.stdout.count("\n") == 1
    for words in ("No matching distribution found for toml==0.10.1", str(extension.root / "install.log"), "--repair"):
        assert words in failed.stdout
    assert extension.complete_folders() == before
    assert not list(extension.root.glob("*.new"))
    assert "ERROR" in (extension.root / "install.log").read_text()


def test_after_a_failure_the_next_start_says_so_and_does_not_try_until_asked(extension: ExtensionCopy):
    failed = extension.install(**NO_INDEX)
    again = extension.install()
    assert again.stdout == failed.stdout
    assert extension.status == "half-done"
    repaired = extension.install("--repair")
    assert repaired.returncode == 0
    assert extension.status == "ready"


def test_a_repair_that_fails_is_an_error_of_the_command(extension: ExtensionCopy):
    assert extension.install("--repair", **NO_INDEX).returncode == 1


@pytest.mark.skipif(sys.platform == "win32", reason="a process group cannot be killed at once there")
def test_a_killed_installation_is_noticed_and_repaired(extension: ExtensionCopy):
    process = subprocess.Popen([sys.executable, str(extension.folder / "install.py")], env=extension.environ(),
                               start_new_session=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not list(extension.root.glob("*.new")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    noticed = extension.install()
    assert noticed.returncode == 0
    assert "interrupted before it was done" in noticed.stdout and "--repair" in noticed.stdout
    assert extension.status == "half-done"
    extension.install("--repair")
    assert extension.status == "ready"
    assert not list(extension.root.glob("*.new"))


def test_a_damaged_folder_is_repaired(installed: ExtensionCopy):
    extension = installed
    (name,) = extension.complete_folders()
    (extension.root / name / "toml/__init__.py").unlink()
    (extension.root / name / "toml").rename(extension.root / "gone")
    assert "lacks toml" in extension.install().stdout
    extension.install("--repair")
    assert extension.status == "ready"
    assert (extension.root / name / "toml/__init__.py").exists()


def test_two_installations_at_once_become_one(extension: ExtensionCopy):
    command = [sys.executable, str(extension.folder / "install.py"), "--repair"]
    both = [subprocess.Popen(command, env=extension.environ(), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum(output.count("Unpacking") for output in outputs) == 1, outputs
    assert extension.status == "ready"


def test_the_webuis_start_does_not_wait_for_another_installation(extension: ExtensionCopy):
    hold = ("import sys, time; sys.path.insert(0, sys.argv[1])\n"
            "from lib_lora_train.environment.installing import sole_installer\n"
            "with sole_installer(print): print('there', flush=True); time.sleep(3600)")
    holder = subprocess.Popen([sys.executable, "-c", hold, str(extension.folder)], env=extension.environ(),
                              stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "there\n"
        result = extension.install()
        assert holder.poll() is None  # it was not waited for
    finally:
        holder.kill()
        holder.communicate()
    assert result.returncode == 0
    assert f"being installed by process {holder.pid}" in result.stdout


@pytest.mark.parametrize(("arguments", "variables"), [
    (["--skip-install"], {}), ([], {"COMMANDLINE_ARGS": "--xformers --skip-install"})])
def test_skip_install_is_obeyed(extension: ExtensionCopy, arguments: list[str], variables: dict[str, str]):
    result = extension.install(*arguments, **variables)
    assert result.returncode == 0 and "skipped" in result.stdout
    assert not extension.root.exists()


def test_a_folder_that_cannot_be_made_is_named(extension: ExtensionCopy):
    extension.root.write_text("a file where the folder should be")
    result = extension.install()
    assert result.returncode == 0
    assert str(extension.root) in result.stdout and "LORA_TRAIN_ENV" in result.stdout
    assert extension.root.is_file()


def test_wrong_arguments_are_answered_with_the_right_ones(extension: ExtensionCopy):
    result = extension.install("--repare")
    assert "--repare is not understood" in result.stdout and "--repair" in result.stdout
    assert "Click" not in extension.install("--add", "torchvision").stdout
    assert "“torchvision” is not an optional part" in extension.install("--add", "torchvision").stdout


def test_an_optional_group_gets_a_folder_of_its_own_for_the_torch_at_hand(installed: ExtensionCopy):
    extension = installed
    extension.pin(PINS + "[bitsandbytes: torch < 2.0]\nzipp==3.20.0\n[bitsandbytes]\nzipp==3.20.1\n")
    (base,) = extension.complete_folders()
    content = sorted(path.name for path in (extension.root / base).iterdir())
    added = extension.install("--add", "bitsandbytes")
    assert added.returncode == 0, added.stdout
    assert "1 of 1: zipp" in added.stdout
    folders = extension.complete_folders()
    assert len(folders) == 2 and base in folders
    assert sorted(path.name for path in (extension.root / base).iterdir()) == content
    seen = extension.run([str(extension.folder / "lib_lora_train/environment/launch_worker.py"), "zipp", "toml"], {})
    assert "bitsandbytes-cp" in seen.stdout and base in seen.stdout, seen.stderr


@pytest.mark.slow
def test_the_opencv_that_is_added_brings_the_cascades_that_find_faces(installed: ExtensionCopy):
    extension = installed
    (pin,) = requirements_of("opencv")
    wheels = read_hashes()[pin]
    (extension.folder / "lib_lora_train/worker_requirements/pins.txt").write_text(f"{PINS}[opencv]\n{pin}\n")
    with (extension.folder / "lib_lora_train/worker_requirements/hashes.txt").open("a") as file:
        file.write("\n".join([pin, *(f"    {digest}  {name}" for name, digest in wheels.items())]) + "\n")
    added = extension.install("--add", "opencv")
    assert added.returncode == 0, added.stdout
    code = ("import cv2; name = cv2.data.haarcascades + 'haarcascade_frontalface_default.xml'; "
            "print('OpenCV', cv2.__version__, cv2.CascadeClassifier(name).empty())")
    seen = extension.run([str(extension.folder / "lib_lora_train/environment/launch_worker.py"), "exec", code], {})
    assert re.search(r"^OpenCV 4\.[\d.]+ False$", seen.stdout, re.MULTILINE), seen.stdout + seen.stderr
