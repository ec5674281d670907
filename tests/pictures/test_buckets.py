"""Buckets follow sd-scripts' rules, checked against an independent search."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_lora_train.pictures.buckets import Bucket, BucketRule, bucket_sizes

from .making import settings

SIDES = st.integers(8, 6000)
STEPS = st.sampled_from([8, 32, 64])
RESOLUTIONS = st.sampled_from(["512", "576", "768", "1024", "512x768", "640x448"])


def rule(**values):
    return BucketRule.of(settings(Path("unused"), **values))


def all_sizes(area, shortest, longest, step):
    """Every size whose longer partner cannot grow by a step: a search over all pairs instead of a walk."""
    sides = [side for side in range(step, longest + 1, step) if side >= shortest]
    found = set()
    for width in sides:
        fitting = [height for height in range(step, longest + 1, step) if width * height <= area]
        if fitting and max(fitting) >= shortest:
            found |= {(width, max(fitting)), (max(fitting), width)}
    square = max(side for side in range(step, 20000, step) if side * side <= area)
    return found | {(square, square)}


@given(RESOLUTIONS, STEPS, st.sampled_from([128, 256, 320, 448]), st.sampled_from([768, 1024, 1536]))
def test_sizes_equal_those_of_a_search_over_all_pairs(resolution, step, shortest, longest):
    sizes = rule(resolution=resolution, bucket_reso_steps=step, min_bucket_reso=shortest, max_bucket_reso=longest).sizes
    width, height = (int(side) for side in (resolution.split("x") * 2)[:2])
    assert {(size.width, size.height) for size in sizes} == all_sizes(width * height, shortest, longest, step)
    assert list(sizes) == sorted(sizes)


def test_the_well_known_sizes_of_512():
    half = [(256, 832), (256, 896), (256, 960), (256, 1024), (320, 704), (320, 768), (384, 640), (448, 576)]
    expected = {*half, *((height, width) for width, height in half), (512, 512)}
    assert {(size.width, size.height) for size in bucket_sizes(512 * 512, 256, 1024, 64)} == expected


def test_limits_between_two_steps_are_drawn_to_steps():
    sizes = bucket_sizes(512 * 512, 300, 1000, 64)
    assert min(size.width for size in sizes) == 320 and max(size.width for size in sizes) == 768
    assert all(side % 64 == 0 for size in sizes for side in (size.width, size.height))


@given(SIDES, SIDES, RESOLUTIONS)
def test_the_nearest_ratio_is_taken_and_covered(width, height, resolution):
    rules = rule(resolution=resolution)
    fit = rules.fit(width, height)

    def error(size):
        return abs(Fraction(size.width, size.height) - Fraction(width, height))

    if Bucket(width, height) in rules.sizes:
        assert fit.bucket == Bucket(width, height) and fit.share_cut_off == 0
    else:
        assert error(fit.bucket) <= min(map(error, rules.sizes)) + Fraction(1, 10**9)
    assert fit.resized_width >= fit.bucket.width and fit.resized_height >= fit.bucket.height
    assert fit.resized_width == fit.bucket.width or fit.resized_height == fit.bucket.height
    scale = max(fit.bucket.width / width, fit.bucket.height / height)
    assert abs(fit.resized_width - width * scale) <= 0.51 and abs(fit.resized_height - height * scale) <= 0.51


@given(SIDES, SIDES, RESOLUTIONS, st.booleans())
def test_the_cut_is_in_the_middle_and_of_the_buckets_size(width, height, resolution, no_upscale):
    fit = rule(resolution=resolution, bucket_no_upscale=no_upscale).fit(width, height)
    left, top, right, bottom = fit.crop
    assert (right - left, bottom - top) == (fit.bucket.width, fit.bucket.height)
    assert 0 <= left <= fit.resized_width - right <= left + 1
    assert 0 <= top <= fit.resized_height - bottom <= top + 1
    assert 0 <= fit.share_cut_off < 1
    kept = fit.kept_of(width, height)
    assert 0 <= kept[0] < kept[2] <= width + 1e-6 and 0 <= kept[1] < kept[3] <= height + 1e-6


def shrunk_by_the_rule(width, height, area, step):
    """The published rule in its own words: both roundings are tried, the one with the smaller ratio error is taken."""
    ratio = width / height
    if width * height <= area:
        return width, height

    def down(value):
        return int(value + 0.5) // step * step

    candidates = []
    ideal_width, ideal_height = math.sqrt(area * ratio), area / math.sqrt(area * ratio)
    w = down(ideal_width)
    if w and down(w / ratio):
        candidates.append((abs(w / down(w / ratio) - ratio), 1, (w, int(w / ratio + 0.5))))
    h = down(ideal_height)
    if h:
        candidates.append((abs(down(h * ratio) / h - ratio), 0, (int(h * ratio + 0.5), h)))
    return min(candidates)[2] if candidates else (int(ideal_width + 0.5), int(ideal_height + 0.5))


@given(st.integers(64, 5000), st.integers(64, 5000), RESOLUTIONS, STEPS)
def test_without_enlarging_the_rule_is_the_published_one(width, height, resolution, step):
    rules = rule(resolution=resolution, bucket_no_upscale=True, bucket_reso_steps=step)
    fit = rules.fit(width, height)
    expected = shrunk_by_the_rule(width, height, rules.width * rules.height, step)
    if min(expected) >= step:
        assert (fit.resized_width, fit.resized_height) == expected
        assert fit.resized_width <= width and fit.resized_height <= height
    else:
        assert min(fit.resized_width, fit.resized_height) == step
    limit = min(rules.longest, rules.width * rules.height // step) // step * step
    assert fit.bucket == Bucket(*(min(side // step * step, limit) for side in (fit.resized_width, fit.resized_height)))


@pytest.mark.parametrize("size", [(8000, 300), (300, 8000), (20000, 500), (3000, 100), (5000, 64)])
@pytest.mark.parametrize("resolution, longest", [("512", 1024), ("1024", 2048), ("256", 512), ("512", 768)])
def test_a_panorama_that_is_not_enlarged_stays_within_area_and_longest_side(size, resolution, longest):
    fit = rule(bucket_no_upscale=True, resolution=resolution, max_bucket_reso=longest).fit(*size)
    assert max(fit.bucket.width, fit.bucket.height) <= longest
    assert min(fit.bucket.width, fit.bucket.height) >= 64
    assert fit.bucket.width * fit.bucket.height <= int(resolution) ** 2
    assert fit.bucket.width <= fit.resized_width and fit.bucket.height <= fit.resized_height


@pytest.mark.parametrize("size", [(8, 8000), (8000, 8), (1, 60000), (20, 5000)])
@pytest.mark.parametrize("resolution, longest", [("512", 1024), ("1024", 2048), ("256", 512)])
def test_a_strip_that_is_not_enlarged_stays_within_area_and_longest_side(size, resolution, longest):
    fit = rule(bucket_no_upscale=True, resolution=resolution, max_bucket_reso=longest).fit(*size)
    assert max(fit.bucket.width, fit.bucket.height) <= longest
    assert min(fit.bucket.width, fit.bucket.height) == 64
    assert fit.bucket.width * fit.bucket.height <= int(resolution) ** 2
    assert fit.bucket.width <= fit.resized_width and fit.bucket.height <= fit.resized_height


@pytest.mark.parametrize(("size", "resized", "bucket"), [
    ((512, 512), (512, 512), (512, 512)),
    ((300, 200), (300, 200), (256, 192)),       # smaller than the training size: as it is
    ((1024, 1024), (512, 512), (512, 512)),
    ((2000, 1000), (640, 320), (640, 320)),     # of 704x352, cut to 704x320, and 640x320 the second keeps the ratio
    ((100, 20), (320, 64), (320, 64)),          # shorter than one step: enlarged to it
])
def test_sizes_without_enlarging(size, resized, bucket):
    fit = rule(bucket_no_upscale=True).fit(*size)
    assert (fit.resized_width, fit.resized_height) == resized
    assert fit.bucket == Bucket(*bucket)


def test_a_bucket_of_exactly_the_pictures_size_wins_over_another_of_its_shape():
    rules = rule(resolution="1024", max_bucket_reso=768)  # has 768x768 and, as the square of the area, 1024x1024
    assert rules.fit(1024, 1024).bucket == Bucket(1024, 1024)
    assert rules.fit(768, 768).bucket == Bucket(768, 768)


def test_without_buckets_every_picture_gets_the_training_size():
    rules = rule(resolution="512x768", enable_bucket=False)
    assert {rules.fit(*size).bucket for size in ((100, 900), (900, 100), (512, 768))} == {Bucket(512, 768)}


def test_an_unreadable_resolution_is_refused():
    with pytest.raises(ValueError):
        rule(resolution="large")
