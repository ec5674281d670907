"""Rules of the images: how many, how good, how captioned."""

from __future__ import annotations

from ...config.groups.goal import CHARACTER, CREATURE, HUMANOID, NO_CAPTIONS, OUTFIT, POOR, PROSE, STYLE, TAGS, VEHICLE
from .rule import FEW_IMAGES, IMAGES_SEEN, OVERNIGHT_MINUTES, Case, Rule

_START = "advice: Starting settings"
_RARE = "advice: Rare character/OC HOWTO"
_SUBJECTS = (CHARACTER, CREATURE, VEHICLE)
_VERY_FEW = 10
_MANY = 50
_UNEVEN = 1.5
_WANTED = {CHARACTER: 10, CREATURE: 10, VEHICLE: 10, STYLE: 100}


def _repeats(case: Case) -> dict[str, int]:
    """The repeats that would make all concepts about as frequent as the largest."""
    most = max(case.facts.concepts.values())
    return {name: max(1, round(most / count)) for name, count in case.facts.concepts.items() if count}


def _is_uneven(case: Case) -> bool:
    counts = [count for count in case.facts.concepts.values() if count]
    return len(counts) > 1 and max(counts) > _UNEVEN * min(counts)


IMAGES = (
    Rule("rank-poor", "a subject with poor or few images", lambda case: case.poor and case.goal.kind in _SUBJECTS
         and case.values["network.network_dim"] > case.rank(64) >= _least_rank(case),
         lambda case: f"With poor or few images {case.rank(64)} at most: a higher rank would learn their flaws too.",
         f"{_START}, bad inputs", lambda case: {"network.network_dim": case.rank(64)}),
    Rule("length-poor", "a subject with poor or few images",
         lambda case: case.poor and case.goal.kind in _SUBJECTS and not case.known
         and case.goal.made_into != HUMANOID and case.values[IMAGES_SEEN] < 1600,
         lambda case: f"{_kind_of_images(case)} take longer: 1600 images seen or more.", f"{_START}, bad inputs",
         lambda case: {IMAGES_SEEN: 1600}),
    Rule("regularization", "a subject with poor images, without a regularization folder",
         lambda case: case.goal.quality == POOR and case.goal.kind in _SUBJECTS and not case.facts.regularization,
         "Make regularization images: they keep style and quirks of poor images out. It doubles the steps.",
         f"{_START}, bad inputs; advice: When to use finetune or dreambooth style", todo=True),
    Rule("grow", "a subject with fewer than 10 images",
         lambda case: 0 < case.goal.images < _VERY_FEW and case.goal.kind in _SUBJECTS,
         lambda case: f"{case.goal.images} {'image is' if case.goal.images == 1 else 'images are'} very few: 10 to 25 "
                      "are the least, 100 are ideal. Captions, Grow this set makes more from a quick LoRA.",
         f"{_RARE}; The GACHAMAX Temporary LoRA approach", todo=True),
    Rule("few-for-style", "a style with fewer than 100 images",
         lambda case: 0 < case.goal.images < _WANTED[STYLE] and case.goal.kind == STYLE,
         "A style usually takes 100 images or more; with few, check that it does not learn their subjects.",
         _START, todo=True),
    Rule("artists-mistakes", "a subject with poor images",
         lambda case: case.goal.quality == POOR and case.goal.kind in _SUBJECTS,
         "Edit or leave out images with wrong hair, eyes or clothes: such mistakes are learned.", _RARE, todo=True),
    Rule("mirror", "a subject or outfit with 30 images or fewer",
         lambda case: case.few and case.goal.kind in (*_SUBJECTS, OUTFIT),
         "Flip images doubles a small set at no cost. Turn it on if left and right are alike.",
         "advice: Augmentations", todo=True),
    Rule("balance", "several concepts of different size", _is_uneven,
         lambda case: "Balance the concepts with repeats, or the largest takes over: "
                      + ", ".join(f"{name} {count}" for name, count in _repeats(case).items()) + ".",
         "advice: Multiple concept support", todo=True),
    Rule("prose", "captions in sentences", lambda case: case.goal.captions == PROSE,
         "Sentences are not lists of tags, so nothing is shuffled.", "this project: advice of Shuffle tags",
         lambda case: {"dataset.shuffle_caption": False}),
    Rule("shuffle", "captions of tags", lambda case: case.goal.captions in ("", TAGS),
         "Tags in a new order each time are learned one by one; the trigger word stays first.",
         "advice: sample scripts, --shuffle_caption --keep_tokens=1",
         lambda case: {"dataset.shuffle_caption": True, "dataset.keep_tokens": 1}),
    Rule("no-captions", "no captions", lambda case: case.goal.captions == NO_CAPTIONS and case.goal.kind != STYLE,
         "Tag the images first (Captions, Tagger): without captions prompts control less.",
         "advice: “Keyword style”", todo=True),
    Rule("trigger", "no trigger word", lambda case: not case.facts.trigger_word and case.goal.kind != STYLE,
         "Give a trigger word, and put it first in every caption.", "advice: When to tag characters/styles", todo=True),
    Rule("hold-out", "50 images or more, and a night",
         lambda case: case.goal.images >= _MANY and (case.goal.minutes or 0) >= OVERNIGHT_MINUTES,
         "One image in ten is held out, so that the best epoch can be measured in the morning.",
         "this project: docs/diagnosis.md, Which epoch", lambda case: {"dataset.validation_split": 0.1}),
)


def _least_rank(case: Case) -> int:
    return case.category.lowest_rank if case.checked_letter else 0


def _kind_of_images(case: Case) -> str:
    return "Poor images" if case.goal.quality == POOR else f"{FEW_IMAGES} images or fewer"
