"""Steps per epoch follow the guide's formula, and epochs are shuffled the same way for the same seed."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lib_lora_train.batches.plan import plan_of
from lib_lora_train.batches.regularization import balanced
from lib_lora_train.config.groups.training import TrainingSettings
from lib_lora_train.errors import ConfigError
from lib_lora_train.pictures.scan import Dataset, Picture

from ..pictures.making import settings

SQUARE, TALL, WIDE = (600, 600), (400, 600), (900, 600)


def dataset_of(pictures, regularization=()):
    """A dataset of ``(size, repeats)`` pictures, which need not exist: planning reads no file."""
    folder, of_class = Path("1_penny"), Path("1_girl")
    found = tuple(Picture(folder / f"{number}.png", *size, False, "penny", repeats, "penny", "file",
                          folder / f"{number}.txt") for number, (size, repeats) in enumerate(pictures))
    others = tuple(Picture(of_class / f"girl {number}.png", *size, False, "girl", repeats, "girl", "folder",
                           of_class / f"girl {number}.txt", regularization=True)
                   for number, (size, repeats) in enumerate(regularization))
    return Dataset(folder, found, (), (), (), others)


def plan(pictures, batch_size=1, accumulation=1, epochs=10, steps=None, regularization=(), **values):
    """The plan of ``(size, repeats)`` pictures."""
    return plan_of(settings(Path("unused"), train_batch_size=batch_size, **values),
                   dataset_of(pictures, regularization),
                   TrainingSettings(max_train_epochs=epochs, max_train_steps=steps,
                                    gradient_accumulation_steps=accumulation))


@pytest.mark.parametrize(("pictures", "batch_size", "accumulation", "steps_per_epoch"), [
    ([(SQUARE, 1)] * 10, 1, 1, 10),
    ([(SQUARE, 10)] * 10, 1, 1, 100),
    ([(SQUARE, 10)] * 10, 2, 1, 50),
    ([(SQUARE, 1)] * 7, 2, 1, 4),                                   # the last batch is not filled
    ([(SQUARE, 1)] * 7, 2, 4, 1),
    ([(SQUARE, 1)] * 7, 2, 3, 2),                                   # 4 batches, 3 in a step
    ([(SQUARE, 1)] * 5 + [(TALL, 1)] * 5, 4, 1, 4),                 # two buckets: 2 + 2, not ceil(10 / 4)
    ([(SQUARE, 3)] * 5 + [(TALL, 1)] * 1 + [(WIDE, 2)] * 3, 4, 1, 7),    # 15/4 + 1/4 + 6/4 = 4 + 1 + 2
    ([(SQUARE, 3)] * 5 + [(TALL, 1)] * 1 + [(WIDE, 2)] * 3, 4, 2, 4),
    ([(SQUARE, 4)] * 25 + [(SQUARE, 1)] * 100, 8, 2, 13),           # two concepts balanced in one bucket: 200/8 = 25
])
def test_steps_per_epoch(pictures, batch_size, accumulation, steps_per_epoch):
    found = plan(pictures, batch_size, accumulation)
    assert found.steps_per_epoch == steps_per_epoch
    assert found.total_steps == 10 * steps_per_epoch
    assert len(found.epoch_batches(1, 1)) == found.batches_per_epoch
    assert sum(picture.repeats for picture in found.pictures) == sum(repeats for _, repeats in pictures)


@pytest.mark.parametrize(("pictures", "regularization", "batch_size", "accumulation", "steps_per_epoch"), [
    ([(SQUARE, 1)] * 10, [(SQUARE, 1)] * 10, 1, 1, 20),             # (10 x 1) + (10 x 1)
    ([(SQUARE, 10)] * 10, [(SQUARE, 5)] * 20, 1, 1, 200),           # (10 x 10) + (20 x 5)
    ([(SQUARE, 10)] * 10, [(SQUARE, 5)] * 20, 2, 1, 100),
    ([(SQUARE, 1)] * 5, [(SQUARE, 1)] * 500, 1, 1, 10),             # a surplus is not used
    ([(SQUARE, 10)] * 5, [(SQUARE, 1)] * 7, 1, 1, 100),             # a shortage is repeated: 7 pictures, 50 looks
    ([(SQUARE, 1)] * 5, [(SQUARE, 3)] * 4, 1, 1, 11),               # 3 + 3 is enough for 5
    ([(SQUARE, 1)] * 3, [(SQUARE, 1)] * 3, 2, 1, 3),                # batches are shared: ceil(6 / 2), not 2 + 2
    ([(SQUARE, 1)] * 3, [(TALL, 1)] * 3, 2, 1, 4),                  # but not between buckets
    ([(SQUARE, 2)] * 4 + [(TALL, 1)] * 3, [(SQUARE, 1)] * 20, 4, 2, 3),  # (8 + 11)/4 + 3/4 = 5 + 1 batches
    ([(SQUARE, 4)] * 25 + [(SQUARE, 1)] * 100, [(SQUARE, 2)] * 100, 8, 2, 25),  # 400/8 = 50
])
def test_steps_per_epoch_with_regularization(pictures, regularization, batch_size, accumulation, steps_per_epoch):
    found = plan(pictures, batch_size, accumulation, regularization=regularization)
    assert found.steps_per_epoch == steps_per_epoch
    assert found.total_steps == 10 * steps_per_epoch
    assert len(found.epoch_batches(1, 1)) == found.batches_per_epoch


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_regularization_is_never_less_and_never_a_picture_too_many(repeats, others):
    found = dataset_of([(SQUARE, times) for times in repeats], [(SQUARE, times) for times in others])
    taken = balanced(found.pictures, found.regularization)
    repeated = [picture.repeats for picture in taken]
    assert sum(repeated) >= sum(repeats)
    assert sum(repeated) - repeated[-1] < sum(repeats) or len(taken) == len(others)
    if sum(others) >= sum(repeats):
        assert repeated == others[:len(taken)] and sum(repeated[:-1]) < sum(repeats)
    else:  # the guide's rule for too few: one more look for each, one after the other
        extra = [more - own for more, own in zip(repeated, others, strict=True)]
        assert sum(repeated) == sum(repeats)
        assert extra == sorted(extra, reverse=True) and extra[0] - extra[-1] <= 1


def test_a_regularization_picture_is_seen_as_often_as_the_picture_of_its_name():
    def made(folder, *names):
        return tuple(Picture(Path(folder) / f"{name}.png", 512, 512, False, folder, times, folder, "folder",
                             Path(folder) / f"{name}.txt") for name, times in names)

    found = made("girl", ("x", 1), ("b", 1), ("a", 1), ("y", 1), ("z", 1))
    taken = balanced(made("penny", ("a", 3), ("b", 1), ("c", 2)), found)
    assert [(picture.path.stem, picture.repeats) for picture in taken] == [("a", 3), ("b", 1), ("x", 1), ("y", 1)]
    alike = made("girl", ("1", 1)) + made("boy", ("1", 1), ("2", 1))
    taken = balanced(made("boy", ("1", 5), ("2", 4)), alike)
    assert [(picture.concept, picture.path.stem, picture.repeats) for picture in taken] == \
        [("boy", "1", 5), ("boy", "2", 4)]
    assert balanced(found, ()) == ()


PICTURES = st.lists(st.tuples(st.sampled_from([SQUARE, TALL, WIDE]), st.integers(1, 5)), min_size=1, max_size=12)


@given(PICTURES, st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**32), st.integers(1, 30))
@hypothesis_settings(deadline=None)
def test_an_epoch_shows_every_picture_as_often_as_it_should_and_never_mixes_buckets(pictures, size, accumulation, seed,
                                                                                    epoch):
    found = plan(pictures, size, accumulation)
    batches = found.epoch_batches(seed, epoch)
    assert Counter(index for batch in batches for index in batch) == \
        Counter({number: repeats for number, (_, repeats) in enumerate(pictures)})
    for batch in batches:
        assert 1 <= len(batch) <= size
        assert len({found.fits[index].bucket for index in batch}) == 1
    partial = Counter(found.fits[batch[0]].bucket for batch in batches if len(batch) < size)
    assert all(count == 1 for count in partial.values())
    assert found.steps_per_epoch == math.ceil(len(batches) / accumulation)
    assert batches == found.epoch_batches(seed, epoch)


def test_epochs_and_seeds_differ():
    found = plan([(SQUARE, 1)] * 12 + [(TALL, 1)] * 12, 2)
    orders = [found.epoch_batches(seed, epoch) for seed, epoch in ((1, 1), (1, 2), (5, 1))]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    in_order = sorted(orders[0])
    assert in_order != orders[0]


def test_who_is_trained_together_changes_from_epoch_to_epoch():
    found = plan([(SQUARE, 1)] * 20, 2)
    pairs = [{frozenset(batch) for batch in found.epoch_batches(1, epoch)} for epoch in (1, 2)]
    assert len(pairs[0] & pairs[1]) < 5


def test_buckets_are_mixed_over_the_epoch():
    found = plan([(SQUARE, 1)] * 20 + [(TALL, 1)] * 20)
    buckets = [found.fits[batch[0]].bucket for batch in found.epoch_batches(1, 1)]
    changes = sum(first != second for first, second in itertools.pairwise(buckets))
    assert changes > 5  # one after the other there would be a single change


def test_the_shuffle_does_not_depend_on_the_process():
    found = plan([(SQUARE, 1)] * 20 + [(TALL, 2)] * 5)
    code = ("from tests.batches.test_plan import *\n"
            "print(plan([(SQUARE, 1)] * 20 + [(TALL, 2)] * 5).epoch_batches(42, 3))")
    for hash_seed in ("0", "12345"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                              cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONHASHSEED": hash_seed})
        assert done.stdout.strip() == str(found.epoch_batches(42, 3))


def test_steps_take_the_place_of_epochs():
    found = plan([(SQUARE, 1)] * 10, epochs=3, steps=25)
    assert (found.total_steps, found.epochs) == (25, 3)
    found = plan([(SQUARE, 1)] * 10, epochs=None, steps=7)
    assert (found.total_steps, found.epochs) == (7, 1)


def test_neither_steps_nor_epochs_is_an_error():
    with pytest.raises(ConfigError, match="both empty"):
        plan([(SQUARE, 1)], epochs=None)


def test_validation_sees_each_picture_once_in_order():
    found = plan([(SQUARE, 5), (TALL, 5), (SQUARE, 5), (SQUARE, 1)], 2)
    assert found.batches_in_order() == [[1], [0, 2], [3]]
