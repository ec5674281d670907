"""A disk that refuses while a LoRA, a training state, latents or a whole run are written: a sentence, and no loss."""

from __future__ import annotations

import errno
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lib_lora_train.batches import latents
from lib_lora_train.cli.bake import bake_file
from lib_lora_train.config.bake_job import BakeJob
from lib_lora_train.config.job import Job
from lib_lora_train.errors import DatasetError, TrainLoraError
from lib_lora_train.networks.save import load_network_file, write_tensors
from lib_lora_train.runs.folder import STATE_FILE
from lib_lora_train.training.reporting import tensorboard
from lib_lora_train.training.reporting.outputs import check_output_folder
from lib_lora_train.training.state import Progress, load_state, save_state
from tests.crashes import cut_off, failing, operations_seen, refused_in_turn
from tests.figures import FULL, figure
from tests.training.conftest import bare_learner

CODES = [errno.ENOSPC, errno.EROFS, errno.EACCES]
HINTS = ("Free some space", "another disk", "writable for you")
WRITE_TEST = {".train_lora_write_test.tmp"}
"""Stays where the removal of the file that is written as a test is refused."""
LAYER = "lora_unet_down_blocks_0_attentions_0_proj_in"
LORA = {f"{LAYER}.lora_down.weight": torch.ones(2, 4), f"{LAYER}.lora_up.weight": torch.ones(4, 2),
        f"{LAYER}.alpha": torch.tensor(2.0)}


def keep_state(folder: Path, step: int) -> None:
    save_state(folder / "state", bare_learner(float(step)), Progress(step=step), Job(), "pictures", before_too=True)


def state_is_there(folder: Path) -> None:
    progress = load_state(folder / "state", bare_learner(0.0), Job(), 0, "pictures", pytest.fail)
    assert progress is not None and progress.step in (2, 3)
    assert (folder / "state" / STATE_FILE).is_file()


def loras_are_whole(folder: Path) -> None:
    for file in folder.glob("*.safetensors"):
        load_network_file(file)
    assert (folder / "old.safetensors").is_file()


def latents_are_whole(folder: Path) -> None:
    assert all(latents.load_file(file)["latent"].shape == (4, 8, 8) for file in folder.glob("cache/*.safetensors"))


WRITERS: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    "LoRA": (lambda folder: write_tensors(folder / "new.safetensors", LORA, {}), loras_are_whole),
    "baked copy": (lambda folder: bake_file(
        BakeJob(lora=str(folder / "old.safetensors"), blocks=",".join("1" * 17), output_name="baked"), print),
        loras_are_whole),
    "state": (lambda folder: keep_state(folder, 3), state_is_there),
    "latents": (lambda folder: latents._write(folder / "cache", "key", {"latent": torch.zeros(4, 8, 8)}),
                latents_are_whole),
    "output folder": (lambda folder: check_output_folder(folder / "loras", 10), loras_are_whole),
}


@pytest.mark.parametrize("name", WRITERS)
def test_each_refused_write_is_reported_and_loses_nothing(tmp_path: Path, name: str):
    write, check_files = WRITERS[name]
    folder = tmp_path / "run"

    def prepare() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        write_tensors(folder / "old.safetensors", LORA, {})
        (folder / "old.json").write_text('{"activation text": "penny"}')
        for step in (1, 2):
            keep_state(folder, step)

    def check(sentence: str | None, at: int) -> None:
        check_files(folder)
        if sentence is not None:
            assert str(folder) in sentence and any(hint in sentence for hint in HINTS), (at, sentence)
            assert {path.name for path in folder.rglob("*.tmp")} <= WRITE_TEST, at
            write(folder)  # once there is room, it works
            check_files(folder)

    with figure(f"refused writes: {name}") as counted:
        refused = refused_in_turn(lambda: write(folder), prepare, check, CODES)
        counted.tried += refused
    assert refused >= 2 * len(CODES)


