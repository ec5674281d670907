"""Wrong tags are found by what images look like: made-up features, with a tag planted where it is wrong."""

from __future__ import annotations

import random

import numpy as np
import pytest

from lib_lora_train.diagnosis.judging.expected import Expectation
from lib_lora_train.diagnosis.judging.findings import findings_of
from lib_lora_train.diagnosis.judging.presence import absences
from lib_lora_train.runs.diagnosis.records import DiagnosisPlan, Measurement, PlannedImage

LOOKS = {"red": 8, "striped": 7, "hat": 4}
"""Tags that can be seen, and how many of 21 images have them."""


def a_set(rng: random.Random, wrong: str = "", scale: int = 1) -> tuple[DiagnosisPlan, list[Measurement], set[int]]:
    """Images that each look like themselves, beside what their tags show; ``wrong`` is added to a tenth of the others.

    "masterpiece" is on half of the images and shows nothing, and each image has a tag of its own.
    """
    count = 21 * scale
    noise = np.random.default_rng(rng.randrange(1000))
    of_tags = {tag: noise.normal(size=10) for tag in LOOKS}
    having = {tag: set(rng.sample(range(count), number * scale)) for tag, number in LOOKS.items()}
    features = noise.normal(size=(count, 10)) * 0.8
    for tag, images in having.items():
        features[sorted(images)] += of_tags[tag]
    having["masterpiece"] = set(rng.sample(range(count), count // 2))
    planted = set(rng.sample(sorted(set(range(count)) - having[wrong]), 2 * scale)) if wrong else set()
    images = []
    for index in range(count):
        tags = ("penny", f"pose {index}", *(tag for tag, found in having.items() if index in found),
                *([wrong] if index in planted else []))
        images.append(PlannedImage(index, f"/set/{index}.png", ", ".join(tags), tags, "a", (512, 512), 1))
    rows = tuple(tuple(row) for row in features.tolist())
    plan = DiagnosisPlan("f", tuple(images), (300, 700), tuple(range(count)))
    return plan, [Measurement(0, 0, 1.0, (None,) * count, features=rows)], planted


@pytest.mark.parametrize(("wrong", "scale"), [("red", 4), ("striped", 4), ("hat", 5)])
def test_a_tag_that_a_tenth_of_the_images_do_not_show_comes_first_and_names_them(wrong, scale):
    first, right = 0, 0
    for seed in range(10):
        plan, measurements, planted = a_set(random.Random(seed), wrong, scale)
        findings = findings_of(plan, measurements)
        first += findings.tags[0].tag == wrong
        right += findings.tags[0].tag == wrong and findings.tags[0].images[0] in planted
    assert first >= 8
    assert right >= 8


@pytest.mark.parametrize("scale", [1, 4])
def test_a_set_whose_tags_are_right_hardly_ever_raises_an_alarm(scale):
    alarms = sum(any(one.alarm for one in findings_of(*a_set(random.Random(seed), scale=scale)[:2]).tags)
                 for seed in range(20))
    assert alarms <= 2


def test_a_tag_that_cannot_be_seen_is_hardly_doubted():
    doubts = {"masterpiece": 0.0, "red": 0.0}
    for seed in range(10):
        plan, measurements, _ = a_set(random.Random(seed), "red", 4)
        found = absences(plan, measurements)
        doubts = {tag: doubts[tag] + max(found.get(tag, {0: 0.0}).values()) for tag in doubts}
    assert doubts["masterpiece"] < doubts["red"] / 4


def test_tags_of_one_or_two_images_and_of_all_cannot_be_compared_and_are_not_judged():
    plan, measurements, _ = a_set(random.Random(3))
    assert absences(plan, measurements).keys() <= {*LOOKS, "masterpiece"}
    assert "red" in absences(plan, measurements)
    assert absences(plan, [Measurement(0, 0, 1.0, (None,) * 21)]) == {}


def test_the_same_word_in_another_tag_says_nothing_about_a_tag():
    tags = [("red", "red hat") if index == 0 else ("red",) if index < 5 else ("blue",) for index in range(10)]
    expectation = Expectation(tags, np.random.default_rng(1).normal(size=(10, 6)), (3.0,))
    changed = expectation.changed([0, 1], tags[:2], [("red hat",), ()])
    assert changed[0] == pytest.approx(expectation.own[0])
    assert abs(changed[1] - expectation.own[1]) > 0.001
