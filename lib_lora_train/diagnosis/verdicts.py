"""How well the base knows a word, from what comes out of it and from the loss of the set's images.

Pictures. ``w`` is a tagger's confidence for a tag in images of the word, ``b`` in images of the prompt alone with the
same noise, ``s`` in the set's own images, each the median over images, since one lucky image decides a mean. The share
of the way from b to s that the word goes, (w - b) / (s - b) from 0 to 1, is the score of a tag. That of a name is the
mean over every tag that tells the set from the prompt alone, weighted by s - b.

Loss. The gain of a word is the mean of (e - l) / mean(e) over images, e with an empty caption and l with the word
alone, on the same noise. Its certainty is t of a paired test over images: mean / (deviation / √images).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..advice.steps import HALF, KNOWN, UNKNOWN, UNSURE
from ..captions.tags import plain

AGAINST = "against"
FROM_KNOWN, FROM_HALF = 0.6, 0.3
"""The least scores of a known and a half known word."""
_SEEN = 0.35
"""A tag of the set: at least this confidence, as taggers' usual threshold."""
_TELLS = 0.2
"""A tag tells the set from the prompt alone if the confidences differ by this much."""
_RISES, _ABSENT = 0.25, 0.15
"""A tag that comes out with a word has risen by this much; one below the other is not in the set."""
_MOST_TAGS = 6
_FEWEST_IMAGES = 3
_CERTAIN, _LIKELY = 3.0, 2.0
_CLEAR_GAIN, _SMALL_GAIN = 0.02, 0.005


