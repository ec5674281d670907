"""Which images show a thing untagged, always or seldom, and what that means for a LoRA that draws it unasked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...pictures.folders import REGULARIZATION_FOLDER
from ...pictures.problems import count_of
from ..confidences import Confidences
from ..doubtful import is_said
from ..editor.index import EditorIndex, Entry
from ..patterns import whole_words
from ..tags import plain

SHOWN_FROM = 0.5
"""The tagger's confidence from which an image counts as showing a thing; the doctor uses the same."""

NEARLY_ALL = 0.9
FEW = 3
"""So many images with a thing, and so many without it, are needed to learn it apart from the rest."""

_MOST_TOGETHER = 3


@dataclass(frozen=True)
class Shown:
    """An image that shows the thing, and how sure the tagger is of it; ``None`` if the tagger does not see it."""

    number: int
    confidence: float | None


@dataclass(frozen=True)
class TagCause:
    """Why ``tag`` may be drawn unasked.

    ``kind``: ``absent`` (no image shows it), ``untagged`` (images show it without the tag), ``always`` (nearly every
    image has it), ``together`` (it comes with the tags ``together`` of the prompt), ``few`` or ``apart`` (it is tagged,
    and can be left out). ``text`` says so in sentences. ``unknown`` are the images without the tagger's confidences.
    """

    tag: str
    kind: str
    text: str
    images: int
    untagged: tuple[Shown, ...]
    tagged: tuple[Shown, ...]
    together: tuple[str, ...]
    unknown: tuple[int, ...]


def trained_entries(index: EditorIndex) -> list[Entry]:
    """The images that a training of the folder sees: not those for regularization, or with 0 repeats."""
    return [entry for entry in index.entries.values()
            if entry.folder.partition("/")[0].lower() != REGULARIZATION_FOLDER and entry.weight.repeats]


def cause_of(index: EditorIndex, confidences: Confidences, tag: str, prompt_tags: Sequence[str],
             trigger: str) -> TagCause:
    """Why ``tag`` is drawn, by captions and by the tagger's ``confidences``.

    ``prompt_tags`` are the tags of the sample's prompt, empty if unknown; ``trigger`` is the trigger word, maybe empty.
    """
    key = plain(tag)
    entries = trained_entries(index)
    has, tagged, untagged = _captioned(key), [], []
    for entry in entries:
        sure = confidences.of(entry.path).get(key)
        if has(entry):
            tagged.append(Shown(entry.id, sure))
        elif sure is not None and sure >= SHOWN_FROM and not is_said(key, entry.caption.keys):
            untagged.append(Shown(entry.id, sure))
    untagged.sort(key=lambda one: -(one.confidence or 0.0))
    unknown = tuple(entry.id for entry in entries if entry.path not in confidences)
    shown = {one.number for one in (*tagged, *untagged)}
    prompted = [plain(one) for one in prompt_tags]
    together = _brought_by(entries, shown, key, plain(trigger), prompted)
    kind = _kind(len(entries), len(tagged), len(untagged), together)
    words = _Words(tag, trigger.strip(), len(entries), len(tagged), len(untagged), len(unknown), together,
                   key in prompted)
    return TagCause(tag, kind, " ".join(words.sentences(kind)), len(entries), tuple(untagged), tuple(tagged), together,
                    unknown)


def counts_of(index: EditorIndex, confidences: Confidences, tags: Sequence[str]) -> dict[str, tuple[int, int]]:
    """For each of ``tags``, the number of trained images whose caption has it, and of those that show it untagged."""
    entries = trained_entries(index)
    sure = [confidences.of(entry.path) for entry in entries]
    found = {}
    for tag in tags:
        key = plain(tag)
        has = _captioned(key)
        tagged = [has(entry) for entry in entries]
        untagged = sum(own.get(key, 0.0) >= SHOWN_FROM and not there and not is_said(key, entry.caption.keys)
                       for entry, own, there in zip(entries, sure, tagged, strict=True))
        found[tag] = sum(tagged), untagged
    return found


