"""The doctor's count of what the images show: framing, views, poses, expressions, backgrounds, and parts of an outfit.

It goes by tags, those of the captions and, for what was added to an image, those that the tagger is sure of.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...pictures.problems import count_of
from ..activation import on_and_off
from ..editor.editor import CaptionEditor
from ..editor.index import Entry
from ..tags import plain
from . import vocabulary
from .report import Finding, Fix, Group, picture_finding

SURE = 0.5
"""The tagger's confidence from which a mark counts that is not in the caption."""

_MOST_OF = 0.7
_NEARLY_ALL = 0.9
_OFTEN = 0.15
_FEW = 3
_MOST_PARTS = 12
_LEAST_IMAGES = 8
"""In smaller sets a share says nothing."""

_VIDEO_SIZES = frozenset({(1920, 1080), (1280, 720), (3840, 2160), (2560, 1440), (854, 480), (848, 480), (720, 480),
                          (640, 360)})
_LEAST_LETTERS = 4
_NO_SERIES = frozenset({"image", "images", "untitled", "download", "photo", "picture", "file", "sample", "copy"})


@dataclass(frozen=True)
class Share:
    """The images ``numbers`` that show ``name``."""

    name: str
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Content:
    """What the images show of ``title``: a share for each kind that occurs, and the images that no tag says it of."""

    title: str
    shares: tuple[Share, ...]
    untagged: tuple[int, ...]


def contents(editor: CaptionEditor, trained: Sequence[int]) -> tuple[Content, ...]:
    """Framing, view, pose, expression and background of the ``trained`` images, as far as tags say.

    Only backgrounds are counted if fewer than half of the captions have a person or an animal in them.
    """
    entries = _tagged(editor, trained)
    kinds = {"Framing": vocabulary.FRAMING, "View": vocabulary.VIEW, "Pose": vocabulary.POSE,
             "Expression": vocabulary.EXPRESSION} if _shows_beings(entries) else {}
    found = (_content(title, kind, entries) for title, kind in {**kinds, "Background": vocabulary.BACKGROUND}.items())
    return tuple(content for content in found if content.shares)


def about_contents(editor: CaptionEditor, trained: Sequence[int], shown: Sequence[Content]) -> list[Finding]:
    """Findings on what the images show, from ``contents``."""
    by_title = {content.title: content for content in shown}
    entries = _tagged(editor, trained)
    found = [*_how_many(trained), *_marked(editor, trained)]
    if len(entries) >= _LEAST_IMAGES:
        found += [*_source(entries), *_poses(by_title.get("Pose"), entries), *_framing(by_title.get("Framing")),
                  *_backgrounds(by_title.get("Background"), entries), *_outfit(editor, entries)]
    return found


def _tagged(editor: CaptionEditor, trained: Sequence[int]) -> list[Entry]:
    entries = (editor.index.entries[number] for number in trained)
    return [entry for entry in entries if entry.caption.tags and not entry.caption.prose]


def _shows_beings(entries: Sequence[Entry]) -> bool:
    return 2 * sum(bool(entry.caption.keys & vocabulary.PEOPLE) for entry in entries) >= len(entries) > 0


def _content(title: str, kinds: Mapping[str, frozenset[str]], entries: Sequence[Entry]) -> Content:
    shares = [Share(name, tuple(entry.id for entry in entries if entry.caption.keys & tags))
              for name, tags in kinds.items()]
    every = frozenset().union(*kinds.values())
    return Content(title, tuple(sorted((share for share in shares if share.numbers),
                                       key=lambda share: -len(share.numbers))),
                   tuple(entry.id for entry in entries if not entry.caption.keys & every))


def _how_many(trained: Sequence[int]) -> list[Finding]:
    count = len(trained)
    if not count or count >= 100:
        return []
    if count < 10:
        return [Finding("few-images", "warning", f"{count_of(count, 'image')} are few",
                        "A character needs at least 10, better 25 to 50 of different poses, clothes and backgrounds; a "
                        "concept 50, a style 100. Crop details as images of their own, add edited ones, or take "
                        "images that an early LoRA of these draws well.")]
    enough = "a character" if count < 50 else "a character or a concept"
    return [Finding("few-images", "note", f"{count} images are enough for {enough}, few for a style",
                    "10 to 50 are common for a character, 50 to 2,000 for a concept, 100 to 4,000 for a style. More "
                    "that differ help, more of the same do not.")]


def _marked(editor: CaptionEditor, trained: Sequence[int]) -> list[Finding]:
    """Text, watermarks and borders, by the tags of captions and of the tagger."""
    confidences = editor.confidences()
    tags_of = {number: editor.index.entries[number].caption.keys | {
        tag for tag, value in confidences.of(editor.index.entries[number].path).items() if value >= SURE}
        for number in trained}
    found: list[Finding] = []
    for kind, tags in vocabulary.MARKS.items():
        seen = [number for number, own in tags_of.items() if own & tags]
        what = kind if kind == "text" else f"a {kind}"
        found += picture_finding(f"marked-{kind.split()[0]}", "note", f"{count_of(len(seen), 'image')} may have {what}",
                                 "The caption or the tagger says so. It is learned with the rest: crop it off, inpaint "
                                 "or mask it, or keep its tag so that a prompt can leave it out.", seen)
    return found


