"""The card as Markdown with YAML front matter, as the Hugging Face hub reads it.

Names, prompts and metadata come from files of other people: they are written as text, never as Markdown or HTML.
Source of the fields: huggingface_hub, ``ModelCardData``, and the hub's documentation of model cards.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....config.text_yaml import write_yaml
from .choices import ADDRESSES, LICENSES, OTHER, CardChoices
from .facts import LoraStory, Source
from .paths import without_paths
from .tested import Tested

_SPECIAL = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])|:(?=//)")
_AT_THE_START = re.compile(r"^(\d{0,9})([#+=.)-])")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
_HUB_TAGS = {"SD 1.x": "stable-diffusion", "SD 2.x": "stable-diffusion", "SD 2.x 768-v": "stable-diffusion",
             "SDXL": "stable-diffusion-xl", "SSD-1B": "stable-diffusion-xl"}


@dataclass(frozen=True)
class PlacedImage:
    """An image beside the card: its relative path, label and prompt."""

    path: str
    label: str
    prompt: str


def card_text(lora: Path, choices: CardChoices, story: LoraStory, tests: Tested, cover: str,
              images: Sequence[PlacedImage]) -> str:
    """The whole card; ``cover`` is the relative path of the cover, empty for none."""
    title = choices.title or story.title
    parts = [_front_matter(choices, story, images), f"# {plain(title) or 'LoRA'}"]
    if cover:
        parts.append(f"![Cover]({cover})")
    if choices.description.strip():
        parts.append(_paragraphs(choices.description))
    parts += [_use(lora, choices, tests), _base(choices, story, tests)]
    if story.settings:
        rows = [f"| {plain(row.label)} | {plain(row.value)} |" for row in story.settings]
        parts.append("\n".join(["## Training", "", "| Setting | Value |", "|---|---|", *rows]))
    if story.missing:
        parts.append(f"The file does not say: {', '.join(story.missing)}.")
    if images:
        parts += ["## Samples", *(_sample(image) for image in images)]
    parts += [_credits(choices, story.sources), _license(choices)]
    return "\n\n".join(part for part in parts if part) + "\n"


def one_line(text: str) -> str:
    """``text`` on one line, without folders, control characters and marks that turn its direction."""
    kept = "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in text if letter not in _TURNS)
    return without_paths(" ".join(kept.split()))


def plain(text: str) -> str:
    """``text`` on one line as Markdown that shows exactly these characters."""
    escaped = _SPECIAL.sub(r"\\\g<0>", one_line(text))
    return "".join(_HTML.get(letter, letter) for letter in _AT_THE_START.sub(_start, escaped))


def _start(found: re.Match[str]) -> str:
    """The beginning of a line as text: no heading, list or rule; ``5.0`` is none of them."""
    number = found[2] in ".)" and found.string[found.end():found.end() + 1] not in ("", " ")
    return found[0] if number or bool(found[1]) != (found[2] in ".)") else f"{found[1]}\\{found[2]}"


def code(text: str) -> str:
    """``text`` on one line as a code span, whatever backticks it holds."""
    line = one_line(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    space = " " if "`" in line else ""
    return f"{fence}{space}{line}{space}{fence}" if line else ""


def license_name(choices: CardChoices) -> str:
    """The license as people call it; empty if none was chosen."""
    return choices.license_text if choices.license == OTHER else LICENSES[choices.license] if choices.license else ""


def _front_matter(choices: CardChoices, story: LoraStory, images: Sequence[PlacedImage]) -> str:
    values: dict[str, Any] = {}
    if choices.license in ADDRESSES or choices.license == OTHER:
        name = one_line(choices.license_text) if choices.license == OTHER else choices.license
        values = {"license": OTHER, "license_name": name,
                  "license_link": choices.license_link or ADDRESSES.get(choices.license)}
    elif choices.license:
        values["license"] = choices.license
    values |= {"base_model": choices.base_model or None,
               "tags": ["lora", "text-to-image", *filter(None, [_HUB_TAGS.get(story.family)])],
               "instance_prompt": one_line(choices.trigger) or None,
               "widget": [{"text": one_line(image.prompt) or "-", "output": {"url": image.path}} for image in images]}
    return f"---\n{write_yaml({name: value for name, value in values.items() if value})}---"


def _use(lora: Path, choices: CardChoices, tests: Tested) -> str:
    strength = f"{tests.strength:g}" if tests.strength is not None else "1"
    trigger = one_line(choices.trigger)
    lines = ["## How to use", "", f"- Prompt: {code(f'<lora:{lora.stem}:{strength}> {trigger}')}"]
    if trigger:
        lines.append(f"- Trigger word: {code(trigger)}")
    return "\n".join([*lines, *(f"- {plain(sentence)}" for sentence in tests.best)])


def _base(choices: CardChoices, story: LoraStory, tests: Tested) -> str:
    lines = []
    if story.base:
        lines.append(f"- Trained on {plain(story.base)}")
    if story.family:
        lines.append(f"- For {plain(story.family)}")
    if choices.base_model:
        lines.append(f"- Base model: [{plain(choices.base_model)}](https://huggingface.co/{choices.base_model})")
    if tests.bases:
        lines.append(f"- Tested on {', '.join(plain(name) for name in tests.bases)}")
    return "\n".join(["## Base model", "", *lines]) if lines else ""


def _sample(image: PlacedImage) -> str:
    prompt = code(image.prompt)
    return f"![{plain(image.label)}]({image.path})" + (f"\n\n{prompt}" if prompt else "")


def source_in_words(source: Source) -> str:
    """What is known of a source, as a line of the credits."""
    title = f" “{source.title}”" if source.title and source.title != Path(source.name).stem else ""
    author = f" by {source.author}" if source.author else ""
    license = f", license {source.license}" if source.license else ", which states no license" if source.found else ""
    return f"{source.how} {source.name}{title}{author}{license}"


def _credits(choices: CardChoices, sources: Sequence[Source]) -> str:
    lines = [f"- {plain(source_in_words(source))}" for source in sources]
    lines += [f"- {plain(line)}" for line in choices.credits.splitlines() if line.strip()]
    if choices.author.strip():
        lines.insert(0, f"- Made by {plain(choices.author)}")
    return "\n".join(["## Credits", "", *lines]) if lines else ""


def _license(choices: CardChoices) -> str:
    name = license_name(choices)
    if not name:
        return "## License\n\nNo license is stated."
    link = choices.license_link or ADDRESSES.get(choices.license, "")
    return f"## License\n\n[{plain(name)}]({link})" if link else f"## License\n\n{plain(name)}"


def _paragraphs(text: str) -> str:
    return "\n\n".join(line for part in text.splitlines() if (line := plain(part)))
