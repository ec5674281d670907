"""The overview of a dataset folder for the tab: contents, buckets and problems, as JSON values."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..captions.tags import is_prose, plain
from ..config.groups.dataset import DatasetSettings
from ..pictures.buckets import Bucket, Fit
from ..pictures.caption_files import split_tags
from ..pictures.problems import Problem, count_of, names_of
from ..pictures.scan import Dataset, Picture, survey
from .captions import plain_caption
from .plan import fits_of
from .regularization import balanced

THUMBNAILS = 60
"""The number of images in the overview."""

_MOST_FIRST = 30
_QUALITY = re.compile(r"score \d( up)?|(source|rating)[ :]\w+|safe|sensitive|general|questionable|explicit|"
                      r"(very |incredibly )?(absurdres|highres|aesthetic)|masterpiece|"
                      r"(best|high|highest|great|good|normal|low|worst|amazing) quality|\d+k|newest|recent|year \d+")
"""Quality and rating tags that precede the content in captions for Pony, Illustrious and NoobAI."""
_COUNT = re.compile(r"\d+\+?(girl|boy|other)s?|multiple (girls|boys|others)|solo|no humans|man|woman|girl|boy|person|"
                    r"male|female|photo|illustration|anime|realistic")
_BEGIN_OF_SENTENCES = frozenset((
    "a", "an", "the", "this", "these", "there", "in", "on", "at", "photo", "image", "picture", "photograph", "painting",
    "drawing", "illustration", "portrait", "close-up", "closeup", "close", "two", "three", "several", "it", "he", "she",
    "they"))
_CUT_OFF_MUCH = 0.25
_ENLARGED_MUCH = 2.0


def overview(folder: Path, settings: DatasetSettings) -> dict[str, Any]:
    """The overview of ``folder`` as a JSON object. Paths in it are relative to ``folder``, with ``/``.

    ``folder, pictures, captions, left_out [{path, reason, pictures}], concepts [{name, folder, repeats, pictures}],
    buckets [{width, height, count}], images_per_epoch, problems [{level, text, files}], thumbnails [{path, width,
    height, caption, caption_source, bucket, crop}], trigger_guesses``; counts are of images, ``crop`` is the trained
    part in pixels of the image: [left, top, right, bottom].
    Raises ``DatasetError`` if there is no image, ``ValueError`` if the resolution is invalid.
    """
    dataset = survey(dataclasses.replace(settings, train_data_dir=str(folder)))
    fits = fits_of(settings, dataset.pictures)
    buckets = Counter(fit.bucket for fit in fits)
    problems = [*dataset.problems, *_about_pictures(dataset, fits, buckets), *_about_tag(dataset, settings),
                *_about_regularization(dataset)]
    order = {"error": 0, "warning": 1, "note": 2}
    return {
        "folder": str(folder),
        "pictures": len(dataset.pictures),
        "captions": sum(picture.caption_source == "file" for picture in dataset.pictures),
        "left_out": [{"path": _relative(item.path, folder), "reason": item.reason, "pictures": item.pictures}
                     for item in dataset.left_out],
        "concepts": [{"name": concept.name, "folder": _relative(concept.folder, folder), "repeats": concept.repeats,
                      "pictures": concept.pictures} for concept in dataset.concepts],
        "buckets": [{"width": bucket.width, "height": bucket.height, "count": count}
                    for bucket, count in sorted(buckets.items())],
        "images_per_epoch": sum(picture.repeats for picture in dataset.pictures),
        "problems": [{"level": problem.level, "text": problem.text,
                      "files": [_relative(file, folder) for file in problem.files]}
                     for problem in sorted(problems, key=lambda problem: order[problem.level])],
        "thumbnails": [_thumbnail(picture, fit, folder)
                       for picture, fit in zip(dataset.pictures[:THUMBNAILS], fits, strict=False)],
        "trigger_guesses": trigger_guesses(dataset, settings),
    }


def trigger_guesses(dataset: Dataset, settings: DatasetSettings) -> dict[str, Any]:
    """Candidates for the trigger word: ``first_tags`` [[tag, captions]], most frequent first, ``files`` (the number of
    captions), ``unit`` (tag or word), ``concept`` and ``concept_folder`` if there is only one concept, ``concepts``.

    Skips quality and rating tags, tags for the number of people, and common first words of sentences.
    """
    captions = [picture.caption for picture in dataset.pictures if picture.caption_source == "file"]
    prose = bool(captions) and 2 * sum(is_prose(line, settings.caption_separator) for line in captions) > len(captions)
    first = Counter(word for line in captions if (word := _first_word(line) if prose
                                                  else _first_tag(line, settings.caption_separator)))
    named = {picture.concept for picture in dataset.pictures}
    concept = named.pop() if len(named) == 1 else ""
    return {"first_tags": [list(one) for one in first.most_common(_MOST_FIRST)], "files": len(captions),
            "unit": "word" if prose else "tag", "concept": concept, "concepts": len(dataset.concepts),
            "concept_folder": dataset.concepts[0].folder.name if concept and dataset.concepts else ""}


def _first_tag(line: str, separator: str) -> str:
    """The first tag that is no quality or rating tag; empty if it is a tag for the number of people."""
    tag = next((tag for tag in split_tags(line, separator) if not _QUALITY.fullmatch(plain(tag))), "")
    return "" if _COUNT.fullmatch(plain(tag)) else tag


def _first_word(line: str) -> str:
    word = next(iter(re.findall(r"[^\s,.;:!?]+", line)), "")
    return "" if word.lower() in _BEGIN_OF_SENTENCES else word


def _about_pictures(dataset: Dataset, fits: Sequence[Fit], buckets: Counter[Bucket]) -> list[Problem]:
    problems = []
    pictures = dataset.pictures
    lost = sum(item.pictures for item in dataset.left_out)
    if lost:
        problems.append(Problem("warning", f"{count_of(lost, 'image')} left out; the list says why.",
                                tuple(item.path for item in dataset.left_out if item.pictures)))
    cut = [picture.path for picture, fit in zip(pictures, fits, strict=True) if fit.share_cut_off > _CUT_OFF_MUCH]
    if cut:
        problems.append(Problem("warning", f"{count_of(len(cut), 'image')} of which more than a quarter is cut off, "
                                           f"since no bucket has their shape: {names_of(cut)}.", tuple(cut)))
    small = [picture.path for picture, fit in zip(pictures, fits, strict=True)
             if fit.resized_width > _ENLARGED_MUCH * picture.width]
    if small:
        problems.append(Problem("warning", f"{count_of(len(small), 'image')} less than half the training size; "
                                           f"enlarged they are blurred: {names_of(small)}.", tuple(small)))
    lone = [bucket for bucket, count in buckets.items() if count == 1]
    if len(buckets) > 3 and len(lone) > len(buckets) / 2:
        problems.append(Problem("note", f"{len(lone)} of {len(buckets)} buckets hold a single image. Sets do better "
                                        "when most images share a bucket or the buckets are evenly filled."))
    weighted = [picture.path for picture in pictures if picture.weight != (picture.own.loss_weight or 1)]
    if weighted:
        problems.append(Problem("note", f"{count_of(len(weighted), 'image')} with a loss weight of "
                                        f"{'its' if len(weighted) == 1 else 'their'} own: {names_of(weighted)}.",
                                tuple(weighted)))
    shared = [path for path, count in Counter(picture.caption_path for picture in pictures).items() if count > 1]
    if shared:
        problems.append(Problem("note", f"{count_of(len(shared), 'caption file')} used by more than one image, since "
                                        f"their names differ in the ending only: {names_of(shared)}.", tuple(shared)))
    return problems


def _about_regularization(dataset: Dataset) -> list[Problem]:
    """A note on how many regularization images are used, and how often they are seen."""
    if not dataset.regularization:
        return []
    used = balanced(dataset.pictures, dataset.regularization)
    seen, own = (sum(picture.repeats for picture in pictures) for pictures in (used, dataset.pictures))
    return [Problem("note", f"{len(used)} of {count_of(len(dataset.regularization), 'regularization image')} are "
                            f"used: {count_of(seen, 'image')} seen per epoch, next to {own} of yours.")]


def _about_tag(dataset: Dataset, settings: DatasetSettings) -> list[Problem]:
    """A warning about captions that do not begin with the trigger word."""
    tag = settings.activation_tag.strip()
    if not tag:
        return []
    without = [picture.path for picture in dataset.pictures if picture.caption_source == "file"
               and split_tags(plain_caption(picture, settings), settings.caption_separator)[:1] != [tag]]
    if not without:
        return []
    return [Problem("warning", f"{count_of(len(without), 'caption')} without the trigger word {tag!r} in the first "
                               f"place: {names_of(without)}.", tuple(without))]


def _thumbnail(picture: Picture, fit: Fit, folder: Path) -> dict[str, Any]:
    return {"path": _relative(picture.path, folder), "width": picture.width, "height": picture.height,
            "caption": picture.caption, "caption_source": picture.caption_source,
            "bucket": [fit.bucket.width, fit.bucket.height],
            "crop": [round(side, 1) for side in fit.kept_of(picture.width, picture.height)]}


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
