from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lib_lora_train.models.load import BaseModel, load_base
from tests.models.tiny_checkpoint import Tiny, make_tiny


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    return make_tiny()


@pytest.fixture(scope="session")
def tiny_file(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("tiny") / "tiny.safetensors")


@pytest.fixture
def tiny_base(tiny_file: Path) -> BaseModel:
    return load_base(tiny_file, None, dtype=torch.float32, device="cpu")
