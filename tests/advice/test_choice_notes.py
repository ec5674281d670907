"""What is known of a value stands beside its field."""

from __future__ import annotations

import pytest

from lib_lora_train.advice.choice_notes import bytes_of_a_rank, choice_notes
from lib_lora_train.advice.families import FAMILIES
from lib_lora_train.config.change import changed
from lib_lora_train.config.job import Job
from lib_lora_train.config.optimizer_facts import OPTIMIZERS
from tests.advice.test_advice import sd1_shapes


def notes(job, family="SD 1.x", shapes=None):
    return {note.key: note.text for note in choice_notes(job, FAMILIES[family], shapes or {})}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_says_what_it_is_and_how_much_memory_it_takes(name):
    text = notes(changed(Job(), {"optimizer.optimizer_type": name}))["optimizer.optimizer_type"]
    assert OPTIMIZERS[name].note in text and f"Memory: {OPTIMIZERS[name].memory}." in text


@pytest.mark.parametrize("dim", [2, 32, 129])
def test_the_size_of_a_rank_is_counted_from_the_checkpoint(dim):
    job = changed(Job(), {"network.network_dim": dim, "network.network_alpha": 1.0})
    assert bytes_of_a_rank(job, sd1_shapes()) == pytest.approx(1.18e6, rel=0.01)
    assert "about 1.18 MB" in notes(job, shapes=sd1_shapes())["network.network_dim"] or dim < 64
    assert bytes_of_a_rank(job, {}) is None


@pytest.mark.parametrize(("family", "resolution", "slows"), [
    ("SD 1.x", "768", True), ("SDXL", "1024", False), ("SDXL", "1280", True), ("SD 2.x 768-v", "768", False)])
def test_what_a_dampener_gives_stands_beside_it(family, resolution, slows):
    found = notes(changed(Job(), {"dataset.resolution": resolution}), family)
    assert ("finer details" in found.get("dataset.resolution", "")) is slows
