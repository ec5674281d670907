"""What the statistics find in measurements that are made up: the planted image or tag, and nothing where none is."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Sequence

import numpy as np
import pytest

from lib_lora_train.diagnosis.judging.expected import Expectation, items_of
from lib_lora_train.diagnosis.judging.findings import findings_of
from lib_lora_train.diagnosis.judging.robust import deviations, limit_of
from lib_lora_train.runs.diagnosis.records import (
    CaptionPair,
    DiagnosisPlan,
    Measurement,
    PlannedImage,
    plan_json,
    read_plan,
)

TAGS = ("red", "hat", "outdoors", "smile")


def plan_of(count: int, duplicates: tuple[tuple[int, ...], ...] = ()) -> DiagnosisPlan:
    images = tuple(PlannedImage(index, f"/set/{index}.png", f"penny, {TAGS[index % 4]}, pose {index}",
                                ("penny", TAGS[index % 4], TAGS[(index + 1) % 4]), "a" if index % 2 else "b",
                                (512, 512), 1) for index in range(count))
    return DiagnosisPlan("f", images, (300, 700), tuple(range(count)), duplicates)


def measured(plan: DiagnosisPlan, rng: random.Random, learned: Sequence[float] | None = None,
             distance: dict[int, float] | None = None, gap: dict[int, float] | None = None,
             tags: dict[tuple[int, str], float] | None = None) -> list[Measurement]:
    """Three points of a run, in which every number varies as it does in an ordinary set, but for what is given."""
    count, found = len(plan.images), []
    share = [rng.gauss(0.3, 0.03) for _ in range(count)] if learned is None else list(learned)
    start = [rng.lognormvariate(-2, 0.5) for _ in range(count)]
    far = [rng.lognormvariate(0, 0.15) * (distance or {}).get(index, 1.0) for index in range(count)]
    for step in (0, 1, 2):
        losses = tuple((one * (1 - part * step / 2), one * (1 - part * step / 2) / 2)
                       for one, part in zip(start, share, strict=True))
        swaps = tuple(CaptionPair(index, 1.0, 1 + rng.gauss(0.06, 0.02) + (gap or {}).get(index, 0.0),
                                  (index + step * 2 + turn + 1) % count) for index in range(count) for turn in range(2))
        tests = tuple(CaptionPair(image.index, 1.0, 1 + rng.gauss(0.03, 0.01) + (tags or {}).get((image.index, tag), 0),
                                  tag=tag) for image in plan.images for tag in image.tags[1:])
        found.append(Measurement(step, step, 1.0, losses, (), tuple(far) if step == 0 else (),
                                 tuple(rng.gauss(0.4, 0.05) for _ in range(count)) if step == 1 else (), swaps, tests))
    return found


@pytest.mark.parametrize("count", [6, 24, 400])
def test_an_ordinary_set_hardly_ever_raises_an_alarm(count):
    plan, alarms = plan_of(count), 0
    for seed in range(10):
        findings = findings_of(plan, measured(plan, random.Random(seed)))
        alarms += any(one.alarm for one in (*findings.images, *findings.tags))
    assert alarms <= 1


@pytest.mark.parametrize("count", [12, 24, 400])
@pytest.mark.parametrize("kind", ["other", "caption"])
def test_the_image_that_stands_out_is_the_first_finding_and_an_alarm(kind, count):
    plan, odd = plan_of(count), count // 3
    changes = {"distance": {odd: 3.0}} if kind == "other" else {"gap": {odd: -0.25}}
    findings = findings_of(plan, measured(plan, random.Random(1), **changes))
    first = findings.images[0]
    assert (first.image, first.kind, first.rank, first.alarm) == (odd, kind, 1, True), findings.images[:3]
    assert first.reason.endswith(".")
    assert 0.5 < first.suspicion <= 1
    assert sum(one.alarm for one in findings.images) == 1


def test_a_tag_that_harms_in_two_images_is_doubtful_there_and_nowhere_else():
    plan = plan_of(24)
    wrong = [image.index for image in plan.images if "hat" in image.tags][:2]
    findings = findings_of(plan, measured(plan, random.Random(2), tags={(image, "hat"): -0.4 for image in wrong}))
    assert findings.tags[0].tag == "hat"
    assert sorted(findings.tags[0].images) == wrong
    assert findings.tags[0].alarm
    assert not any(one.alarm for one in findings.tags[1:])


def test_near_duplicates_are_one_finding_that_names_all_of_them():
    plan = plan_of(12, duplicates=((2, 7, 9),))
    found = [one for one in findings_of(plan, measured(plan, random.Random(3))).images if one.kind == "duplicate"]
    assert [(one.image, one.others, one.alarm) for one in found] == [(2, (7, 9), True)]
    assert "7.png, 9.png" in found[0].reason


def test_copies_are_listed_by_how_alike_they_are_and_those_only_alike_raise_no_alarm():
    plan = dataclasses.replace(plan_of(24, duplicates=((2, 7), (3, 8), (4, 9))), likeness=(0.7, 2.0, 1.3))
    found = [one for one in findings_of(plan, measured(plan, random.Random(3))).images if one.kind == "duplicate"]
    assert [(one.image, one.others, one.alarm) for one in found] == [(3, (8,), True), (4, (9,), True), (2, (7,), False)]
    assert "not certainly a copy" in found[2].reason
    assert found[0].rank == 1


def test_a_plan_keeps_how_alike_its_groups_are_and_one_of_an_earlier_version_has_no_such_number(tmp_path):
    plan = dataclasses.replace(plan_of(9, duplicates=((2, 7), (3, 8))), likeness=(0.5, 1.75))
    (tmp_path / "plan.json").write_text(plan_json(plan))
    assert read_plan(tmp_path) == plan
    old = json.loads(plan_json(plan))
    del old["likeness"]
    (tmp_path / "plan.json").write_text(json.dumps(old))
    assert read_plan(tmp_path) == dataclasses.replace(plan, likeness=())


@pytest.mark.parametrize("odd", [2, 7])
def test_a_group_keeps_its_place_where_one_of_its_images_is_suspicious_for_another_reason(odd):
    plan = dataclasses.replace(plan_of(24, duplicates=((2, 7),)), likeness=(1.2,))
    findings = findings_of(plan, measured(plan, random.Random(1), distance={odd: 9.0})).images
    assert [(one.image, one.kind) for one in findings[:2]] == [(odd, "other"), (9 - odd, "duplicate")]
    assert findings[1].others == (odd,)
    both = findings_of(plan, measured(plan, random.Random(1), distance={2: 9.0, 7: 9.0})).images
    assert sorted(one.kind for one in both if one.image in (2, 7)) == ["duplicate", "other"]


def test_a_concept_that_is_hardly_learned_is_named_with_what_to_do():
    plan = plan_of(20)
    learned = [0.4 if image.concept == "a" else 0.02 for image in plan.images]
    groups = {one.name: one for one in findings_of(plan, measured(plan, random.Random(4), learned)).balance}
    assert groups["b"].learned == pytest.approx(0.02, abs=0.01)
    assert "more repeats" not in groups["a"].reason
    three = dataclasses.replace(plan, images=tuple(dataclasses.replace(image, concept="abc"[image.index % 3])
                                                   for image in plan.images))
    uneven = [0.02 if image.concept == "b" else 0.4 for image in three.images]
    found = findings_of(three, measured(three, random.Random(4), uneven)).balance
    assert [one.name for one in found if "more repeats" in one.reason] == ["b"]


def test_few_measurements_are_no_reason_to_suspect_anything():
    plan = plan_of(5)
    assert findings_of(plan, []).images == ()
    nothing = Measurement(0, 0, 0.1, (None,) * 5)
    assert not any(one.alarm for one in findings_of(plan, [nothing]).images)
    assert deviations({0: 1.0, 1: 9.0}) == {0: 0.0, 1: 0.0}


def test_deviations_follow_the_median_and_not_the_odd_value():
    values = {index: float(index % 5) for index in range(25)} | {25: 1000.0}
    found = deviations(values)
    assert found[25] > 100
    assert max(abs(found[index]) for index in range(25)) < limit_of(25)


def with_features(plan: DiagnosisPlan, rng: random.Random, wrong: int | None = None) -> list[Measurement]:
    """Images whose features are what their tags say, and noise; ``wrong`` has those of another caption."""
    of_tags = {tag: [rng.gauss(0, 1) for _ in range(10)] for tag in TAGS}
    rows = []
    for image in plan.images:
        tags = ("red", "hat") if image.index == wrong else image.tags[1:]
        rows.append(tuple(sum(of_tags[tag][place] for tag in tags) + rng.gauss(0, 0.3) for place in range(10)))
    return [dataclasses.replace(one, features=tuple(rows)) for one in measured(plan, rng)]


def test_an_image_that_does_not_look_as_its_caption_says_is_found_by_its_features():
    plan, odd = plan_of(24), 10
    assert plan.images[odd].tags[1:] == ("outdoors", "smile")
    assert not any(one.alarm for one in findings_of(plan, with_features(plan, random.Random(1))).images)
    findings = findings_of(plan, with_features(plan, random.Random(1), odd))
    assert (findings.images[0].image, findings.images[0].kind, findings.images[0].alarm) == (odd, "caption", True)
    assert {one.tag for one in findings.tags[:2]} == {"outdoors", "smile"}
    assert all(odd in one.images for one in findings.tags[:2])


def by_the_others(words: np.ndarray, features: np.ndarray, image: int, row: np.ndarray, ratio: float) -> float:
    """The probability of the features of ``image`` with the words ``row``, by a regression on the other images."""
    rest = np.arange(len(words)) != image
    inverse = np.linalg.inv(ratio * words @ words.T + 10 + np.eye(len(words)))
    noise = (np.einsum("nk,nm,mk->k", features, inverse, features) + 1) / (len(words) + 2)
    reach = ratio * words[rest] @ row + 10
    known = np.linalg.inv(ratio * words[rest] @ words[rest].T + 10 + np.eye(rest.sum()))
    variance = (ratio * row @ row + 10 + 1 - reach @ known @ reach) * noise
    away = features[image] - reach @ known @ features[rest]
    return float(-(away ** 2 / variance + np.log(variance)).sum() / 2)


def test_a_probability_is_that_of_a_regression_on_the_other_images():
    rng, plan = np.random.default_rng(0), plan_of(9)
    features, tags = rng.normal(size=(9, 3)), [image.tags for image in plan.images]
    whole = Expectation(tags, features, (3.0,))
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    items = sorted({item for one in tags for item in items_of(one)} - set.intersection(*map(items_of, tags)))
    counts = np.array([[item in items_of(one) for item in items] for one in tags], dtype=float)
    words = counts / np.sqrt(counts.sum(axis=1).mean())
    for image, other in ((0, 5), (4, 1)):
        assert whole.own[image] == pytest.approx(by_the_others(words, scaled, image, words[image], 3.0))
        assert whole.swapped()[image, other] == pytest.approx(by_the_others(words, scaled, image, words[other], 3.0))
        without = [tag for tag in tags[image] if tag != tags[image][1]]
        row = np.array([item in items_of(without) for item in items]) / np.sqrt(counts.sum(axis=1).mean())
        changed = whole.changed([image], [tags[image]], [without])[0]
        assert changed == pytest.approx(by_the_others(words, scaled, image, row, 3.0))