@dataclass(frozen=True)
class Tagged:
    """Confidences of images, float32 (images, tags), for ``names``, which are without underscores."""

    names: tuple[str, ...]
    confidences: NDArray[np.float32]

    def of(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """The median over the images ``rows``; (tags,)."""
        return np.asarray(np.median(self.confidences[list(rows)], axis=0), np.float32)


@dataclass(frozen=True)
class Seen:
    """Median confidences of a word's images, of the prompt alone, and of the set's images; each (tags,)."""

    names: tuple[str, ...]
    word: NDArray[np.float32]
    alone: NDArray[np.float32]
    set: NDArray[np.float32]

    def risen(self) -> list[tuple[str, float, float]]:
        """The tags that come out with the word: name, with it, without it; most risen first."""
        rise = self.word - self.alone
        places = [place for place in np.argsort(-rise, kind="stable") if rise[place] >= _RISES]
        return [(self.names[place], round(float(self.word[place]), 3), round(float(self.alone[place]), 3))
                for place in places[:_MOST_TAGS]]

    def others(self) -> list[str]:
        """Those of ``risen`` that the tagger is sure of, and that the set does not show."""
        in_set = dict(zip(self.names, self.set, strict=True))
        return [name for name, word, _ in self.risen() if word >= _SEEN and in_set[name] < _ABSENT]


@dataclass(frozen=True)
class Gain:
    """The share of the loss that a word saves, how certain that is (t), and on how many images."""

    share: float
    certainty: float
    images: int


@dataclass(frozen=True)
class Verdict:
    """``level`` is ``known``, ``half``, ``unknown``, or ``unsure`` if nothing could be measured.

    ``score`` is that of the pictures, ``None`` without. ``others`` are tags that come out and are not in the set.
    """

    level: str
    score: float | None
    gain: Gain | None
    others: tuple[str, ...] = ()
    reason: str = ""

    @property
    def means_something_else(self) -> bool:
        """Whether the word draws other things than the set shows."""
        return bool(self.others) and self.level != KNOWN


def score_of_tag(seen: Seen, tag: str) -> float | None:
    """The score of one tag; ``None`` if the tagger does not know it, or does not see it in the set."""
    key = plain(tag)
    place = next((place for place, name in enumerate(seen.names) if plain(name) == key), None)
    if place is None or seen.set[place] < _SEEN:
        return None
    way = float(seen.set[place] - seen.alone[place])
    if way < _TELLS:
        return 1.0  # it comes out without being asked for
    return float(np.clip((seen.word[place] - seen.alone[place]) / way, 0, 1))


def score_of_name(seen: Seen) -> float | None:
    """The score of a name; ``None`` if no tag tells the set from the prompt alone."""
    way = np.where(seen.set >= _SEEN, seen.set - seen.alone, 0)
    telling = way >= _TELLS
    if not telling.any():
        return None
    shares = np.clip((seen.word - seen.alone)[telling] / way[telling], 0, 1)
    return float((shares * way[telling]).sum() / way[telling].sum())


def gain_of(empty: NDArray[np.float64], with_word: NDArray[np.float64]) -> Gain | None:
    """The gain from the losses of the same images, (images,) each; ``None`` with fewer than three images."""
    if len(empty) < _FEWEST_IMAGES:
        return None
    gains = (empty - with_word) / empty.mean()
    spread = float(gains.std(ddof=1)) / len(gains) ** 0.5
    return Gain(float(gains.mean()), float(gains.mean()) / max(spread, 1e-9), len(gains))


def verdict(kind_is_trait: bool, word: str, seen: Seen | None, gain: Gain | None) -> Verdict:
    """The verdict on one word.

    The pictures decide. The loss decides without them, raises an unknown word to half known if it certainly explains
    the images, and lowers a known one if it certainly does not.
    """
    score = None if seen is None else score_of_tag(seen, word) if kind_is_trait else score_of_name(seen)
    by_loss = _level_of_loss(gain)
    if score is None:
        level = UNKNOWN if by_loss == AGAINST else by_loss
        if seen is not None and level == UNKNOWN:
            level = UNSURE  # the images show something that the tagger has no word for
    else:
        level = KNOWN if score >= FROM_KNOWN else HALF if score >= FROM_HALF else UNKNOWN
        if (level, by_loss) in ((UNKNOWN, KNOWN), (KNOWN, AGAINST)):
            level = HALF
    others = () if seen is None else tuple(seen.others())
    found = Verdict(level, score, gain, others)
    return dataclasses.replace(found, reason=_reason(found, kind_is_trait, word, seen))


def _level_of_loss(gain: Gain | None) -> str:
    if gain is None:
        return UNSURE
    if gain.certainty >= _CERTAIN and gain.share >= _CLEAR_GAIN:
        return KNOWN
    if gain.certainty <= -_CERTAIN and gain.share <= -_CLEAR_GAIN:
        return AGAINST
    return HALF if gain.certainty >= _LIKELY and gain.share >= _SMALL_GAIN else UNKNOWN


def _reason(found: Verdict, is_trait: bool, word: str, seen: Seen | None) -> str:
    parts = []
    if found.score is not None:
        parts.append(f"the tagger finds {word} {found.score:.0%} as strongly as in your images" if is_trait else
                     f"{found.score:.0%} of what your images show comes out with the word alone")
    elif seen is not None:
        parts.append(f"the tagger does not find {word} in your images, so look at these" if is_trait else
                     "the tagger finds nothing in your images that the prompt alone does not give, so look at these")
    if found.gain is not None:
        gain = found.gain
        less = "lower" if gain.share >= 0 else "higher"
        sure = "" if abs(gain.certainty) >= _LIKELY else ", which may be chance"
        change = f"{abs(gain.share):.1%}"
        parts.append(f"as a caption, it makes the loss of {gain.images} of your images {change} {less} than no caption"
                     f"{sure}" if change != "0.0%" else
                     f"as a caption, it makes no difference to the loss of {gain.images} of your images")
    if found.others:
        parts.append(f"it gives {', '.join(found.others)}, which your images do not show")
    text = "; ".join(parts) or "nothing could be measured"
    return f"{text[:1].upper()}{text[1:]}."
