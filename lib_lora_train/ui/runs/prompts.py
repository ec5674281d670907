"""The test prompts of a run: the user's own, stored with the run, otherwise those of its samples."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...config.sample_prompt import prompt_text
from ...errors import RunError
from ...files.atomic import write_atomically
from ...files.reading import read_text, reason
from ...runs.folder import RunFolder
from ...runs.job import settings_of

TRIGGER = "{trigger}"
"""Placeholder in a prompt for the trigger words of the tested LoRA."""
_FILE = "test_prompts.txt"
_NO_TRIGGER = re.compile(r"\{trigger\}\s*,?\s*")


def prompts_of(run: RunFolder) -> list[str]:
    """Return the test prompts; without any, the trigger word, if there is one.

    Raises ``RunError`` if the user's prompts cannot be read, ``ConfigError`` if the job cannot.
    """
    file = run.path / _FILE
    try:
        return lines_of(read_text(file, replace=True).splitlines())
    except FileNotFoundError:
        job = settings_of(run)
        prompts = lines_of(prompt_text(line) for line in job.sample.sample_prompts)
        return prompts or lines_of([job.dataset.activation_tag])
    except (OSError, ValueError) as problem:
        raise RunError(f"The prompts in {file} cannot be read: {reason(problem)}. Delete it, and type them again.") \
            from problem


def keep_prompts(run: RunFolder, text: str) -> None:
    """Store the user's prompts, one per line."""
    write_atomically(run.path / _FILE, text)


def lines_of(texts: Iterable[object]) -> list[str]:
    """Return each text on one line, without empty ones."""
    return [line for text in texts if (line := " ".join(str(text).split()))]


def with_trigger(prompts: Iterable[str], trigger: str) -> list[str]:
    """Return ``prompts`` with ``trigger`` for ``{trigger}``; an empty one is removed together with its comma."""
    if trigger.strip():
        return [prompt.replace(TRIGGER, trigger.strip()) for prompt in prompts]
    return lines_of(_NO_TRIGGER.sub("", prompt) for prompt in prompts)
