"""The size that the form tells before training is that of the file in the end, for every type of network."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch

from lib_lora_train.advice.size import is_sdxl, lora_file_bytes, read_shapes, same_file_bytes
from lib_lora_train.config.groups.network import C3LIER, DYLORA, IA3, LIERLA, LOCON, LOHA, LOKR, NetworkSettings
from lib_lora_train.models.load import BaseModel, load_base
from lib_lora_train.networks.create import create_network
from lib_lora_train.networks.save import save_network
from tests.models.tiny_checkpoint import few_words
from tests.models.tiny_families import save_state, sd2_state, sdxl_state

DIMS = ",".join(str(8 * (n % 4)) for n in range(26))
METADATA = {"ss_tag_frequency": "x" * 5500}  # what a run's metadata comes to
SETTINGS = {
    "LierLa": NetworkSettings(LIERLA, 32),
    "LierLa DoRA, UNet only": NetworkSettings(LIERLA, 32, dora_wd=True, network_train_unet_only=True),
    "C3Lier": NetworkSettings(C3LIER, 32, conv_dim=16),
    "LoCon DoRA": NetworkSettings(LOCON, 24, dora_wd=True, conv_dim=8),
    "LoCon per block": NetworkSettings(LOCON, 32, block_dims=DIMS),
    "C3Lier without blocks": NetworkSettings(C3LIER, 32, block_lr_weight="eyes and face"),
    "LoHa": NetworkSettings(LOHA, 32, conv_dim=4),
    "LoHa, text encoder only": NetworkSettings(LOHA, 64, network_train_text_encoder_only=True),
    "LoKR": NetworkSettings(LOKR, 4),
    "LoKR decomposed": NetworkSettings(LOKR, 2, decompose_both=True, lokr_factor=16, conv_dim=3),
    "LoKR factor 4": NetworkSettings(LOKR, 16, lokr_factor=4, dora_wd=True),
    "LoKR factor 5": NetworkSettings(LOKR, 8, lokr_factor=5),
    "LoKR whole": NetworkSettings(LOKR, 512, lokr_factor=8),
    "(IA)^3": NetworkSettings(IA3),
    "DyLoRA": NetworkSettings(DYLORA, 32, block_lr_weight="OUTALL"),
}


@functools.lru_cache(maxsize=1)
def base_of(checkpoint: Path) -> BaseModel:
    return load_base(checkpoint, None, dtype=torch.float32, device="cpu")


def saved(settings: NetworkSettings, checkpoint: Path, precision: str, path: Path) -> Path:
    """A new network's file; the base is left as it was."""
    base = base_of(checkpoint)
    network = create_network(settings, base.unet, base.text_encoders, 1)
    save_network(path, network, precision, METADATA)
    network.detach()
    return path


@pytest.mark.parametrize("name", SETTINGS)
def test_the_size_is_foretold_within_two_percent(name, tiny_file, tmp_path):
    precision = "float" if name.startswith("LoKR") else "fp16"
    path = saved(SETTINGS[name], tiny_file, precision, tmp_path / "lora.safetensors")
    reported = lora_file_bytes(read_shapes(tiny_file), SETTINGS[name], precision)
    assert reported == pytest.approx(path.stat().st_size, rel=0.02)
    assert same_file_bytes(read_shapes(path), precision) == pytest.approx(path.stat().st_size, rel=0.02)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {name: save_state(few_words(make()), folder / f"{name}.safetensors")
            for name, make in (("sd2", sd2_state), ("sdxl", sdxl_state))}


@pytest.mark.parametrize(("family", "settings"), [
    ("sd2", NetworkSettings(LIERLA, 32)), ("sd2", NetworkSettings(IA3)),
    ("sdxl", NetworkSettings(LIERLA, 32)), ("sdxl", NetworkSettings(LOCON, 16, conv_dim=8))])
def test_the_sizes_of_sd2_and_sdxl_are_foretold_too(family, settings, checkpoints, tmp_path):
    checkpoint = checkpoints[family]
    path = saved(settings, checkpoint, "fp16", tmp_path / "lora.safetensors")
    reported = lora_file_bytes(read_shapes(checkpoint), settings, "fp16")
    assert reported == pytest.approx(path.stat().st_size, rel=0.05)  # so small that the names of tensors count
    assert is_sdxl(read_shapes(checkpoint)) == (family == "sdxl")
