"""A copy is found however it was saved, mirrored, cropped or lit; other images of the same thing are none."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from benchmarks.drawn_sets import DRAWN_SETS
from benchmarks.planted import FISH, HEARTS, MUGS, make_set
from lib_lora_train.pictures.duplicates.files import copies_in
from lib_lora_train.pictures.duplicates.find import Copies, copies_among
from lib_lora_train.pictures.duplicates.small import Small, fine_of, small_of
from lib_lora_train.pictures.images import open_picture
from tests.figures import FULL

Images = list[Image.Image]


_REDUCED: dict[int, tuple[Image.Image, Small, Image.Image]] = {}


def reduced(image: Image.Image) -> tuple[Image.Image, Small, Image.Image]:
    """An image, small, and fine, made once: each drawing is in many sets here."""
    if id(image) not in _REDUCED:
        _REDUCED[id(image)] = image, small_of(image), fine_of(image)
    return _REDUCED[id(image)]


def found_in(images: Sequence[Image.Image]) -> Copies:
    """What is found among ``images``; each drawing is reduced once."""
    seen = [reduced(image) for image in images]
    return copies_among(np.stack([small for _, small, _ in seen]), lambda place: seen[place][2])


def copies(images: Sequence[Image.Image]) -> list[list[int]]:
    """The groups of places of copies among ``images``, certain or not."""
    return found_in(images).groups


def as_jpeg(image: Image.Image, quality: int = 60) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def resized(image: Image.Image, times: float) -> Image.Image:
    return image.resize((round(times * image.width), round(times * image.height)), Image.Resampling.BICUBIC)


def cropped(image: Image.Image, left: float, right: float) -> Image.Image:
    """Without so much of the width and height at the left and top, and at the right and bottom."""
    width, height = image.size
    return image.crop((round(left * width), round(left * height), width - round(right * width),
                       height - round(right * height)))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "the same": lambda image: image,
    "JPEG": as_jpeg,
    "half the size": lambda image: resized(image, 0.5),
    "larger, JPEG": lambda image: as_jpeg(resized(image, 1.6)),
    "another shape": lambda image: image.resize((160, 120)),
    "mirrored": ImageOps.mirror,
    "mirrored, smaller, JPEG": lambda image: as_jpeg(resized(ImageOps.mirror(image), 0.8)),
    "3 % cropped at each side": lambda image: cropped(image, 0.03, 0.03),
    "3 % cropped at two sides, JPEG": lambda image: as_jpeg(cropped(image, 0.03, 0), 90),
    "mirrored, cropped, of the old size": lambda image: cropped(ImageOps.mirror(image), 0.03, 0.02).resize(image.size),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.8),
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, Images]:
    """All sets of the benchmark: drawings of one thing in other colors, places and sizes."""
    folder = tmp_path_factory.mktemp("sets")
    return {name: [open_picture(path) for path in make_set(name, folder / name)]
            for name in (HEARTS, FISH, MUGS, *DRAWN_SETS)}


ON_PLAIN_GROUND = ("fish", "mugs", "faces", "tiles", "robots")
"""Sets of figures that touch no edge, or only straight on, in the image that is copied here."""


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_is_found_in_every_set(change, sets):
    """It is certain unless nothing but plain ground was cropped: the figure may as well have been moved.

    Usually each change is tried in a part of the sets, and in others than the next change.
    """
    missed = []
    for number, (name, images) in enumerate(sets.items()):
        if not FULL and "crop" not in change and (number + list(CHANGES).index(change)) % 3:
            continue
        place = len(images) // 2
        found = found_in([*images, CHANGES[change](images[place])])
        is_found, is_certain = (any({place, len(images)} <= set(group) for group in groups)
                                for groups in (found.groups, found.certain))
        if not is_found or is_certain == ("cropped" in change and name in ON_PLAIN_GROUND):
            missed.append(f"{name}: {found.groups} {found.certain}")
    assert missed == []


def test_drawings_of_the_same_thing_are_no_copies(sets):
    """Two signs are one drawing, moved by a pixel on plain ground, and nothing else can be seen to differ."""
    found = {name: found_in(images) for name, images in sets.items()}
    assert {name: one.groups for name, one in found.items() if one.groups} == {"signs": [[11, 16]]}
    assert {name: one.certain for name, one in found.items() if one.certain} == {}


def drawing(draw: Callable[[ImageDraw.ImageDraw], object], ground: str = "white") -> Image.Image:
    image = Image.new("RGB", (256, 256), ground)
    draw(ImageDraw.Draw(image))
    return image


def figure(arm: int, mouth: bool = False) -> Image.Image:
    """The same character, one arm in another pose, the mouth open or closed."""

    def draw(on: ImageDraw.ImageDraw) -> None:
        on.rectangle([88, 110, 168, 240], fill="navy")
        on.ellipse([90, 30, 166, 112], fill="bisque")
        on.line([168, 130, 168 + arm, 130 + 70 - arm // 2], fill="bisque", width=14)
        on.ellipse([116, 80, 140, 100 if mouth else 84], fill="darkred")

    return drawing(draw, "lightgray")


SERIES: dict[str, Images] = {
    "poses": [figure(arm) for arm in range(0, 70, 12)],
    "faces": [figure(0), figure(0, mouth=True)],
    "flat colors": [drawing(lambda on, color=color: on.ellipse([60, 60, 200, 200], fill=color))
                    for color in ("red", "darkred", "blue", "navy", "black", "gray", "silver", "gold", "orange")],
    "small things on plain ground": [drawing(lambda on, x=x: on.ellipse([x, 100, x + 20, 120], fill="brown"))
                                     for x in range(20, 120, 18)],
    "plain ones": [Image.new("RGB", (64, 64), color) for color in ("white", "gray", "silver", "red", "blue", "black")],
    "icons": [drawing(lambda on, x=x: (on.rounded_rectangle([20, 20, 236, 236], 40, fill="royalblue"),
                                       on.ellipse([x, 180, x + 28, 208], fill="gold"))) for x in range(40, 200, 24)],
}


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("others", [False, True], ids=["alone", "among others"])
def test_a_series_of_similar_images_has_no_copies(series, others, sets):
    assert copies([*SERIES[series], *(sets["faces"] if others else [])]) == []


def test_copies_are_found_where_there_is_little_else(sets):
    one, other = sets["faces"][:2]
    assert copies([one, as_jpeg(one)]) == [[0, 1]]
    assert copies([one, other]) == []
    assert copies([as_jpeg(resized(one, size)) for size in (0.6, 0.7, 0.8, 0.9, 1, 1.2)]) == [[0, 1, 2, 3, 4, 5]]


def test_a_set_in_which_each_image_is_there_ten_times_is_as_many_groups(sets):
    rng = random.Random(2)
    images = [as_jpeg(resized(rng.choice((image, ImageOps.mirror(image))), rng.uniform(0.6, 1.4)))
              for image in sets["fish"][:4] for _ in range(10)]
    assert copies(images) == [list(range(start, start + 10)) for start in range(0, 40, 10)]


def test_files_are_read_again_when_they_change_and_damaged_ones_are_like_no_other(sets, tmp_path: Path):
    paths = [tmp_path / name for name in ("a.png", "b.jpg", "c.png", "d.png", "gone.png")]
    one, other = sets["faces"][:2]
    one.save(paths[0])
    other.save(paths[1])
    one.save(paths[2])
    paths[3].write_bytes(b"no image")
    assert copies_in(paths) == [[0, 2]]
    resized(one, 1.3).save(paths[1])
    assert copies_in(paths) == [[0, 1, 2]]
    assert copies_in(paths[3:]) == copies_in(()) == []
