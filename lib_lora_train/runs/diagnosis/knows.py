"""A check of what the base knows, in its run folder: the words, their images, and the result.

    pictures/00-1.png   word 0 (the prompt alone), first seed; 01-1.png is the first word's image with the same noise
    result.json         what was found: ``Found`` of ``lib_lora_train.diagnosis.knows`` as JSON
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config.groups.knows import KnowsJob
from ...files.json_file import read_object
from ..folder import RunFolder

TRIGGER, CANDIDATE, TRAIT = "trigger", "candidate", "trait"
PICTURES = "pictures"
_MOST_BYTES = 1 << 26


@dataclass(frozen=True)
class Word:
    """A word that is tried; ``kind`` is ``trigger``, ``candidate`` or ``trait``."""

    kind: str
    text: str


@dataclass(frozen=True)
class Drawing:
    """An image to generate. ``word`` counts from 1; 0 is the prompt alone."""

    word: int
    file: Path
    prompt: str
    seed: int


def words_of(job: KnowsJob) -> list[Word]:
    """The words of ``job``, each once: the trigger word, the candidates, the tags of the subject."""
    asked = [Word(TRIGGER, job.dataset.activation_tag), *(Word(CANDIDATE, word) for word in job.knows.candidates),
             *(Word(TRAIT, word) for word in job.knows.traits)]
    words: dict[str, Word] = {}
    for word in asked:
        text = word.text.strip()
        if text:
            words.setdefault(text.casefold(), Word(word.kind, text))
    return list(words.values())


def drawings_of(job: KnowsJob, run: RunFolder) -> list[Drawing]:
    """Every image of ``job``: first those of the prompt alone, then word by word, with the same seeds."""
    found = []
    for number, text in enumerate(["", *(word.text for word in words_of(job))]):
        prompt = ", ".join(part for part in (text, job.knows.prompt.strip()) if part)
        found += [Drawing(number, run.path / PICTURES / f"{number:02d}-{place + 1}.png", prompt,
                          (job.knows.seed + place) % (1 << 32)) for place in range(job.knows.images_per_word)]
    return found


def file_mark(path: Path) -> list[int]:
    """Size and time of a checkpoint, by which a change of the file is noticed; empty if it is gone."""
    try:
        state = path.stat()
    except OSError:
        return []
    return [state.st_size, state.st_mtime_ns]


def read_result(run: RunFolder) -> dict[str, Any]:
    """The result of a check. Raises ``OSError`` if there is none, ``DamagedFileError`` if it cannot be read."""
    return read_object(run.result_file, _MOST_BYTES)
