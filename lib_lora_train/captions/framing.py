"""Tags that a crop makes wrong or right, by the part of the body that it keeps.

Where a body is, is estimated from a face, or from the caption's own framing tag. Everything here is a proposal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..pictures.caption_files import join_tags, split_tags, used_line
from ..pictures.faces import Face
from .doctor.vocabulary import FRAMINGS, SEVERAL
from .tags import is_prose, plain

_BODY = {"head": (-1.0, 0.65), "chest": (0.65, 3.0), "hips": (3.0, 4.6), "legs": (4.6, 7.6), "feet": (7.6, 8.8)}
"""Parts of a standing body: from and to, below the centre of the face, in sides of a detected face.

A detected face reaches from the brows to the chin, about 0.7 of a head; bodies are drawn 6 to 7.5 heads high.
"""

_HALF_WIDTH = 2.0
"""Half the width of a body, in the same unit."""

_GONE_BELOW = 0.25
"""A part of which less than this share is kept has left the frame."""

_WORDS = {
    ("head",): "hair bangs ahoge sidelocks braid braids ponytail twintails bun eyes eye eyebrows eyelashes pupils face "
               "mouth lips teeth fang tongue nose ears blush smile grin frown freckles beard mustache hat cap beret "
               "headwear hood helmet crown tiara halo horns glasses sunglasses eyewear eyepatch goggles earrings "
               "hairband headband hairclip hairpin headphones headdress mask makeup lipstick",
    ("chest",): "shirt blouse t-shirt jacket vest cardigan necktie bowtie collar scarf choker necklace pendant breasts "
                "cleavage collarbone shoulders shoulder sleeves sleeve bra crop_top off-shoulder cape capelet armpits "
                "neckerchief sailor_collar brooch",
    ("chest", "hips"): "sweater hoodie coat armor apron arms arm hands hand gloves bracelet wristband fingers "
                       "fingernails jewelry midriff navel stomach backpack bag",
    ("chest", "hips", "legs"): "dress kimono robe uniform bodysuit leotard swimsuit bikini jumpsuit yukata gown",
    ("hips",): "belt panties underwear waist hip hips ass crotch buckle",
    ("hips", "legs"): "skirt miniskirt pants trousers jeans shorts bloomers tail thighs thigh lap",
    ("legs",): "legs leg thighhighs pantyhose stockings tights leggings garter garters knees knee kneehighs "
               "zettai_ryouiki thigh_strap legwear standing kneeling squatting walking running",
    ("legs", "feet"): "socks",
    ("feet",): "shoes boots sandals footwear feet foot barefoot toes toenails heels sneakers loafers slippers",
}
"""The parts that words of tags are about; a tag goes by its last known word, as ``red boots`` by ``boots``."""

_OTHER_SENSES = frozenset({
    "hand on hip", "hair over shoulder", "arms behind head", "no headwear", "no shoes", "looking at another"})
"""Tags of which no single word says what they are about."""

_ENDS = (("portrait", 2.3), ("upper body", 4.2), ("cowboy shot", 6.6))
"""Framings with the head in them, and where an image of each may end, below the centre of the face."""

_CLOSE_UP_HEIGHT = 2.3
_SHOWN = {"close-up": (-0.9, 0.9), "portrait": (-1.1, 1.9), "upper body": (-1.1, 3.6), "cowboy shot": (-1.2, 5.8),
          "full body": (-1.2, 9.0)}
"""What an image with a framing tag shows from top to bottom, for images without a detected face."""

_REGIONS = {word.replace("_", " "): parts for parts, words in _WORDS.items() for word in words.split()}


class Box(NamedTuple):
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class TagProposal:
    """A tag to add or to remove after a crop, and why; ``sure``: it is chosen unless the user says otherwise."""

    tag: str
    why: str
    sure: bool = True


@dataclass(frozen=True)
class TagProposals:
    """The proposals for a crop. ``note`` says what they rest on, or why there are none."""

    remove: tuple[TagProposal, ...] = ()
    add: tuple[TagProposal, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class _Figure:
    """Where the body is: the centre of the face and the unit of ``_BODY``, in pixels of the image."""

    x: float
    y: float
    unit: float
    half_width: float

    def below_face(self, row: float) -> float:
        """A row of the image, in units below the centre of the face."""
        return (row - self.y) / self.unit


def tag_proposals(tags: Sequence[str], size: tuple[int, int], crop: Box, faces: Sequence[Face]) -> TagProposals:
    """What to change in ``tags`` when an image of ``size`` is cropped to ``crop``. ``faces`` are those of the image."""
    if crop == (0, 0, *size):
        return TagProposals()
    figure, note = _figure(tags, size, crop, faces)
    if figure is None:
        small = (crop.right - crop.left) * (crop.bottom - crop.top) < size[0] * size[1] / 6
        add = (TagProposal("close-up", "a small part of the image", False),) if small else ()
        return TagProposals((), _absent(add, tags), note)
    kept = _kept(figure, size, crop)
    framing = _framing(figure, kept, size, crop)
    gone = tuple(TagProposal(tag, f"{_words(parts)} not in the crop") for tag in tags
                 if (parts := parts_of(tag)) and all(kept.get(part, 0.0) < _GONE_BELOW for part in parts))
    stale = tuple(TagProposal(tag, f"it is now {framing}") for tag in tags
                  if framing and plain(tag) in FRAMINGS and plain(tag) != framing)
    fresh = (TagProposal(framing, "by what the crop keeps"),) if framing else ()
    fewer = _fewer_people(tags, crop, faces)
    return TagProposals((*gone, *stale, *fewer.remove), _absent((*fresh, *fewer.add), tags), note)


def with_proposals(text: str, remove: Iterable[str], add: Iterable[str], separator: str) -> str:
    """A caption's ``text`` without the tags ``remove`` and with ``add`` at the end; prose stays as it is."""
    cut = used_line(text)
    if is_prose(cut.line, separator):
        return text
    gone = {plain(tag) for tag in remove}
    kept = [tag for tag in split_tags(cut.line, separator) if plain(tag) not in gone]
    new = [tag for tag in add if plain(tag) not in {plain(other) for other in kept}]
    return text if not gone and not new else cut.with_line(join_tags([*kept, *new], separator))


