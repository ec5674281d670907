from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.errors import CheckpointError, RunError
from lib_lora_train.models.hashes import tensor_data_sha256
from lib_lora_train.networks.create import Network, create_network
from lib_lora_train.networks.save import load_network_file, save_network

METADATA = {"ss_output_name": "penny", "ss_tag_frequency": json.dumps({"x": {"äöü": 3}}), "a": "1", "z": "2"}


@pytest.fixture
def network(micro_base) -> Network:
    settings = NetworkSettings(network_dim=4, network_alpha=0.3)
    made = create_network(settings, micro_base.unet, micro_base.text_encoder, 1)
    generator = torch.Generator().manual_seed(3)
    for module in made.loras():
        module.lora_up.weight.data.normal_(std=0.05, generator=generator)
    return made


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", torch.float16), ("bf16", torch.bfloat16),
                                                  ("float", torch.float32)])
def test_what_is_saved_is_what_was_trained(network, tmp_path, precision, dtype):
    path = tmp_path / "penny.safetensors"
    save_network(path, network, precision, METADATA)
    saved, trained = load_file(path), network.state_dict()
    assert set(saved) == set(trained)
    for key, tensor in trained.items():
        kept = torch.float32 if key.endswith(".alpha") else dtype
        assert torch.equal(saved[key], tensor.to(kept)) and saved[key].dtype == kept
    assert [entry.name for entry in tmp_path.iterdir()] == ["penny.safetensors"]


def test_rank_and_alpha_are_read_back(network, tmp_path):
    save_network(tmp_path / "penny.safetensors", network, "fp16", METADATA)
    file = load_network_file(tmp_path / "penny.safetensors")
    assert {layer.dim for layer in file.facts.layers.values()} == {4}
    assert [layer.alpha for layer in file.facts.layers.values()] == pytest.approx([0.3] * (48 + 18), abs=1e-7)
    assert file.metadata["ss_tag_frequency"] == METADATA["ss_tag_frequency"]


def test_a_module_without_alpha_has_its_rank_as_alpha(tmp_path):
    save_file({"lora_unet_x.lora_down.weight": torch.ones(8, 3), "lora_unet_x.lora_up.weight": torch.ones(3, 8)},
              tmp_path / "x.safetensors")
    file = load_network_file(tmp_path / "x.safetensors")
    assert [(key, layer.dim, layer.alpha) for key, layer in file.facts.layers.items()] == [("lora_unet_x", 8, 8.0)]


def test_a_saved_file_loaded_into_a_new_network_and_saved_again_is_the_same_file(network, micro_base, tmp_path):
    save_network(tmp_path / "one.safetensors", network, "float", METADATA)
    network.detach()
    settings = NetworkSettings(network_dim=4, network_alpha=0.3)
    other = create_network(settings, micro_base.unet, micro_base.text_encoder, 9)
    other.load_state_dict(dict(load_network_file(tmp_path / "one.safetensors").tensors))
    save_network(tmp_path / "two.safetensors", other, "float", METADATA)
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()


def test_the_header_is_in_order_so_that_the_same_run_gives_the_same_bytes(network, tmp_path):
    save_network(tmp_path / "one.safetensors", network, "fp16", METADATA)
    save_network(tmp_path / "two.safetensors", network, "fp16", dict(reversed(METADATA.items())))
    data = (tmp_path / "one.safetensors").read_bytes()
    assert data == (tmp_path / "two.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0
    header = json.loads(data[8:8 + length])
    assert list(header) == ["__metadata__", *sorted(list(header)[1:], key=lambda key: header[key]["data_offsets"])]
    assert list(header["__metadata__"]) == sorted(header["__metadata__"])


def test_hashes_of_the_tensors_stand_in_the_metadata(network, tmp_path):
    path = tmp_path / "penny.safetensors"
    save_network(path, network, "fp16", METADATA)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    sha256 = tensor_data_sha256(path.read_bytes())
    assert metadata["sshs_model_hash"] == sha256
    assert metadata["modelspec.hash_sha256"] == f"0x{sha256}"
    assert len(metadata["sshs_legacy_hash"]) == 8
    assert METADATA.items() <= metadata.items()


def test_an_existing_file_is_never_overwritten(network, tmp_path):
    path = tmp_path / "penny.safetensors"
    path.write_bytes(b"precious")
    with pytest.raises(RunError, match="never overwritten") as caught:
        save_network(path, network, "fp16", METADATA)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == b"precious"


def test_a_full_disk_is_named_and_loses_nothing(network, tmp_path):
    """A real small file system; where none may be mounted, the write itself fails as on a full disk."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)],
                             capture_output=True).returncode == 0
    try:
        (folder / "earlier.safetensors").write_bytes(b"x" * 260_000)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(RunError, match="disk is full") as caught:
            if not mounted:
                patch.setattr(os, "fsync", no_space)
            save_network(folder / "penny.safetensors", network, "fp16", METADATA)
        assert str(folder / "penny.safetensors") in str(caught.value)
        assert "Free some space" in str(caught.value)
        assert [entry.name for entry in folder.iterdir()] == ["earlier.safetensors"]
        assert (folder / "earlier.safetensors").read_bytes() == b"x" * 260_000
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def no_space(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_folder_that_cannot_be_written_is_named(network, tmp_path):
    """Root may write anywhere, so the folder is on a file system that nobody may write to: /proc."""
    folder = Path("/proc/self/task") if sys.platform == "linux" and os.geteuid() == 0 else tmp_path / "locked"
    if folder.parent == tmp_path:
        folder.mkdir(mode=0o500)
    with pytest.raises(RunError, match="cannot be written") as caught:
        save_network(folder / "penny.safetensors", network, "fp16", METADATA)
    assert str(folder) in str(caught.value)
    assert "choose another folder" in str(caught.value).lower()


def test_a_folder_that_is_a_file_is_named(network, tmp_path):
    (tmp_path / "lora").write_bytes(b"")
    with pytest.raises(RunError, match="cannot be written"):
        save_network(tmp_path / "lora" / "penny.safetensors", network, "fp16", METADATA)


def test_a_folder_that_is_not_there_is_made(network, tmp_path):
    save_network(tmp_path / "a" / "b" / "penny.safetensors", network, "fp16", METADATA)
    assert (tmp_path / "a" / "b" / "penny.safetensors").is_file()


def test_files_that_are_no_lora_are_refused(tiny_file, tmp_path):
    with pytest.raises(CheckpointError, match="is not a LoRA"):
        load_network_file(tiny_file)
    shutil.copy(tiny_file, tmp_path / "cut.safetensors")
    os.truncate(tmp_path / "cut.safetensors", 5000)
    with pytest.raises(CheckpointError, match="damaged"):
        load_network_file(tmp_path / "cut.safetensors")
    with pytest.raises(CheckpointError, match="There is no"):
        load_network_file(tmp_path / "none.safetensors")
