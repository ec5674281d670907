"""Single images have their own loss weight and repeats, in a file beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_lora_train.batches.overview import overview
from lib_lora_train.batches.plan import plan_of
from lib_lora_train.config.groups.training import TrainingSettings
from lib_lora_train.errors import DatasetError
from lib_lora_train.pictures.scan import scan_dataset, survey
from lib_lora_train.pictures.weights import ImageWeight, bytes_of_weight, checked, weight_file, weight_from

from .making import noise, save, settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        save(tmp_path / "2_fox" / f"{name}.png", noise(64, 64, seed=ord(name)), caption=f"fox, {name}")
    return tmp_path


def weigh(folder: Path, image: str, **values: object) -> Path:
    file = folder / "2_fox" / weight_file(image)
    file.write_text(json.dumps(values))
    return file


def test_a_weight_file_multiplies_loss_and_repeats_of_its_image(folder):
    weigh(folder, "a.png", weight=0.5, repeats=3)
    weigh(folder, "b.png", weight=2)
    values = settings(folder, concept_settings=["2_fox: loss_weight=0.1"])
    plan = plan_of(values, scan_dataset(values), TrainingSettings())
    assert {image.path.name: (image.repeats, pytest.approx(image.weight)) for image in plan.pictures} == {
        "a.png": (6, 0.05), "b.png": (2, 0.2), "c.png": (2, 0.1)}
    assert plan.batches_per_epoch == 10
    assert plan_of(settings(folder), scan_dataset(settings(folder)), TrainingSettings()).fingerprint != plan.fingerprint


def test_an_image_with_0_repeats_is_left_out_and_listed(folder):
    weigh(folder, "b.png", repeats=0)
    dataset = scan_dataset(settings(folder))
    assert [image.path.name for image in dataset.pictures] == ["a.png", "c.png"]
    assert [(item.path.name, item.reason) for item in dataset.left_out] == [
        ("b.png", "its weight file gives it 0 repeats")]
    for image in ("a.png", "c.png"):
        weigh(folder, image, repeats=0)
    with pytest.raises(DatasetError, match="0 repeats"):
        scan_dataset(settings(folder))


@pytest.mark.parametrize(("content", "words"), [
    ("{", "not valid JSON"), ("[]", "a list"), ('{"weight": "x"}', "text instead of a number"),
    ('{"weight": NaN}', "NaN"), ('{"weight": 0}', "weight 0 is out of range"), ('{"weight": -1}', "from 0.01"),
    ('{"weight": 1e9}', "to 100"), ('{"repeats": 1.5}', "not a whole number"), ('{"repeats": 9999}', "0 to 1000"),
    ('{"wieght": 2}', "“wieght” is not known"), (" " * 5000, "")])
def test_a_weight_file_that_cannot_be_used_is_named_before_any_work(folder, content, words):
    file = weigh(folder, "a.png")
    file.write_text(content)
    with pytest.raises(DatasetError) as caught:
        scan_dataset(settings(folder))
    assert str(file) in str(caught.value) and words in str(caught.value)
    assert len(survey(settings(folder)).pictures) == 3


def test_a_weight_file_without_its_image_is_named(folder):
    alone = weigh(folder, "gone.png", weight=2)
    assert [problem.files for problem in scan_dataset(settings(folder)).problems] == [(alone,)]


def test_weights_survive_writing_and_the_usual_one_needs_no_file():
    for weight in (ImageWeight(0.25, 3), ImageWeight(1.0, 0), checked(100, 1000)):
        assert weight_from(bytes_of_weight(weight) or b"") == weight
    assert bytes_of_weight(ImageWeight()) is None
    assert weight_file("set/a.b.PNG") == "set/a.b.weight.json"


def test_the_form_says_which_images_have_their_own_weight(folder):
    weigh(folder, "a.png", weight=0.5)
    weigh(folder, "c.png", repeats=3)
    for lines in ([], ["2_fox: loss_weight=2"]):
        problems = overview(folder, settings(folder, concept_settings=lines))["problems"]
        assert [problem["files"] for problem in problems if "loss weight of its own" in problem["text"]] == [
            ["2_fox/a.png"]]
