"""Captions of other images are found by what images look like, in sets with very different tags."""

from __future__ import annotations

import random

import numpy as np
import pytest

from lib_lora_train.diagnosis.judging.findings import findings_of
from lib_lora_train.runs.diagnosis.records import CAPTION, DiagnosisPlan, Findings, Measurement, PlannedImage

SHARED, UNIQUE = "shared", "unique"
COLORS, PARTS = ("red", "green", "blue", "yellow", "pink"), ("striped", "steam", "saucer", "spoon")


def captions_of(kind: str, count: int, rng: random.Random) -> list[tuple[str, ...]]:
    """Tags of images: a color and some parts, or a color and a tag that no other image has; "cozy" shows nothing."""
    found = []
    for index in range(count):
        parts = [f"with a {COLORS[index % 3]} charm {index}"] if kind == UNIQUE else [part for part in PARTS
                                                                                    if rng.random() < 0.4]
        found.append(("penny", f"{rng.choice(COLORS)} mug", *parts, *(["cozy"] if rng.random() < 0.5 else [])))
    return found


def a_set(kind: str, count: int, seed: int, *, planted: bool) -> tuple[DiagnosisPlan, list[Measurement], set[int]]:
    """Images that show the colors and parts of their tags in a few features, and that differ at random in most.

    With ``planted``, one has the caption of another whose color differs; both are returned.
    """
    rng, noise = random.Random(seed), np.random.default_rng(seed)
    tags = captions_of(kind, count, rng)
    shows = {tag: noise.normal(size=6) for one in tags for tag in one if tag not in ("penny", "cozy")}
    features = noise.normal(size=(count, 18))
    for index, one in enumerate(tags):
        features[index, :6] = 0.25 * noise.normal(size=6) + sum(shows[tag] for tag in one if tag in shows)
    odd: set[int] = set()
    if planted:
        one = rng.randrange(count)
        other = rng.choice([index for index in range(count) if tags[index][1] != tags[one][1]])
        tags[one], odd = tags[other], {one, other}
    images = tuple(PlannedImage(index, f"/set/{index}.png", ", ".join(found), found, "a", (512, 512), 1)
                   for index, found in enumerate(tags))
    plan = DiagnosisPlan("f", images, (300, 700), tuple(range(count)))
    rows = tuple(tuple(row) for row in features.tolist())
    return plan, [Measurement(0, 0, 1.0, (None,) * count, features=rows)], odd


def found_in(findings: Findings, odd: set[int]) -> tuple[bool, bool]:
    """Whether one of ``odd`` is among the first three, and whether one is an alarm."""
    captions = [one for one in findings.images if one.kind == CAPTION and one.image in odd]
    return any(one.rank <= 3 for one in captions), any(one.alarm for one in captions)


@pytest.mark.parametrize(("kind", "count"), [(SHARED, 22), (SHARED, 40), (UNIQUE, 14), (UNIQUE, 22)])
def test_a_caption_of_another_image_comes_first_and_raises_an_alarm(kind, count):
    results = []
    for seed in range(10):
        plan, measurements, odd = a_set(kind, count, seed, planted=True)
        results.append(found_in(findings_of(plan, measurements), odd))
    assert sum(first for first, _ in results) >= 8
    assert sum(alarm for _, alarm in results) >= 5


@pytest.mark.parametrize(("kind", "count"), [(SHARED, 14), (SHARED, 40), (UNIQUE, 22)])
def test_a_set_whose_captions_are_right_hardly_ever_raises_an_alarm(kind, count):
    quiet = [a_set(kind, count, seed, planted=False)[:2] for seed in range(20)]
    assert sum(any(one.alarm for one in findings_of(*one).images) for one in quiet) <= 2


def test_captions_that_say_nothing_about_the_images_hardly_ever_raise_an_alarm():
    alarms = 0
    for seed in range(20):
        plan, measurements, _ = a_set(SHARED, 24, seed, planted=False)
        rows = list(measurements[0].features)
        random.Random(seed).shuffle(rows)
        findings = findings_of(plan, [Measurement(0, 0, 1.0, (None,) * 24, features=tuple(rows))])
        alarms += any(one.alarm for one in (*findings.images, *findings.tags))
    assert alarms <= 2
