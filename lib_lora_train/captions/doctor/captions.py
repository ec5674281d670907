"""The doctor's check of captions: missing, unreadable, too long, several lines, trigger word, repeated tags."""

from __future__ import annotations

from collections.abc import Sequence

from ...pictures.problems import count_of
from ..activation import not_first
from ..editor.editor import CaptionEditor
from ..editor.index import Entry
from ..editor.query import tokens_of
from ..tags import plain
from .report import Finding, Fix, picture_finding

LONGEST = 225
"""The most tokens that training supports."""


def about_captions(editor: CaptionEditor, activation_tag: str, max_tokens: int,
                   trained: Sequence[int]) -> list[Finding]:
    """All findings on captions; ``max_tokens`` is the training's token limit."""
    entries = [editor.index.entries[number] for number in trained]
    return [*_missing(entries, activation_tag), *_unreadable(editor), *_several_lines(entries),
            *_too_long(editor, entries, max_tokens), *_activation(editor, activation_tag, trained), *_repeated(entries)]


def _missing(entries: Sequence[Entry], activation_tag: str) -> list[Finding]:
    bare = [entry.id for entry in entries if entry.caption.is_empty]
    fixes = [Fix("Tag them", "tag")]
    if activation_tag:
        fixes.append(Fix(f"Give them the caption {activation_tag}", "apply", (),
                          {"kind": "add", "tags": [activation_tag], "place": "first"}))
    return picture_finding("no-caption", "warning", f"{count_of(len(bare), 'image')} without a caption",
                           "What is in them is learned as part of everything else, and cannot be asked for.",
                           bare, *fixes)


def _unreadable(editor: CaptionEditor) -> list[Finding]:
    broken = [entry for entry in editor.index.entries.values() if entry.caption.problem]
    foreign = [entry.id for entry in broken if entry.caption.data is not None]
    blocked = [entry for entry in broken if entry.caption.data is None]
    found = picture_finding("encoding", "error", f"{count_of(len(foreign), 'caption')} in another encoding than UTF-8",
                            "The training refuses them. They can be written again as UTF-8; look at accents and other "
                            "special signs afterwards, since the old encoding is a guess.",
                            foreign, Fix("Save them as UTF-8", "utf-8"))
    if blocked:
        found.append(Finding("blocked", "error", f"{count_of(len(blocked), 'caption')} cannot be used",
                             "They are left as they are.", tuple(entry.id for entry in blocked),
                             files=tuple((entry.path, entry.caption.problem) for entry in blocked)))
    return found


def _several_lines(entries: Sequence[Entry]) -> list[Finding]:
    several = [entry.id for entry in entries
               if len([line for line in (entry.caption.text or "").splitlines() if line.strip()]) > 1]
    return picture_finding("lines", "warning", f"{count_of(len(several), 'caption')} with more than one line",
                           "Only the first line is trained on.", several,
                           Fix("Join the lines", "apply", (), {"kind": "join_lines"}))


def _too_long(editor: CaptionEditor, entries: Sequence[Entry], limit: int) -> list[Finding]:
    long = [(count, entry) for entry in entries if (count := tokens_of(entry.caption, editor.tokens.count)) > limit]
    counted = "" if editor.tokens.exact \
        else " The number is an estimate: CLIP's tokenizer (open_clip, ftfy) is not installed here."
    most = max((count for count, _ in long), default=0)
    tags = [entry.id for _, entry in long if not entry.caption.prose]
    fixes = [Fix("Cut the last tags", "apply", tuple(tags), {"kind": "cut", "limit": limit})] if tags else []
    if limit < LONGEST:
        fixes.append(Fix(f"Train with {LONGEST} tokens", "settings", (0,), {"base.max_token_length": LONGEST}))
    return picture_finding("tokens", "warning", f"{count_of(len(long), 'caption')} over {limit} tokens",
                           f"The longest has {most}. What comes after the first {limit} is not seen in the training: "
                           f"shorten them, or let it look at more.{counted}",
                           [entry.id for _, entry in sorted(long, key=lambda item: (-item[0], item[1].path))], *fixes)


def _activation(editor: CaptionEditor, tag: str, trained: Sequence[int]) -> list[Finding]:
    if not tag.strip():
        return [Finding("activation", "note", "There is no trigger word",
                        "A rare word, first in every caption, calls up what is learned. Set it above; the doctor then "
                        "checks that it stands where it should.")]
    wanted = set(trained)
    wrong = [number for number in not_first(editor.index, tag) if number in wanted]
    return picture_finding("activation", "warning", f"{tag} is not first in {count_of(len(wrong), 'caption')}",
                           "A caption without the trigger word makes it unreliable.", wrong,
                           Fix(f"Put {tag} first", "apply", (),
                                {"kind": "add", "tags": [tag], "place": "first", "include_prose": True}))


def _repeated(entries: Sequence[Entry]) -> list[Finding]:
    twice = [entry.id for entry in entries if len({plain(tag) for tag in entry.caption.tags}) < len(entry.caption.tags)]
    return picture_finding("repeated", "note", f"{count_of(len(twice), 'caption')} with a tag twice",
                           "The second says nothing new and takes up tokens.", twice,
                           Fix("Remove duplicates", "apply", (), {"kind": "dedupe"}))
