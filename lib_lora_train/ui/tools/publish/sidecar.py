"""The webui's sidecar of a LoRA: what the card would change there, and writing what the user has ticked."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ....errors import RunError
from ..card import card_of, change_card, keep_preview, preview_of
from .choices import CardChoices
from .facts import LoraStory
from .tested import Tested
from .text import license_name, one_line

_LABELS = {"activation_text": "Activation text", "preferred_weight": "Preferred weight", "sd_version": "SD version",
           "description": "Description", "notes": "Notes"}
COVER = "cover"


@dataclass(frozen=True)
class SidecarChange:
    """A field of the webui's card: its value now, empty if none, and its value afterwards."""

    name: str
    label: str
    before: str
    after: str


def sidecar_changes(lora: Path, choices: CardChoices, story: LoraStory, tests: Tested) -> list[SidecarChange]:
    """What the card would change in the ``.json`` beside ``lora``; fields for which it has no value stay."""
    now = card_of(lora)["values"]
    wanted = {"activation_text": one_line(choices.trigger),
              "preferred_weight": f"{tests.strength:g}" if tests.strength is not None else "",
              "sd_version": story.version, "description": choices.description.strip(),
              "notes": _notes(choices, story, tests)}
    return [SidecarChange(name, _LABELS[name], _shown(name, now[name]), value) for name, value in wanted.items()
            if value and value != now[name]]


def write_sidecar(lora: Path, changes: Sequence[SidecarChange], before: Mapping[str, str],
                  cover: bytes | None) -> list[str]:
    """Write those of ``changes`` that the user has ticked and, if given, the image ``cover`` as the preview.

    ``before`` has the values that the user saw. Returns the new names of earlier previews. Raises ``RunError`` if
    another value is there by now, and ``CheckpointError``, ``ConfigError`` and ``WriteError`` as the webui's card does.
    """
    chosen = {change.name: change for change in changes if change.name in before}
    for name, seen in before.items():
        if name not in chosen:
            raise RunError(f"{_LABELS.get(name, name[:100])} is already as on the card, or is not part of it. Open the "
                           "card again.")
        if chosen[name].before != seen:
            raise RunError(f"{chosen[name].label} was changed meanwhile: it is now {chosen[name].before[:200]!r}. "
                           "Nothing was written. Look at the differences again.")
    if chosen:
        change_card(lora, {name: float(change.after) if name == "preferred_weight" else change.after
                           for name, change in chosen.items()})
    return keep_preview(lora, base64.b64encode(cover).decode("ascii")) if cover is not None else []


def has_preview(lora: Path) -> bool:
    """Whether the webui shows an image for ``lora`` already."""
    return preview_of(lora) is not None


def _shown(name: str, value: str) -> str:
    return "" if name == "preferred_weight" and value == "0" else value


def _notes(choices: CardChoices, story: LoraStory, tests: Tested) -> str:
    lines = [f"{row.label}: {row.value}" for row in story.settings]
    if story.base:
        lines.insert(0, f"Trained on {story.base}")
    lines += [*tests.best, *([f"Tested on {', '.join(tests.bases)}"] if tests.bases else [])]
    if name := license_name(choices):
        lines.append(f"License: {one_line(name)}")
    return "\n".join(lines)
