"""Single folders have their own repeats, kept tags and mirroring."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from lib_lora_train.batches.captions import BatchPosition, train_caption
from lib_lora_train.batches.plan import plan_of
from lib_lora_train.config.concepts import ConceptSettings, read_concepts
from lib_lora_train.config.groups.training import TrainingSettings
from lib_lora_train.config.load import job_from
from lib_lora_train.errors import ConfigError
from lib_lora_train.pictures.scan import scan_dataset, survey

from .making import noise, save, settings

OWN = ["2_penny: dataset_repeats=5 keep_tokens=3", "1_fox: flip_aug=on, keep_tokens=0"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for concept in ("2_penny", "1_fox", "3_hat"):
        for number in range(2):
            save(tmp_path / concept / f"{number}.png", noise(64, 64, seed=number), caption="a, b, c, d, e, f")
    return tmp_path


def test_lines_are_read_as_they_are_written():
    assert read_concepts(OWN) == {"2_penny": ConceptSettings(5, 3, None), "1_fox": ConceptSettings(None, 0, True)}
    assert read_concepts(["a: b: flip_aug=no"]) == {"a: b": ConceptSettings(None, None, False)}
    assert read_concepts([]) == {}


@pytest.mark.parametrize(("line", "words"), [
    ("10_penny", "names no folder"), (": keep_tokens=1", "names no folder"), ("a: keep_tokens=x", "number from 0"),
    ("a: dataset_repeats=0", "from 1 to 10000"), ("a: flip_aug=maybe", "flip_aug=maybe"), ("a: flips=1", "'flips=1'"),
    ("a: loss_weight=0", "number from 0.01"), ("a: loss_weight=nan", "loss_weight=nan"),
    ("2_penny: keep_tokens=1", "named twice"),
])
def test_what_cannot_be_read_is_a_sentence_about_the_setting(folder, line, words):
    with pytest.raises(ConfigError) as caught:
        job_from({"base": {"checkpoint": "x"}, "save": {"output_name": "x", "output_dir": "x"},
                  "dataset": {"train_data_dir": str(folder), "concept_settings": [*OWN, line]}})
    assert [problem for problem in caught.value.problems if words in problem and "concept_settings" in problem]


def test_repeats_of_the_job_win_over_the_folders_name(folder):
    values = settings(folder, concept_settings=OWN)
    dataset = scan_dataset(values)
    assert {concept.folder.name: concept.repeats for concept in dataset.concepts} == {
        "1_fox": 1, "2_penny": 5, "3_hat": 3}
    assert sum(picture.repeats for picture in plan_of(values, dataset, TrainingSettings()).pictures) == 2 * (1 + 5 + 3)


def test_each_folder_keeps_its_own_number_of_tags_in_front(folder):
    values = settings(folder, concept_settings=OWN, keep_tokens=1, shuffle_caption=True)
    seen: dict[str, set[tuple[str, ...]]] = {name: set() for name in ("1_fox", "2_penny", "3_hat")}
    rng = random.Random(1)
    for picture in scan_dataset(values).pictures * 100:
        tags = train_caption(picture, values, rng, BatchPosition(1, 1, 0)).split(", ")
        seen[picture.path.parent.name].add(tuple(tags[:3]))
    assert seen["2_penny"] == {("a", "b", "c")}
    assert {tags[0] for tags in seen["3_hat"]} == {"a"} and len({tags[1] for tags in seen["3_hat"]}) == 5
    assert len({tags[0] for tags in seen["1_fox"]}) == 6


def test_mirroring_is_for_all_unless_the_folder_says_otherwise(folder):
    dataset = scan_dataset(settings(folder, concept_settings=["1_fox: flip_aug=on", "3_hat: flip_aug=off"]))
    mirrored = {picture.path.parent.name: (picture.is_mirrored(False), picture.is_mirrored(True))
                for picture in dataset.pictures}
    assert mirrored == {"1_fox": (True, True), "2_penny": (False, True), "3_hat": (False, False)}


def test_a_line_for_a_folder_that_is_not_there_is_reported(folder):
    problems = survey(settings(folder, concept_settings=["9_gone: keep_tokens=2"])).problems
    assert [problem.text for problem in problems if problem.level == "warning"] == [
        "concept_settings has a line for 9_gone, but no folder of that name is trained on."]
