"""What a share of the images holds out: the same ones each time, evenly, and near-duplicates together."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from lib_lora_train.batches.held_out import held_out_pictures
from lib_lora_train.batches.plan import plan_of, validation_plan_of
from lib_lora_train.config.groups.training import TrainingSettings
from lib_lora_train.pictures.scan import scan_dataset

from ..pictures.making import settings
from .test_plan import SQUARE, dataset_of


@pytest.mark.parametrize(("count", "share", "held"), [(10, 0.2, 2), (10, 0.01, 2), (2, 0.9, 1), (3, 0.9, 2),
                                                       (10, 0.9, 9), (1, 0.5, 0), (9, 0, 0)])
def test_a_share_is_held_out_and_not_trained_on(count, share, held):
    values = settings(Path("unused"), validation_split=share)
    found = dataset_of([(SQUARE, 1)] * count, [(SQUARE, 1)] * 20)
    out = held_out_pictures(values, found)
    trained = plan_of(values, found, TrainingSettings())
    assert len(out) == held
    assert set(out).isdisjoint(trained.pictures)
    assert sum(picture.repeats for picture in trained.pictures) == 2 * (count - held)
    assert len(validation_plan_of(values, out, TrainingSettings()).pictures) == held


def test_the_same_pictures_are_held_out_and_a_new_one_moves_at_most_one():
    def held(count, seed=0):
        values = settings(Path("unused"), validation_split=0.2, validation_seed=seed)
        return {picture.path.name for picture in held_out_pictures(values, dataset_of([(SQUARE, 1)] * count))}

    assert held(50) == held(50) != held(50, seed=1)
    assert len(held(50) - held(51)) <= 1


@pytest.fixture
def drawn(tmp_path):
    """Scans folders of drawings, ``{folder: count}``, and ``copies`` of one drawing, smaller or in another format."""

    def draw(counts, copies=(), **values):
        rng = random.Random(1)
        for folder, count in counts.items():
            (tmp_path / folder).mkdir()
            for number in range(count):
                noise(rng).save(tmp_path / folder / f"{number}.png")
        picture = noise(rng)
        for place, side in copies:
            picture.resize((side, side), Image.Resampling.LANCZOS).save(tmp_path / place)
        chosen = settings(tmp_path, **values)
        dataset = scan_dataset(chosen)
        return dataset, held_out_pictures(chosen, dataset)

    return draw


def noise(rng):
    return Image.frombytes("RGB", (6, 6), rng.randbytes(108)).resize((96, 96), Image.Resampling.BICUBIC)


def test_each_folder_gives_its_share_and_keeps_an_image(drawn):
    dataset, held = drawn({"1_penny": 20, "3_dress": 10, "5_hat": 1, "1_shoe": 2}, validation_split=0.2)
    by_folder = Counter(picture.path.parent.name for picture in held)
    assert by_folder["1_penny"] == 4 and by_folder["3_dress"] == 2 and "5_hat" not in by_folder
    assert sum(by_folder.values()) == round(0.2 * len(dataset.pictures))


@pytest.mark.parametrize("seed", range(4))
def test_near_duplicates_are_held_out_or_trained_on_together(drawn, seed):
    copies = [("1_penny/copy.png", 96), ("1_penny/smaller.png", 80), ("1_hat/same.jpg", 96)]
    dataset, held = drawn({"1_penny": 6, "1_hat": 6}, copies, validation_split=0.5, validation_seed=seed)
    names = {picture.path.relative_to(dataset.folder).as_posix() for picture in held}
    together = {name for name, _ in copies}
    assert together <= names or not together & names
    assert len(held) in (7, 8)
    trained = plan_of(settings(dataset.folder, validation_split=0.5, validation_seed=seed), dataset,
                      TrainingSettings()).pictures
    assert len(trained) + len(held) == len(dataset.pictures) and not set(trained) & set(held)


def test_more_copies_than_the_share_are_all_trained_on_and_nothing_is_held_out_of_copies_alone(drawn, tmp_path):
    copies = [(f"1_penny/copy{number}.png", 60 + 6 * number) for number in range(6)]
    _, held = drawn({"1_penny": 6}, copies, validation_split=0.25)
    assert len(held) == 3 and not [picture for picture in held if "copy" in picture.path.name]
    for path in (tmp_path / "1_penny").glob("?.png"):
        path.unlink()
    chosen = settings(tmp_path, validation_split=0.25)
    assert held_out_pictures(chosen, scan_dataset(chosen)) == ()
