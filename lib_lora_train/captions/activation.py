"""Checks of the trigger word, and of elements that should be controllable by their tag."""

from __future__ import annotations

from dataclasses import dataclass

from .editor.index import Caption, EditorIndex
from .patterns import whole_words
from .tags import plain

_FEW = 3


@dataclass(frozen=True)
class OnOff:
    """The number of images with and without an element, and advice."""

    tag: str
    on: int
    off: int
    advice: str


def not_first(index: EditorIndex, tag: str) -> list[int]:
    """The images whose caption does not begin with the trigger word; prose only has to contain it."""
    key = plain(tag)
    return [number for number, entry in index.entries.items()
            if key and not entry.caption.problem and not _begins_with(entry.caption, key, tag)]


def on_and_off(index: EditorIndex, tag: str) -> OnOff:
    """Count the images with and without ``tag``; an element is only controllable if the set has enough of both."""
    key = plain(tag)
    counted = index.all & ~index.without_caption
    on = (index.bits_of(key) & counted).bit_count()
    off = counted.bit_count() - on
    return OnOff(tag, on, off, _advice(tag, on, off))


def _advice(tag: str, on: int, off: int) -> str:
    if not on:
        return f"No caption has {tag}."
    if not off:
        return (f"Every image has {tag}, so it becomes a part of what is learned as a whole. To be able to leave it "
                "out, add images without it; otherwise its tag can as well go.")
    if on < _FEW:
        return f"Only {on} with {tag}: too few to learn it apart. Add images that show it, or drop the tag."
    if off < _FEW:
        return f"Only {off} without {tag}: it will be hard to leave out. Add images without it, edited ones will do."
    return f"Shown with and without {tag}, so that it can be asked for and left out."


def _begins_with(caption: Caption, key: str, tag: str) -> bool:
    if caption.prose:
        return whole_words(key).search(caption.line) is not None
    return bool(caption.tags) and plain(caption.tags[0]) == key
