"""The guide's rule for what the best strengths say about the next run."""

from __future__ import annotations

import pytest

from lib_lora_train.advice.strength import strength_advice
from lib_lora_train.config.groups.optimizer import OptimizerSettings

ADAM = OptimizerSettings("AdamW", 1e-4, text_encoder_lr=5e-5)
PRODIGY = OptimizerSettings("Prodigy", 1.0)


@pytest.mark.parametrize(("unet", "text", "changes"), [
    (0.5, 1, {"optimizer.unet_lr": 5e-5}),  # the guide's two examples
    (1, 2, {"optimizer.text_encoder_lr": 1e-4}),
    (1.5, 0.5, {"optimizer.unet_lr": 1.5e-4, "optimizer.text_encoder_lr": 2.5e-5}),
    (0, 1, {"optimizer.unet_lr": 0.0}),
    (1, 1, {})])
def test_the_rate_changes_as_the_strength_does(unet, text, changes):
    assert strength_advice(unet, text, ADAM, 10).changes == pytest.approx(changes)


@pytest.mark.parametrize(("unet", "text", "words"), [
    (0.5, 1, "overfit"), (1, 1.5, "room for more training"), (0.8, 1, "a little below 1"), (1, 0, "only does harm"),
    (1, 1, "keep it as it is")])
def test_it_says_why(unet, text, words):
    assert words in " ".join(strength_advice(unet, text, ADAM, 10).sentences)


def test_the_sentence_shows_the_sum():
    assert strength_advice(0.5, 1, ADAM, 10).sentences[-1].endswith("UNet 0.0001 × 0.5 = 5e-05.")


@pytest.mark.parametrize(("unet", "epochs", "best", "changes"), [
    (0.5, 10, None, {"training.max_train_epochs": 5}), (1.5, 10, None, {"training.max_train_epochs": 15}),
    (0.5, 10, 6, {"training.max_train_epochs": 3}), (0.1, 3, None, {"training.max_train_epochs": 1}),
    (0.5, None, None, {}), (1, 10, None, {}), (0, 10, None, {})])
def test_where_the_optimizer_finds_its_rate_the_epochs_change(unet, epochs, best, changes):
    assert strength_advice(unet, 2, PRODIGY, epochs, best).changes == changes
