"""What is known, half known and unknown, and what follows, on numbers made by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lib_lora_train.advice.steps import propose_length
from lib_lora_train.diagnosis.consequences import consequences_of
from lib_lora_train.diagnosis.verdicts import (
    HALF,
    KNOWN,
    UNKNOWN,
    UNSURE,
    Gain,
    Seen,
    Tagged,
    Verdict,
    gain_of,
    score_of_name,
    score_of_tag,
    verdict,
)
from lib_lora_train.runs.diagnosis.knows import CANDIDATE, TRAIT, TRIGGER, Word

NAMES = ("red hair", "bag", "vehicle", "rare")


def seen(word, alone=(0.1, 0.0, 0.0, 0.0), in_set=(0.9, 0.4, 0.0, 0.3)):
    return Seen(NAMES, *(np.array(values, np.float32) for values in (word, alone, in_set)))


def test_a_score_is_the_share_of_the_way_from_the_prompt_alone_to_the_set():
    assert score_of_tag(seen((0.5, 0, 0, 0)), "Red_Hair") == pytest.approx(0.5)
    assert score_of_tag(seen((0.99, 0, 0, 0)), "red hair") == 1
    assert score_of_tag(seen((0, 0, 0, 0)), "red hair") == 0
    assert score_of_tag(seen((0, 0, 0, 0), alone=(0.85, 0, 0, 0)), "red hair") == 1  # comes out anyway
    assert score_of_tag(seen((0.9, 0, 0, 0)), "green hair") is None  # the tagger does not know it
    assert score_of_tag(seen((0.9, 0, 0, 0.9)), "rare") is None  # the tagger does not see it in the set
    # red hair is worth 0.8 and a quarter of it comes out, the bag is worth 0.4 and all of it does
    assert score_of_name(seen((0.3, 0.4, 0, 0))) == pytest.approx((0.8 * 0.25 + 0.4) / 1.2)
    assert score_of_name(seen((0.3, 0.4, 0, 0), in_set=(0.2, 0, 0, 0))) is None


def test_one_lucky_image_decides_nothing():
    confidences = np.array([[0.9], [0.0], [0.1], [0.0]], np.float32)
    assert Tagged(("bag",), confidences).of(range(4))[0] == pytest.approx(0.05)


def test_the_gain_is_a_paired_test():
    empty, word = np.array([0.2, 0.4, 0.3, 0.1]), np.array([0.18, 0.36, 0.28, 0.09])
    found, shares = gain_of(empty, word), (empty - word) / 0.25
    assert found.share == pytest.approx(shares.mean())
    assert found.certainty == pytest.approx(shares.mean() / (shares.std(ddof=1) / 2))
    assert gain_of(empty[:2], word[:2]) is None


SURE, LOST, NOTHING = Gain(0.05, 6.0, 12), Gain(-0.05, -6.0, 12), Gain(0.0, 0.3, 12)


@pytest.mark.parametrize(("word", "gain", "level"), [
    ((0.9, 0.4, 0, 0), SURE, KNOWN), ((0.9, 0.4, 0, 0), NOTHING, KNOWN), ((0.9, 0.4, 0, 0), LOST, HALF),
    ((0.5, 0.1, 0, 0), NOTHING, HALF), ((0.1, 0, 0, 0), NOTHING, UNKNOWN), ((0.1, 0, 0, 0), SURE, HALF),
    (None, SURE, KNOWN), (None, Gain(0.01, 2.4, 12), HALF), (None, NOTHING, UNKNOWN), (None, LOST, UNKNOWN),
    (None, None, UNSURE)])
def test_the_pictures_decide_and_the_loss_where_there_are_none(word, gain, level):
    assert verdict(False, "penny", None if word is None else seen(word), gain).level == level


@pytest.mark.parametrize(("share", "words"), [
    (0.0, "no difference to the loss of 12"), (-0.0004, "no difference to"), (0.05, "5.0% lower"),
    (-0.05, "5.0% higher")])
def test_a_loss_that_does_not_change_is_not_called_lower(share, words):
    reason = verdict(False, "penny", None, Gain(share, 0.2, 12)).reason
    assert words in reason and "0.0% " not in reason.replace("5.0%", "")


def test_a_word_that_draws_what_the_set_does_not_show_means_something_else():
    found = verdict(False, "jaguar", seen((0.1, 0, 0.8, 0)), NOTHING)
    assert (found.level, found.others, found.means_something_else) == (UNKNOWN, ("vehicle",), True)
    assert "vehicle" in found.reason
    both = verdict(False, "penny", seen((0.9, 0.4, 0.8, 0)), SURE)  # the subject, with a car
    assert both.level == KNOWN and both.others == ("vehicle",) and not both.means_something_else
    unseen = verdict(True, "rare", seen((0, 0, 0, 0)), NOTHING)
    assert (unseen.level, unseen.score) == (UNSURE, None)


def of(level, *others, score=0.5):
    return Verdict(level, score, None, others)


@pytest.mark.parametrize(("found", "images_seen", "word"), [
    ([(Word(TRIGGER, "miku"), of(KNOWN))], 300, "miku"),
    ([(Word(TRIGGER, "miku"), of(HALF))], 800, "miku"),
    ([(Word(TRIGGER, "miku"), of(UNKNOWN)), (Word(TRAIT, "red hair"), of(KNOWN))], 1000, "miku"),
    ([(Word(TRIGGER, "miku"), of(UNKNOWN)), (Word(TRAIT, "red hair"), of(UNKNOWN))], 1500, "miku"),
    ([(Word(TRIGGER, "xyz"), of(UNKNOWN)), (Word(CANDIDATE, "hatsune miku"), of(KNOWN))], 300, "hatsune miku"),
    ([(Word(TRIGGER, "jaguar"), of(UNKNOWN, "vehicle")), (Word(CANDIDATE, "xyz"), of(UNKNOWN))], 1000, "xyz"),
    ([(Word(TRAIT, "red hair"), of(UNSURE))], 1000, "")])
def test_what_follows_is_the_guides(found, images_seen, word):
    follows = consequences_of(found, 40)
    assert (follows.images_seen, follows.word) == (images_seen, word)
    assert follows.settings["training.max_train_epochs"] == propose_length(40, 40, images_seen).epochs
    trigger = next((one.text for one, _ in found if one.kind == TRIGGER), "")
    assert follows.settings.get("dataset.activation_tag", trigger) == word
    avoided = [sentence for sentence in follows.sentences if sentence.startswith("Avoid")]
    assert ["jaguar" in sentence and "vehicle" in sentence for sentence in avoided] == [True] * (trigger == "jaguar")


@pytest.mark.parametrize(("score", "words"), [(0.1, "means nothing else to it"), (None, "was not measured")])
def test_that_a_word_means_nothing_else_is_said_only_if_its_images_were_tagged(score, words):
    found = [(Word(TRIGGER, "miku"), dataclasses.replace(of(UNKNOWN), score=score))]
    assert words in consequences_of(found, 40).sentences[0]