def _captioned(key: str) -> Callable[[Entry], bool]:
    """Whether an image's caption has the tag ``key``, or a sentence with its words."""
    words = whole_words(key)

    def has(entry: Entry) -> bool:
        if entry.caption.prose:
            return words.search(entry.caption.line) is not None
        return key in entry.caption.keys

    return has


def _brought_by(entries: Sequence[Entry], shown: set[int], key: str, trigger: str,
                prompted: Sequence[str]) -> tuple[str, ...]:
    """Tags of the prompt whose images nearly all show the thing, though not nearly all images have them.

    None if the prompt asks for the thing itself.
    """
    if key in prompted:
        return ()
    found = []
    for other in dict.fromkeys(prompted):
        has = _captioned(other)
        having = {entry.id for entry in entries if other and has(entry)}
        if other in (key, trigger) or len(having) < FEW or len(having) >= NEARLY_ALL * len(entries):
            continue
        if len(having & shown) >= NEARLY_ALL * len(having):
            found.append((len(having), other))
    return tuple(other for _, other in sorted(found, reverse=True)[:_MOST_TOGETHER])


def _kind(images: int, tagged: int, untagged: int, together: tuple[str, ...]) -> str:
    if not tagged and not untagged:
        return "absent"
    if untagged:
        return "untagged"
    if tagged >= NEARLY_ALL * images or images - tagged < FEW:
        return "always"
    if together:
        return "together"
    return "few" if tagged < FEW else "apart"


@dataclass(frozen=True)
class _Words:
    """The counts of one tag, in sentences."""

    tag: str
    trigger: str
    images: int
    tagged: int
    untagged: int
    unknown: int
    together: tuple[str, ...]
    prompted: bool

    def sentences(self, kind: str) -> list[str]:
        """What the counts mean, and what helps."""
        found = [f"The prompt asks for {self.tag}."] if self.prompted else []
        found += {"absent": self._absent, "untagged": self._untagged, "always": self._always,
                  "together": self._together, "few": self._few, "apart": self._apart}[kind]()
        if kind != "together" and self.together:
            found += self._together()
        return found

    @property
    def _whole(self) -> str:
        return self.trigger or "the subject"

    def _absent(self) -> list[str]:
        seen = "captions and the tagger" if self.unknown < self.images else "the captions"
        return [f"No image of the set shows {self.tag}, as far as {seen} can say.",
                "It may come from the base model: put it into the negative prompt. Or something alike is in the "
                "nearest images."]

    def _untagged(self) -> list[str]:
        verb = "shows" if self.untagged == 1 else "show"
        found = [f"{self.untagged} of {count_of(self.images, 'image')} {verb} {self.tag} without the tag, so it is "
                 f"learned as a part of {self._whole}. Add the tag, and it can be left out of a prompt."]
        if self.tagged + self.untagged >= NEARLY_ALL * self.images:
            found.append(f"Nearly every image shows it: add images without {self.tag} as well, or remove or mask it in "
                         "some.")
        return found

    def _always(self) -> list[str]:
        return [f"{self.tagged} of {count_of(self.images, 'image')} have the tag {self.tag}: it is always there, so it "
                f"is bound to {self._whole} and cannot be left out.",
                "Add images without it, or remove or mask it in some; edited ones will do."]

    def _together(self) -> list[str]:
        others = " and ".join(self.together)
        it = "it" if len(self.together) == 1 else "them"
        return [f"The prompt has {others}, and nearly every image with {it} shows {self.tag}, so they are learned as "
                "one. Add images that have one without the other."]

    def _few(self) -> list[str]:
        verb = "has" if self.tagged == 1 else "have"
        return [f"Only {count_of(self.tagged, 'image')} {verb} {self.tag}: too few to learn it apart.",
                "Give them less weight, mask it, or leave them out."]

    def _apart(self) -> list[str]:
        return [f"{self.tagged} of {count_of(self.images, 'image')} have the tag {self.tag}, the others are without "
                "it: enough to be left out of a prompt.",
                "Put it into the negative prompt, lower the strength of the LoRA, or take an earlier epoch."]
