"""Texts for users: none speaks of a guide, and what contradicted itself between two places says one thing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib_lora_train.advice.difficulty import VEHICLES, difficulty
from lib_lora_train.advice.presets import PRESETS
from lib_lora_train.config.groups.network import LOCON
from lib_lora_train.config.job import all_settings

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "lib_lora_train"
SETTINGS = {field.key: f"{field.info.help} {field.info.advice}" for field in all_settings()}
PRESET = {preset.name: preset for preset in PRESETS}


def texts_of(file: Path) -> Iterator[str]:
    """The strings in a module that are no docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@pytest.mark.parametrize("room", sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()))
def test_no_text_of_a_room_speaks_of_the_guide(room):
    found = [(file.name, text) for file in (PACKAGE / room).rglob("*.py") for text in texts_of(file)
             if re.search(r"\bguide('s)?\b", text, re.IGNORECASE)]
    assert found == []


@pytest.mark.parametrize("place", ["README.md", "docs", "javascript"])
def test_no_page_speaks_of_the_guide(place):
    below = [*(ROOT / place).rglob("*.md"), *(ROOT / place).rglob("*.js")]
    texts = {file.name: file.read_text(encoding="utf-8") for file in below or [ROOT / place]}
    assert [name for name, text in texts.items() if re.search(r"\bthe guide\b", text, re.IGNORECASE)] == []


@pytest.mark.parametrize(("key", "words", "not_said"), [
    ("scheduler.lr_scheduler", "", "restarts[^.]*gently"), ("network.dora_wd", "No better than a plain LoRA", "finer"),
    ("network.network_weights", "a tenth", "a third"), ("optimizer.text_encoder_lr", "weight", "")])
def test_a_setting_says_what_is_true(key, words, not_said):
    assert words in SETTINGS[key]
    assert not not_said or not re.search(not_said, SETTINGS[key])


@pytest.mark.parametrize("name", ["style", "concept"])
def test_styles_and_concepts_begin_with_a_locon(name):
    assert PRESET[name].values["network"]["network_type"] == LOCON


@pytest.mark.parametrize("name", ["small-gpu", "8-gb"])
def test_the_presets_for_little_memory_have_an_optimizer_of_eight_bits(name):
    assert PRESET[name].values["optimizer"]["optimizer_type"] == "AdamW8bit"


def test_poor_images_ask_for_regularization_and_hard_characters_for_more_time():
    assert "regularization" in PRESET["character-bad"].text.lower()
    assert {letter: difficulty(letter).images_seen > difficulty("A").images_seen for letter in "BCDEFGHI"} == {
        letter: letter >= "E" for letter in "BCDEFGHI"}
    assert "C to G" in VEHICLES