def _source(entries: Sequence[Entry]) -> list[Finding]:
    """Whether most images come from one source, by their tags, their names, or the size of video frames."""
    kinds = {name: [entry.id for entry in entries if entry.caption.keys & tags]
             for name, tags in vocabulary.SOURCES.items()}
    named: dict[str, list[int]] = {}
    for entry in entries:
        named.setdefault(_series(entry.name), []).append(entry.id)
    kinds |= {f"images named {name} …": numbers for name, numbers in named.items()
              if name and len(numbers) < len(entries)}  # a name that all have may be that of the set
    kinds["frames of a video"] = [entry.id for entry in entries if (entry.width, entry.height) in _VIDEO_SIZES]
    name, numbers = max(kinds.items(), key=lambda item: len(item[1]))
    if len(numbers) < _MOST_OF * len(entries):
        return []
    return picture_finding("one-source", "note",
                           f"{len(numbers)} of {len(entries)} images may come from one source: {name}",
                           "Its style, light and colors are learned with the subject. This is a guess by tags, names "
                           "and sizes. Add images from elsewhere, or give these a lower weight.", numbers)


def _series(name: str) -> str:
    """The words at the beginning of a file's name, before numbers; empty if they say nothing."""
    words = " ".join(re.split(r"[\d_\-\s().\[\]#]+", name.rpartition(".")[0].lower())).strip()
    return words if len(words) >= _LEAST_LETTERS and words not in _NO_SERIES else ""


def _poses(pose: Content | None, entries: Sequence[Entry]) -> list[Finding]:
    if not _shows_beings(entries):
        return []
    without = pose.untagged if pose is not None else tuple(entry.id for entry in entries)
    return picture_finding("no-pose", "note", f"{count_of(len(without), 'caption')} without a pose",
                           "If no tag says how somebody stands or sits, the poses of the set are learned as a part of "
                           "the character, and images come out alike.", without, Fix("Tag them", "tag"))


def _framing(framing: Content | None) -> list[Finding]:
    if framing is None:
        return []
    counted = len({number for share in framing.shares for number in share.numbers})
    top = framing.shares[0]
    if counted < _LEAST_IMAGES or len(top.numbers) < _MOST_OF * counted:
        return []
    near = top.name in ("close-up", "portrait", "upper body")
    way = ("Add images of the whole body, or the model guesses it." if near else
           "Add close-ups of the face and of details: Crop makes them from these images.")
    return [Finding("framing", "note", f"{len(top.numbers)} of {counted} images show the same: {top.name}",
                    f"What is rarely shown is learned badly. {way}", top.numbers)]


def _backgrounds(background: Content | None, entries: Sequence[Entry]) -> list[Finding]:
    if background is None:
        return []
    plain_ones = next((share.numbers for share in background.shares if share.name == "plain"), ())
    if len(plain_ones) < _MOST_OF * len(entries):
        return []
    said = Counter(tag for entry in entries for tag in entry.caption.tags
                   if plain(tag) in vocabulary.BACKGROUND["plain"])
    tags = [tag for tag, _ in said.most_common(5)]
    return [Finding("plain-backgrounds", "note", f"{len(plain_ones)} of {len(entries)} images have a plain background",
                    f"With {tags[0]} in most captions, images tend to come out with a plain background. Add images "
                    "with others, and put the tag into the negative prompt when you generate. Without the tag, the "
                    "background is learned as a part of the subject.", plain_ones,
                    (Fix(f"Remove {', '.join(tags)}", "apply", plain_ones, {"kind": "remove", "tags": tags}),))]


def _outfit(editor: CaptionEditor, entries: Sequence[Entry]) -> list[Finding]:
    """Parts that can be put on and off, with too few images with or without them."""
    used = Counter(plain(tag) for entry in entries for tag in entry.caption.tags
                   if plain(tag).rpartition(" ")[2] in vocabulary.GARMENTS)
    groups: list[Group] = []
    for tag, on in used.most_common():
        off = len(entries) - on
        if on < _OFTEN * len(entries) or len(groups) == _MOST_PARTS:
            break
        if off >= _FEW and on < _NEARLY_ALL * len(entries):
            continue
        without = tuple(entry.id for entry in entries if tag not in entry.caption.keys)
        groups.append(Group(f"{tag}: {on} with, {off} without. {on_and_off(editor.index, tag).advice}", without[:8],
                            (Fix("Show those without", "show", without),) if without else ()))
    if not groups:
        return []
    return [Finding("outfit", "note", f"{count_of(len(groups), 'part')} that can hardly be left out",
                    "A part of an outfit can be switched by its tag if the set shows it on and off. Edited images "
                    "will do: remove it in inpaint, and its tag from the caption.", groups=tuple(groups))]