def parts_of(tag: str) -> tuple[str, ...]:
    """The parts of the body that a tag is about; empty if it is about none, or about something else."""
    words = plain(tag)
    if words in _OTHER_SENSES or words in FRAMINGS:
        return ()
    pieces = [piece for piece in _without_brackets(words).split(" ") if piece]
    for start in range(len(pieces) - 1, -1, -1):
        found = _REGIONS.get(" ".join(pieces[start:start + 2])) or _REGIONS.get(pieces[start])
        if found:
            return found
    return ()


def _without_brackets(words: str) -> str:
    """``words`` without what is between the first bracket that opens and the last that closes."""
    before, opens, rest = words.partition("(")
    _, closes, after = rest.rpartition(")")
    return before + after if opens and closes else words


def _figure(tags: Sequence[str], size: tuple[int, int], crop: Box, faces: Sequence[Face]) -> tuple[_Figure | None, str]:
    """The body that the crop is about, and a sentence on how it was found."""
    if faces:
        face = max(faces, key=lambda face: (_inside(face, crop), face.side))
        return _Figure(face.x, face.y, face.side, _HALF_WIDTH * face.side), "Estimated from the face."
    framing = next((plain(tag) for tag in tags if plain(tag) in _SHOWN), None)
    if framing is None:
        return None, "No face was found and there is no tag like full body, so no tags are proposed. Check the caption."
    first, last = _SHOWN[framing]
    unit = size[1] / (last - first)
    return _Figure(size[0] / 2, -first * unit, unit, size[0] / 2), f"No face was found; estimated from “{framing}”."


def _inside(face: Face, crop: Box) -> bool:
    return crop.left <= face.x <= crop.right and crop.top <= face.y <= crop.bottom


def _kept(figure: _Figure, size: tuple[int, int], crop: Box) -> dict[str, float]:
    """The share of each part of the body in the image that the crop keeps; parts not in the image are missing.

    What is below the image counts with the lowest part in it, as a tag may be there for its upper end.
    """
    left, right = max(0.0, figure.x - figure.half_width), min(float(size[0]), figure.x + figure.half_width)
    across = max(0.0, min(right, crop.right) - max(left, crop.left)) / max(1.0, right - left)
    kept: dict[str, float] = {}
    lowest = 0.0
    for part, (first, last) in _BODY.items():
        top, bottom = (figure.y + edge * figure.unit for edge in (first, last))
        top, bottom = max(0.0, top), min(float(size[1]), bottom)
        if bottom - top >= 1:
            down = max(0.0, min(bottom, crop.bottom) - max(top, crop.top)) / (bottom - top)
            lowest = down * min(1.0, 2 * across)  # half of the width shows what someone wears
        kept[part] = lowest
    return kept


def _framing(figure: _Figure, kept: dict[str, float], size: tuple[int, int], crop: Box) -> str:
    """The framing tag that fits the crop; empty if it shows as much of the body as the image."""
    if kept["head"] < _GONE_BELOW:
        if max(kept["chest"], kept["hips"], kept["legs"]) < _GONE_BELOW:
            return "close-up"
        return "lower body" if kept["chest"] < _GONE_BELOW else "head out of frame"
    if crop.bottom >= size[1] and crop.top <= 0:
        return ""
    end = figure.below_face(crop.bottom)
    if end - max(-1.0, figure.below_face(crop.top)) <= _CLOSE_UP_HEIGHT and end < _ENDS[0][1]:
        return "close-up"
    return next((tag for tag, most in _ENDS if end <= most), "full body" if kept["feet"] >= 0.5 else "")


def _fewer_people(tags: Iterable[str], crop: Box, faces: Sequence[Face]) -> TagProposals:
    """Of several faces, only one may be left; that is never sure, since a face can be turned away."""
    if len(faces) < 2 or sum(_inside(face, crop) for face in faces) != 1:
        return TagProposals()
    several = tuple(TagProposal(tag, "one face is left", False) for tag in tags if plain(tag) in SEVERAL)
    return TagProposals(several, (TagProposal("solo", "one face is left", False),) if several else ())


def _absent(proposed: Sequence[TagProposal], tags: Iterable[str]) -> tuple[TagProposal, ...]:
    there = {plain(tag) for tag in tags}
    return tuple(proposal for proposal in proposed if proposal.tag not in there)


def _words(parts: Sequence[str]) -> str:
    names = ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
    return f"{names} {'are' if len(parts) > 1 or parts[0] in ('hips', 'legs', 'feet') else 'is'}"
