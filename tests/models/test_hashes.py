from __future__ import annotations

import hashlib
import json

import pytest
import torch
from safetensors.torch import save, save_file

from lib_lora_train.errors import CheckpointError
from lib_lora_train.models.hashes import (
    file_sha256,
    hashes_of,
    old_short_hash,
    old_tensor_data_hash,
    tensor_data_sha256,
)


def test_a_file_is_hashed_whole(tmp_path):
    data = bytes(range(256)) * 20000  # 5 MB, more than one chunk and more than the part of the old hash
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    assert file_sha256(path) == hashlib.sha256(data).hexdigest()
    assert old_short_hash(path) == hashlib.sha256(data[0x100000:0x110000]).hexdigest()[:8]


def test_the_hash_of_tensors_does_not_see_the_metadata():
    tensors = {"a": torch.arange(600_000.0), "b": torch.ones(3, dtype=torch.float16)}
    one, other = save(tensors, {"k": "v"}), save(tensors, {"another": "much longer text"})
    content = b"".join(tensor.numpy().tobytes() for tensor in tensors.values())  # the file keeps wider types first
    assert list(json.loads(one[8:8 + int.from_bytes(one[:8], "little")]))[-2:] == ["a", "b"]
    assert tensor_data_sha256(one) == tensor_data_sha256(other) == hashlib.sha256(content).hexdigest()
    assert old_tensor_data_hash(one) == hashlib.sha256(content[0x100000:0x110000]).hexdigest()[:8]


def test_hashes_of_a_base_model(tmp_path):
    for name in ("model", "vae"):
        save_file({name: torch.ones(2)}, tmp_path / f"{name}.safetensors")
    model, vae = tmp_path / "model.safetensors", tmp_path / "vae.safetensors"
    alone = hashes_of(model, None)
    assert (alone.checkpoint_sha256, alone.vae_sha256, alone.vae_old) == (file_sha256(model), None, None)
    assert hashes_of(model, vae).vae_sha256 == file_sha256(vae)
    with pytest.raises(CheckpointError, match=r"gone\.safetensors"):
        hashes_of(tmp_path / "gone.safetensors", None)
