"""Rules of what the base model knows already: by the user's answer, or measured by "What does the base know?"."""

from __future__ import annotations

from ...config.groups.goal import CREATURE, HUMANOID, STYLE
from ..steps import FEWEST_IMAGES_SEEN, HALF, IMAGES_SEEN_IF_KNOWN, KNOWN, UNKNOWN
from .rule import IMAGES_SEEN, BaseCheck, Case, Rule

_PRIOR = "advice: Prior training"
_STEPS = "advice: Number of steps/epochs"
_MEASURED = "this project: docs/diagnosis.md, What does the base know?"


def _check(case: Case) -> BaseCheck:
    return case.facts.checked or BaseCheck("")


def _is_subject(case: Case) -> bool:
    """Whether the length depends on what is known: the published lengths of styles do not."""
    return case.goal.kind != STYLE


def _why(case: Case) -> str:
    check = _check(case)
    return f"{check.reason} ({check.measured})"


def _longer_if_new(case: Case) -> int:
    """The images to see for a measured unknown word; a creature that is made humanoid is trained briefly anyway."""
    now: int = case.values[IMAGES_SEEN]
    return now if case.goal.kind == CREATURE and case.goal.made_into == HUMANOID else max(now, _check(case).images_seen)


def _about_new(case: Case) -> str:
    images_seen = _longer_if_new(case)
    length = (f"it takes {images_seen:,} images seen, since most of its tags are unknown too." if
              images_seen > case.values[IMAGES_SEEN] else "the length is not shortened.")
    return f"{_check(case).word} is unknown to the base model, so {length} {_why(case)}"


KNOWLEDGE = (
    Rule("known", "the base model knows it, by your answer", lambda case: bool(case.goal.known) and _is_subject(case),
         "The base model knows it already, so 800 images seen are enough; some well known characters took only 300.",
         f"{_PRIOR}; {_STEPS}", lambda case: {IMAGES_SEEN: FEWEST_IMAGES_SEEN}),
    Rule("measured-known", "the trigger word is known, by a check", lambda case: case.measured_level == KNOWN
         and _is_subject(case),
         lambda case: f"The base model knows {_check(case).word}, so {IMAGES_SEEN_IF_KNOWN} images seen are enough. "
                      f"{_why(case)}", f"{_PRIOR}; {_MEASURED}", lambda case: {IMAGES_SEEN: IMAGES_SEEN_IF_KNOWN}),
    Rule("measured-half", "the trigger word is half known, by a check", lambda case: case.measured_level == HALF
         and _is_subject(case),
         lambda case: f"The base model half knows {_check(case).word}, so {FEWEST_IMAGES_SEEN} images seen are enough. "
                      f"{_why(case)}", f"{_PRIOR}; {_STEPS}; {_MEASURED}",
         lambda case: {IMAGES_SEEN: FEWEST_IMAGES_SEEN}),
    Rule("measured-unknown", "the trigger word is unknown, by a check", lambda case: case.measured_level == UNKNOWN
         and _is_subject(case), _about_new, f"{_STEPS}; {_MEASURED}",
         lambda case: {IMAGES_SEEN: _longer_if_new(case)}),
    Rule("known-tags", "the base model knows it, by your answer", lambda case: bool(case.goal.known)
         and not _check(case).better,
         "Use the tags that the base model knows it by, unless you want something else on purpose.", _PRIOR, todo=True),
    Rule("take-word", "a check found a name that the base model knows better", lambda case: bool(_check(case).better),
         lambda case: _to_take(_check(case)), f"{_PRIOR}; {_MEASURED}", todo=True),
    Rule("avoid-meaning", "a check found that the trigger word means something else",
         lambda case: bool(_check(case).means),
         lambda case: f"{_check(case).word} means {', '.join(_check(case).means)} to this base model, which your "
                      "images do not show. Choose another trigger word, such as an invented one.",
         f"{_PRIOR}; {_MEASURED}", todo=True),
    Rule("avoid-words", "a check found names that mean something else", lambda case: bool(_check(case).avoid),
         lambda case: f"Avoid as the trigger word: {', '.join(_check(case).avoid)}.", f"{_PRIOR}; {_MEASURED}",
         todo=True),
    Rule("new-tags", "a check found tags that the base model does not draw", lambda case: bool(_check(case).new_tags),
         lambda case: f"The base model does not draw {', '.join(_check(case).new_tags)}: make sure that enough images "
                      "show it and are tagged with it.", _MEASURED, todo=True),
)


def _to_take(check: BaseCheck) -> str:
    instead = f" in place of {check.word}" if check.word else ""
    known = "knows" if check.better_seen == IMAGES_SEEN_IF_KNOWN else "half knows"
    return (f"Use {check.better} as the trigger word{instead}, first in every caption: the base model {known} it, so "
            f"{check.better_seen} images seen are enough.")
