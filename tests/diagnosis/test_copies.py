"""Copies among images are told from images that are only alike, by how alike the images near them are."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from benchmarks.planted import make_set
from lib_lora_train.diagnosis.copies import AlikeGroup, alike_groups
from lib_lora_train.diagnosis.looks import Look, looks_of
from lib_lora_train.pictures.duplicates.files import fine_image


def groups_in(files: Sequence[Path]) -> tuple[list[tuple[str, ...]], list[AlikeGroup]]:
    """The names in each group of copies, and the groups that are only alike."""
    found = alike_groups(looks_of(files, lambda: None), lambda image: fine_image(files[image]), lambda: None)
    return ([tuple(files[image].name for image in group.images) for group in found if group.likeness > 1],
            [group for group in found if group.likeness <= 1])


def drawn(folder: Path, count: int = 16) -> list[Path]:
    """Different images: random lines and discs."""
    rng = random.Random(5)

    def color() -> tuple[int, int, int]:
        return rng.randrange(256), rng.randrange(256), rng.randrange(256)

    for number in range(count):
        image = Image.new("RGB", (256, 192), color())
        for _ in range(12):
            x, y, r = rng.randrange(256), rng.randrange(192), rng.randrange(10, 60)
            ImageDraw.Draw(image).ellipse([x - r, y - r, x + r, y + r], fill=color())
        image.save(folder / f"{number:02d}.png")
    return sorted(folder.glob("[0-9]*.png"))


def icons(folder: Path, count: int = 24) -> list[Path]:
    """The same icon in the same place with a little badge that differs."""
    rng = random.Random(3)
    for number in range(count):
        image = Image.new("RGB", (128, 128), "white")
        draw = ImageDraw.Draw(image)
        draw.rounded_rectangle([10, 10, 118, 118], 20, fill=(40, 90, 214))
        x, y = rng.randrange(84, 104), rng.randrange(84, 104)
        draw.ellipse([x, y, x + 14, y + 14], fill=(rng.randrange(256), 200, 60))
        image.save(folder / f"icon{number:02d}.png")
    return sorted(folder.glob("icon*.png"))


@pytest.mark.parametrize("name", ["robots", "tiles", "hearts", "mugs"])
def test_images_of_a_set_that_are_drawn_alike_are_no_copies(name, tmp_path):
    assert groups_in(make_set(name, tmp_path / "set"))[0] == []


@pytest.mark.parametrize(("name", "change"), [
    ("copy.png", lambda image: image),
    ("copy.jpg", lambda image: image.resize((160, 120))),
    ("copy.webp", lambda image: image.resize((1024, 768), Image.Resampling.BICUBIC)),
    ("copy.bmp", ImageOps.mirror),
    ("copy.jpeg", lambda image: ImageOps.mirror(image).resize((200, 150))),
])
def test_a_copy_is_found_however_it_was_saved(name, change, tmp_path):
    files = drawn(tmp_path)
    with Image.open(files[3]) as image:
        change(image.convert("RGB")).save(tmp_path / name, quality=70)
    assert groups_in([*files, tmp_path / name]) == ([("03.png", name)], [])


def test_among_icons_that_are_all_alike_only_the_same_one_is_a_copy(tmp_path):
    files = icons(tmp_path)
    assert groups_in(files)[0] == []
    with Image.open(files[7]) as image:
        image.save(tmp_path / "copy.webp", lossless=True)
        ImageOps.mirror(image).save(tmp_path / "mirrored.png")
    assert groups_in([*files, tmp_path / "copy.webp", tmp_path / "mirrored.png"])[0] == [
        ("icon07.png", "copy.webp", "mirrored.png")]


def test_icons_among_other_images_are_no_copies_of_each_other(tmp_path):
    assert groups_in([*icons(tmp_path, 12), *drawn(tmp_path)])[0] == []


def test_every_image_twice_is_as_many_groups(tmp_path):
    files = drawn(tmp_path)
    for file in files:
        with Image.open(file) as image:
            image.save(file.with_suffix(".jpg"), quality=80)
    assert groups_in([*files, *(file.with_suffix(".jpg") for file in files)])[0] == [
        (file.name, file.with_suffix(".jpg").name) for file in files]


def test_a_moved_detail_is_alike_but_no_copy_and_ranks_below_copies(tmp_path):
    files = drawn(tmp_path)
    with Image.open(files[2]) as image:
        ImageDraw.Draw(image).rectangle([90, 50, 150, 150], fill="white")
        image.save(tmp_path / "other.png")
    with Image.open(files[9]) as image:
        image.save(tmp_path / "copy.jpg")
    copies, alike = groups_in([*files, tmp_path / "other.png", tmp_path / "copy.jpg"])
    assert copies == [("09.png", "copy.jpg")]
    assert [group.images for group in alike] == [(2, 16)]


def test_few_images_and_plain_ones_are_no_trouble(tmp_path):
    assert groups_in([]) == ([], [])
    for number, color in enumerate(["red", "red", "blue"]):
        Image.new("RGB", (70, 64), color).save(tmp_path / f"{number}.png")
    files = sorted(tmp_path.glob("*.png"))
    assert groups_in(files[:1]) == ([], [])
    assert groups_in(files) == ([("0.png", "1.png")], [])


def test_many_images_are_compared_in_parts_between_which_the_webui_has_its_turn():
    rng, calls = np.random.default_rng(0), []
    looks = {index: Look(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8), np.zeros(64), np.zeros(32))
             for index in range(600)}
    looks[599] = looks[3]
    found = alike_groups(looks, lambda image: None, lambda: calls.append(1))
    assert [group.images for group in found if group.likeness > 1] == [(3, 599)]
    assert len(calls) >= 3
