from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import save_file

from lib_lora_train.errors import CheckpointError
from lib_lora_train.models.checkpoint import read_checkpoint

WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.tensor([1.5], dtype=torch.float16)}


def same(tensors) -> bool:
    return set(tensors) == set(WEIGHTS) and all(torch.equal(tensors[key], WEIGHTS[key]) for key in WEIGHTS)


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert path.name in str(caught.value)
    return str(caught.value)


def test_safetensors_come_with_their_metadata(tmp_path):
    save_file(WEIGHTS, tmp_path / "x.safetensors", metadata={"k": "v"})
    checkpoint = read_checkpoint(tmp_path / "x.safetensors")
    assert same(checkpoint.tensors)
    assert checkpoint.metadata == {"k": "v"}
    assert checkpoint.shapes == {"a.weight": (2, 3), "b": (1,)}
    assert list(checkpoint.under("a.")) == ["weight"]


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"state_dict": state, "global_step": 7}],
                         ids=["plain", "lightning"])
def test_ckpt_files_of_each_age_are_read(tmp_path, zipped, wrap):
    path = tmp_path / "x.ckpt"
    torch.save(wrap(WEIGHTS), path, _use_new_zipfile_serialization=zipped)
    assert same(read_checkpoint(path).tensors)


def test_lightning_leftovers_in_a_ckpt_are_passed_over_without_being_imported(tmp_path):
    """The original SD 1.x .ckpt files carry the state of a ModelCheckpoint callback and numpy scalars."""
    path = tmp_path / "x.ckpt"
    code = f"""
import sys, types, numpy, torch
for name in ("pytorch_lightning", "pytorch_lightning.callbacks", "pytorch_lightning.callbacks.model_checkpoint"):
    sys.modules[name] = types.ModuleType(name)
module = sys.modules["pytorch_lightning.callbacks.model_checkpoint"]
class ModelCheckpoint: pass
ModelCheckpoint.__module__ = module.__name__
module.ModelCheckpoint = ModelCheckpoint
torch.save({{"state_dict": {{"a.weight": torch.arange(6.0).view(2, 3), "b": torch.tensor([1.5], dtype=torch.float16)}},
             "callbacks": {{ModelCheckpoint: {{"best_model_score": numpy.float64(0.5)}}}}}}, {str(path)!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert same(read_checkpoint(path).tensors)
    assert "pytorch_lightning" not in sys.modules


class RunsCode:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_code_in_a_pickle_is_not_run(tmp_path, zipped):
    path, marker = tmp_path / "x.ckpt", tmp_path / "ran"
    torch.save({**WEIGHTS, "evil": RunsCode(marker)}, path, _use_new_zipfile_serialization=zipped)
    message = refusal(path)
    assert "run code" in message and ".safetensors" in message
    assert not marker.exists()


def test_a_plain_pickle_with_code_is_not_run(tmp_path):
    path, marker = tmp_path / "x.pt", tmp_path / "ran"
    path.write_bytes(pickle.dumps(RunsCode(marker)))
    refusal(path)
    assert not marker.exists()


def test_a_missing_file_a_folder_and_another_ending_are_named(tmp_path):
    assert "no checkpoint" in refusal(tmp_path / "none.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    assert "is a folder" in refusal(tmp_path / "folder.safetensors")
    (tmp_path / "x.png").write_bytes(b"abc")
    assert ".png" in refusal(tmp_path / "x.png")


@pytest.mark.parametrize("ending", ["safetensors", "ckpt"])
@pytest.mark.parametrize(("content", "word"), [
    (b"", "empty"), (b"<!DOCTYPE html><html>", "web page"), (b"version https://git-lfs.github.com/spec/v1\n", "LFS"),
    (bytes(range(256)) * 20, "damaged"), (b"\x00" * 3, "damaged")])
def test_files_that_are_something_else_are_refused(tmp_path, ending, content, word):
    path = tmp_path / f"x.{ending}"
    path.write_bytes(content)
    assert word in refusal(path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_file_that_was_cut_short_is_refused(tmp_path, share):
    whole = {"w": torch.randn(50, 50)}
    save_file(whole, tmp_path / "x.safetensors")
    torch.save(whole, tmp_path / "x.ckpt")
    torch.save(whole, tmp_path / "old.ckpt", _use_new_zipfile_serialization=False)
    for path in (tmp_path / "x.safetensors", tmp_path / "x.ckpt", tmp_path / "old.ckpt"):
        data = path.read_bytes()
        path.write_bytes(data[:int(len(data) * share)])
        assert "damaged" in refusal(path)


def test_files_without_weights_are_refused(tmp_path):
    save_file({}, tmp_path / "x.safetensors")
    torch.save([1, 2, 3], tmp_path / "x.ckpt")
    for name in ("x.safetensors", "x.ckpt"):
        assert "holds no weights" in refusal(tmp_path / name)


@pytest.mark.parametrize("ending", ["safetensors", "ckpt"])
def test_opening_a_file_takes_no_memory_for_its_weights(tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    weights = {"w": torch.zeros(64, 1 << 20)}  # 256 MB
    if ending == "ckpt":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    del weights
    before = psutil.Process().memory_info().rss
    checkpoint = read_checkpoint(path)
    assert psutil.Process().memory_info().rss - before < 20e6
    assert checkpoint.tensors["w"][63, -1] == 0