@pytest.mark.parametrize("name", ["LoRA", "state", "latents"])
@pytest.mark.parametrize("written", [0, 10, 600])
def test_a_write_that_is_cut_off_in_its_middle_leaves_what_was_there(tmp_path: Path, name: str, written: int):
    write, check_files = WRITERS[name]
    write_tensors(tmp_path / "old.safetensors", LORA, {})
    for step in (1, 2):
        keep_state(tmp_path, step)
    with pytest.raises(Exception, match="File too large") as caught, cut_off(1, written):
        write(tmp_path)
    assert "[Errno" not in str(caught.value)
    check_files(tmp_path)
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.slow
def test_a_run_says_which_file_was_refused_at_any_of_its_file_operations(train, tmp_path):
    """With samples, sidecars, previews and curves: what a LoRA can do without costs a warning, everything else ends the
    run with a sentence; what was saved before is whole."""
    settings = {"sample": {"sample_prompts": ["penny"], "sample_steps": 1}, "training": {"max_train_epochs": 1},
                "dataset": {"cache_latents_to_disk": True}}
    train(**settings)
    chance, total, at = random.Random(12), 1000, 0
    ended, warned = 0, 0
    with figure("refused writes: a whole run") as counted:
        while at < total:
            at += 1 if FULL else chance.randint(20, 35)
            for folder in ("loras", "runs"):  # names in use within one second would count as operations
                shutil.rmtree(tmp_path / folder, ignore_errors=True)
            for cache in tmp_path.rglob("*.safetensors"):
                if "pictures" in cache.parts:
                    cache.unlink()
            try:
                with failing(at):
                    run = train(**settings)
            except TrainLoraError as problem:  # the log of events itself, or the run folder
                assert "[Errno" not in str(problem) and "Free some space" in str(problem), (at, problem)
                counted.tried += 1
                continue
            last = run.events[-1]
            if run.completed:
                total = operations_seen()
            text = " ".join(event["text"] for event in [*run.of("warning"), *run.of("error")])
            assert "[Errno" not in text and "error in the program" not in text, (at, text)
            if last["event"] == "error":
                assert "Free some space" in last["text"], (at, text)
                ended += 1
            else:
                assert run.completed and run.files == ["penny.safetensors"], at
                warned += "Free some space" in text
            for file in run.loras.glob("*.safetensors"):
                load_network_file(file)
            assert {path.name for path in run.loras.glob(".*.tmp")} <= WRITE_TEST, at
            counted.tried += 1
    assert ended and (warned or not FULL), (ended, warned, total)


def test_curves_that_cannot_be_written_cost_a_warning_and_never_make_training_wait(tmp_path: Path, monkeypatch):
    said: list[str] = []
    log = tensorboard.TensorboardLog(tmp_path / "curves", 0, said.append)

    def refuse(*given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(log._records._writer, "write_event", refuse)
    monkeypatch.setattr(log._records._writer, "flush", refuse)
    for step in range(1, 400):  # more than the queue of the library's thread holds
        log.take("step", {"step": step, "loss": 1.0})
    log.close()
    log.take("step", {"step": 400, "loss": 1.0})
    assert len(said) == 1 and "The disk is full" in said[0] and "Training continues" in said[0]


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"{", bytes(range(256)) * 8])
def test_latents_that_are_damaged_or_no_file_are_made_anew(tmp_path: Path, content: bytes):
    fit = latents.Bucket(64, 64)
    file = tmp_path / "a.safetensors"
    assert not latents._is_cached(file, fit, ["latent"])
    file.write_bytes(content)
    assert not latents._is_cached(file, fit, ["latent"])
    file.unlink()
    file.mkdir()
    assert not latents._is_cached(file, fit, ["latent"])
    file.rmdir()
    save_file({"latent": torch.zeros(4, 8, 8)}, file)
    assert latents._is_cached(file, fit, ["latent"])


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"")], ids=["gone", "emptied"])
def test_latents_that_are_lost_while_a_run_uses_them_are_named(tmp_path: Path, damage: Callable[[Path], object]):
    file = tmp_path / "a.safetensors"
    save_file({"latent": torch.zeros(4, 8, 8)}, file)
    store = latents.LatentStore(1.0)
    store.keep(0, file)
    assert store[0].shape == (4, 8, 8)
    damage(file)
    with pytest.raises(DatasetError, match=r"a\.safetensors can no longer be read.*Resume") as caught:
        store[0]
    assert "[Errno" not in str(caught.value)
