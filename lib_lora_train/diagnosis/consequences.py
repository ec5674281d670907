"""What follows from what the base knows: the word to take, the words to avoid, and how long to train (the guide)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..advice.steps import (
    FEWEST_IMAGES_SEEN,
    HALF,
    IMAGES_SEEN_FROM_SCRATCH,
    IMAGES_SEEN_IF_KNOWN,
    KNOWN,
    UNKNOWN,
    UNSURE,
    USUAL_IMAGES_SEEN,
    images_seen_for,
    propose_length,
)
from ..runs.diagnosis.knows import TRAIT, TRIGGER, Word
from .verdicts import Verdict

_RANK = {KNOWN: 3, HALF: 2, UNKNOWN: 1, UNSURE: 1}


@dataclass(frozen=True)
class Consequences:
    """``sentences`` in the order of importance, and ``settings`` of the form that follow from them."""

    sentences: list[str]
    settings: dict[str, Any]
    word: str
    images_seen: int
    epochs: int


def consequences_of(found: Sequence[tuple[Word, Verdict]], images_per_epoch: int) -> Consequences:
    """What follows for a set of ``images_per_epoch`` images times repeats."""
    names = [(word, verdict) for word, verdict in found if word.kind != TRAIT]
    traits = [(word, verdict) for word, verdict in found if word.kind == TRAIT]
    best = _best(names)
    level = best[1].level if best is not None else UNSURE
    images_seen = images_seen_for(level, [verdict.level for _, verdict in traits])
    length = propose_length(images_per_epoch, images_per_epoch, images_seen)
    settings: dict[str, Any] = {"training.max_train_epochs": length.epochs, "training.max_train_steps": None}
    sentences = []
    if best is not None:
        sentences.append(_about_word(*best))
        if best[0].kind != TRIGGER:
            settings["dataset.activation_tag"] = best[0].text
            sentences.append(f"The captions need {best[0].text} in the first place, too.")
    sentences += _to_avoid(names, best)
    sentences.append(_about_length(level, images_seen, length.epochs))
    sentences += _about_traits(traits)
    return Consequences(sentences, settings, "" if best is None else best[0].text, images_seen, length.epochs)


def _best(names: Sequence[tuple[Word, Verdict]]) -> tuple[Word, Verdict] | None:
    """The name that is known best among those that mean nothing else; the trigger word among equals."""
    free = [one for one in names if not one[1].means_something_else] or list(names)
    return max(free, key=lambda one: (_RANK[one[1].level], one[0].kind == TRIGGER), default=None)


def _about_word(word: Word, verdict: Verdict) -> str:
    if verdict.means_something_else:
        return (f"{word.text} means {', '.join(verdict.others)} to this checkpoint. An invented word without a meaning "
                "is easier to train; try one as a candidate.")
    if verdict.level == UNKNOWN and verdict.score is None:
        return (f"{word.text} is new to the checkpoint. Look at its images: without a tagger, whether it means "
                "something else was not measured.")
    return {KNOWN: f"Use {word.text}: the checkpoint knows it, and the LoRA builds on that.",
            HALF: f"Use {word.text}: the checkpoint half knows it, which shortens the training.",
            UNKNOWN: f"{word.text} is new to the checkpoint and means nothing else to it, so it can be the trigger "
                     "word.",
            UNSURE: f"Whether the checkpoint knows {word.text} could not be measured."}[verdict.level]


def _to_avoid(names: Sequence[tuple[Word, Verdict]], best: tuple[Word, Verdict] | None) -> list[str]:
    return [f"Avoid {word.text}: it means something else already ({', '.join(verdict.others)})."
            for word, verdict in names if verdict.means_something_else and (word, verdict) != best]


def _about_length(level: str, images_seen: int, epochs: int) -> str:
    why = {IMAGES_SEEN_IF_KNOWN: "since the subject is known already",
           FEWEST_IMAGES_SEEN: "since the subject is half known",
           IMAGES_SEEN_FROM_SCRATCH: "since most of its tags are unknown, too",
           USUAL_IMAGES_SEEN: "the usual length for a new subject" + (" with known tags" if level == UNKNOWN else "")}
    return (f"Train for about {images_seen:,} images seen (steps at batch size 1), {why[images_seen]}: "
            f"{epochs} {'epoch' if epochs == 1 else 'epochs'} of this set.")


def _about_traits(traits: Sequence[tuple[Word, Verdict]]) -> list[str]:
    sentences = []
    for level, text in ((KNOWN, "The checkpoint draws {} by itself: keep these tags, they work at once."),
                        (UNKNOWN, "The checkpoint does not draw {}: make sure that enough images show it and are "
                                  "tagged with it.")):
        words = [word.text for word, verdict in traits
                 if verdict.level == level and verdict.score is not None and not verdict.means_something_else]
        if words:
            sentences.append(text.format(", ".join(words)))
    wrong = [f"{word.text} ({', '.join(verdict.others)})" for word, verdict in traits if verdict.means_something_else]
    if wrong:
        sentences.append(f"These tags mean something else to it, so another word may be better: {', '.join(wrong)}.")
    return sentences
