"""The doctor's check of shapes: distribution over buckets, and what is cropped."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ...config.groups.dataset import DatasetSettings
from ...pictures.buckets import Bucket, BucketRule
from ...pictures.problems import count_of
from ..editor.editor import CaptionEditor
from .report import Finding, Fix

_CUT_MUCH = 0.15
_MOST_CROPS = 300
_ONE_BUCKET = 0.7
_EVEN = 3.0


@dataclass(frozen=True)
class ShapeCount:
    """A bucket with the images in it."""

    width: int
    height: int
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Crop:
    """The crop of an image: ``kept`` is left, top, right, bottom as fractions (0 to 1) of its sides."""

    number: int
    width: int
    height: int
    bucket: tuple[int, int]
    kept: tuple[float, float, float, float]
    cut_off: float


def shapes(editor: CaptionEditor, rule: BucketRule, trained: Sequence[int]) -> tuple[ShapeCount, ...]:
    """The non-empty buckets, fullest first."""
    found: dict[Bucket, list[int]] = {}
    for number in trained:
        entry = editor.index.entries[number]
        if entry.width:
            found.setdefault(rule.fit(entry.width, entry.height).bucket, []).append(number)
    return tuple(ShapeCount(bucket.width, bucket.height, tuple(numbers))
                 for bucket, numbers in sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def crops(editor: CaptionEditor, rule: BucketRule, trained: Sequence[int]) -> tuple[Crop, ...]:
    """The crops that lose most, at most 300, in descending order of the loss."""
    found = []
    for number in trained:
        entry = editor.index.entries[number]
        if not entry.width:
            continue
        fit = rule.fit(entry.width, entry.height)
        left, top, right, bottom = fit.kept_of(entry.width, entry.height)
        kept = (left / entry.width, top / entry.height, right / entry.width, bottom / entry.height)
        found.append(Crop(number, entry.width, entry.height, (fit.bucket.width, fit.bucket.height),
                          (round(kept[0], 4), round(kept[1], 4), round(kept[2], 4), round(kept[3], 4)),
                          round(fit.share_cut_off, 4)))
    found.sort(key=lambda crop: -crop.cut_off)
    return tuple(found[:_MOST_CROPS])


def about_shapes(editor: CaptionEditor, rule: BucketRule, settings: DatasetSettings,
                 trained: Sequence[int]) -> list[Finding]:
    """Findings on buckets (best: most images in one bucket, or buckets evenly filled), and on images that lose much."""
    return [*_spread(shapes(editor, rule, trained), settings), *_cut(crops(editor, rule, trained))]


def _spread(found: Sequence[ShapeCount], settings: DatasetSettings) -> list[Finding]:
    counts = Counter({(shape.width, shape.height): len(shape.numbers) for shape in found})
    if not counts:
        return []
    total, most, least = sum(counts.values()), max(counts.values()), min(counts.values())
    (width, height), _ = counts.most_common(1)[0]
    if len(counts) == 1 or most >= _ONE_BUCKET * total:
        text = f"{most} of {total} images share the bucket {width}x{height}, which is how sets do best."
        return [Finding("buckets", "good", "Most images share a bucket", text)]
    if most <= _EVEN * least:
        return [Finding("buckets", "good", "The buckets are evenly filled",
                        f"{count_of(len(counts), 'bucket')} with {least} to {most} images each.")]
    lone = [number for shape in found if len(shape.numbers) == 1 for number in shape.numbers]
    fixes = [Fix(f"Show {count_of(len(lone), 'image')} alone in a bucket", "show", tuple(lone))] if lone else []
    following = dataclasses.replace(settings, min_bucket_reso=None, max_bucket_reso=None)
    (shortest, longest), (usual_shortest, usual_longest) = settings.bucket_sides, following.bucket_sides
    if shortest < usual_shortest or longest > usual_longest:
        fixes.append(Fix(f"Use buckets of {usual_shortest} to {usual_longest} pixels", "settings", (0,),
                          {"dataset.min_bucket_reso": None, "dataset.max_bucket_reso": None}))
    return [Finding("buckets", "note", f"{count_of(len(counts), 'bucket')}, unevenly filled",
                    f"The fullest has {most} images, the emptiest {least}. Sets do better when most images share a "
                    "bucket or the buckets hold about the same number: crop the odd ones to the common shape, or "
                    "narrow the bucket sizes so that there are fewer.", tuple(lone), tuple(fixes))]


def _cut(found: Sequence[Crop]) -> list[Finding]:
    much = [crop.number for crop in found if crop.cut_off > _CUT_MUCH]
    if not much:
        return []
    return [Finding("cropped", "warning", f"{count_of(len(much), 'image')} lose more than {100 * _CUT_MUCH:.0f}% at "
                    "the edges", "No bucket has their shape. See in the preview whether anything that matters is cut "
                    "off; if so, crop them by hand or widen the bucket sizes.", tuple(much))]
