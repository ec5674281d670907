"""What the user chooses for a card, checked, and what of it is remembered for the next one."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import BaseModel, Field

from ....errors import ConfigError
from ....files.atomic import write_atomically
from ....files.json_file import DamagedFileError, read_object, text

LICENSES = {
    "": "Not chosen yet",
    "creativeml-openrail-m": "CreativeML OpenRAIL-M (Stable Diffusion 1.x)",
    "openrail++": "OpenRAIL++-M (Stable Diffusion 2.x and SDXL)",
    "faipl-1.0-sd": "Fair AI Public License 1.0-SD (Illustrious, NoobAI and others)",
    "cc0-1.0": "CC0: public domain", "cc-by-4.0": "CC BY 4.0", "cc-by-sa-4.0": "CC BY-SA 4.0",
    "cc-by-nc-4.0": "CC BY-NC 4.0: not commercial", "cc-by-nc-sa-4.0": "CC BY-NC-SA 4.0: not commercial",
    "apache-2.0": "Apache 2.0", "mit": "MIT", "other": "Another one, in your own words"}
"""Licenses by the identifier that the Hugging Face hub uses, with the name that the page shows."""
OTHER = "other"
ADDRESSES = {"faipl-1.0-sd": "https://freedevproject.org/faipl-1.0-sd/"}
"""Licenses that the hub does not list: it knows them as ``other`` with a name and an address."""
_FILE = "publish.json"
_LONGEST, _LONGEST_LINE = 20_000, 300
_MOST_IMAGES = 20
_ADDRESS = re.compile(r"https?://[^\s<>\"'`()\\]+")
_ON_THE_HUB = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


class CardChoices(BaseModel):
    """The LoRA ``name`` and what stands on its card. ``cover`` and ``images`` are ids of ``CardImage``.

    ``base_model`` is a repository of the Hugging Face hub. ``without_dataset`` leaves names of dataset folders and tag
    frequencies out of the copy.
    """

    name: str
    title: str = ""
    trigger: str = ""
    description: str = ""
    author: str = ""
    license: str = ""
    license_text: str = ""
    license_link: str = ""
    base_model: str = ""
    credits: str = ""
    cover: str = ""
    images: list[str] = Field(default_factory=list)
    without_dataset: bool = True


@dataclass(frozen=True)
class Remembered:
    """What the last card had and the next one starts with; all empty at first."""

    author: str = ""
    license: str = ""
    license_text: str = ""
    license_link: str = ""


def check_choices(choices: CardChoices) -> None:
    """Raise ``ConfigError`` that lists every value that cannot be used."""
    problems = []
    for name in ("title", "trigger", "description", "author", "license_text", "credits"):
        value = getattr(choices, name)
        most = _LONGEST if name in ("description", "credits") else _LONGEST_LINE
        if len(value) > most:
            problems.append(f"{name} has {len(value):,} characters; {most:,} are allowed. Shorten it.")
        elif any("\ud800" <= letter <= "\udfff" for letter in value):
            problems.append(f"{name} holds half a character. Type it again.")
    if choices.license not in LICENSES:
        problems.append(f"license is {choices.license[:100]!r}. Choose one of: {', '.join(filter(None, LICENSES))}.")
    if choices.license == OTHER and not choices.license_text.strip():
        problems.append("license_text is empty. Write the name of the license, or choose one of the list.")
    if choices.license_link and not (_ADDRESS.fullmatch(choices.license_link) and
                                     len(choices.license_link) <= _LONGEST_LINE):
        problems.append(f"license_link is {choices.license_link[:100]!r}. Write an address that begins with https://, "
                        "or nothing.")
    if choices.base_model and not _ON_THE_HUB.fullmatch(choices.base_model):
        problems.append(f"base_model is {choices.base_model[:100]!r}. Write it as owner/name on the Hugging Face hub, "
                        "or nothing.")
    if len(choices.images) > _MOST_IMAGES:
        problems.append(f"images: {len(choices.images)} are chosen, and {_MOST_IMAGES} are allowed. Take fewer.")
    if problems:
        raise ConfigError(problems)


def remembered(data: Path) -> Remembered:
    """Return what the last card in the folder ``data`` had; nothing if the file is missing or damaged."""
    try:
        values = read_object(data / _FILE)
        found = Remembered(*(text(values, name, "") for name in ("author", "license", "license_text", "license_link")))
    except (DamagedFileError, OSError):  # nothing is lost: the fields are empty again
        return Remembered()
    return found if found.license in LICENSES else Remembered(found.author)


def remember(data: Path, choices: CardChoices) -> None:
    """Store author and license for the next card. Raises ``WriteError``."""
    kept = Remembered(choices.author, choices.license, choices.license_text, choices.license_link)
    if kept != remembered(data):
        write_atomically(data / _FILE, json.dumps(asdict(kept)))
