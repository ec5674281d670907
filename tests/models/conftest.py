from __future__ import annotations

from pathlib import Path

import ftfy
import pytest
import torch
from transformers import CLIPTokenizer

from lib_lora_train.models.load import BaseModel, load_base
from lib_lora_train.models.tokenizer import find_vocabulary
from tests.make_mini.vocabulary import write_text_folder
from tests.models.tiny_checkpoint import Tiny, make_micro, make_tiny


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    return make_tiny()


@pytest.fixture(scope="session")
def tiny_file(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("tiny") / "tiny.safetensors")


@pytest.fixture
def tiny_base(tiny_file: Path) -> BaseModel:
    return load_base(tiny_file, None, dtype=torch.float32, device="cpu")


@pytest.fixture(scope="session")
def micro() -> Tiny:
    return make_micro()


@pytest.fixture(scope="session")
def micro_file(micro: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return micro.save(tmp_path_factory.mktemp("micro") / "micro.safetensors")


@pytest.fixture
def micro_base(micro_file: Path) -> BaseModel:
    """One with few layers, for what does not depend on the blocks."""
    return load_base(micro_file, None, dtype=torch.float32, device="cpu")


@pytest.fixture(scope="session")
def of_transformers(tmp_path_factory: pytest.TempPathFactory) -> CLIPTokenizer:
    """The tokenizer of transformers with CLIP's vocabulary."""
    folder = tmp_path_factory.mktemp("clip")
    write_text_folder(find_vocabulary(), folder)
    made: CLIPTokenizer = CLIPTokenizer.from_pretrained(folder)
    made.fix_text = ftfy.fix_text
    return made
