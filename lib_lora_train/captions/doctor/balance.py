"""The doctor's check of several concepts: how often each is seen, and repeats that balance them."""

from __future__ import annotations

from ...pictures.problems import count_of
from ...pictures.scan import Concept, Dataset
from ..editor.editor import CaptionEditor
from .report import Finding, Fix, Group

_UNEVEN = 1.5


def about_balance(editor: CaptionEditor, dataset: Dataset | None) -> list[Finding]:
    """Findings on concepts that are seen much more often than others, with repeats that balance them."""
    concepts = [concept for concept in (dataset.concepts if dataset is not None else ()) if concept.pictures]
    if len(concepts) < 2:
        return []
    times_seen = {concept: concept.repeats * concept.pictures for concept in concepts}
    if max(times_seen.values()) <= _UNEVEN * min(times_seen.values()):
        return [Finding("balance", "good", "The concepts are balanced",
                        f"Each is seen {min(times_seen.values())} to {max(times_seen.values())} times an epoch.")]
    proposed = balanced_repeats(concepts)
    groups = tuple(_group(editor, concept, proposed[concept]) for concept in concepts)
    most, least = max(concepts, key=times_seen.__getitem__), min(concepts, key=times_seen.__getitem__)
    return [Finding("balance", "warning", "The concepts are not balanced",
                    f"{_name(most)} is seen {times_seen[most]} times an epoch, {_name(least)} only {times_seen[least]} "
                    "times, so the first takes over. Characters should be seen about equally often, and backgrounds no "
                    "more often than characters; the program cannot tell which is which.", groups=groups)]


def balanced_repeats(concepts: list[Concept]) -> dict[Concept, int]:
    """Repeats with which every concept is seen about as often as the largest one with 1 repeat."""
    most = max(concept.pictures for concept in concepts)
    return {concept: max(1, round(most / concept.pictures)) for concept in concepts}


def _group(editor: CaptionEditor, concept: Concept, repeats: int) -> Group:
    folder = concept.folder.relative_to(editor.folder).as_posix()
    times_seen = concept.pictures * concept.repeats
    text = (f"{_name(concept)}: {count_of(concept.pictures, 'image')}, {count_of(concept.repeats, 'repeat')}, "
            f"{times_seen} times an epoch; with {count_of(repeats, 'repeat')}, {repeats * concept.pictures} times.")
    number, _, rest = concept.folder.name.partition("_")
    if repeats == concept.repeats or not number.isdecimal():
        return Group(text, ())
    return Group(text, (), (Fix(f"Use {count_of(repeats, 'repeat')}", "rename-folder", (),
                                 {"folder": folder, "name": f"{repeats}_{rest}"}),))


def _name(concept: Concept) -> str:
    return concept.name or concept.folder.name
