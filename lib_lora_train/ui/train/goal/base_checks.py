"""What a check of the base found out about the trigger word of the form, and why a result is not used."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ....advice.goals.rule import BaseCheck
from ....advice.steps import HALF, KNOWN, UNKNOWN, UNSURE, images_seen_for
from ....config.job import Job
from ....errors import TrainLoraError
from ....files.json_file import DamagedFileError
from ....runs.diagnosis.knows import CANDIDATE, TRAIT, TRIGGER, read_result
from ....runs.folder import KNOWS, RunFolder, all_runs
from ...access import dataset_folder
from ...services import Services
from ..knows.results import changes_since

_CHECKS_READ = 20
_BETTER = {KNOWN: 2, HALF: 1}


def base_check_of(services: Services, job: Job) -> tuple[BaseCheck | None, str]:
    """Return the newest result that holds for the checkpoint, images and trigger word of ``job``, ``None`` without
    one, and why a newer one is not used, as a sentence; empty if there is none to mention.
    """
    unused = ""
    for run, result in _results(services, job):
        why = _why_not(services, job, run, result)
        if not why:
            return _found(result, job.dataset.activation_tag), unused
        unused = unused or f"A check of what the base model knows ({_when(result)}) is not used: {why}"
    return None, unused


def _results(services: Services, job: Job) -> Iterator[tuple[RunFolder, Mapping[str, Any]]]:
    """The results of checks on the folder of ``job``, newest first."""
    if not job.dataset.train_data_dir:
        return
    try:
        folder = str(dataset_folder(services.host, job.dataset.train_data_dir))
    except TrainLoraError:
        return  # the form says why
    checks = [run for run in all_runs(services.runs_dir) if run.command == KNOWS]
    for run in checks[:_CHECKS_READ]:
        try:
            result = read_result(run)
        except (OSError, DamagedFileError):
            continue  # it has no result, or its window says that it cannot be read
        if result.get("folder") == folder:
            yield run, result


def _why_not(services: Services, job: Job, run: RunFolder, result: Mapping[str, Any]) -> str:
    made_with = str(result.get("checkpoint"))
    if made_with != job.base.checkpoint:
        return f"it was made with {Path(made_with).name}, and the form has {Path(job.base.checkpoint).name or 'none'}."
    word = job.dataset.activation_tag.strip()
    if word and _word(result, word) is None:
        return f"it did not try the trigger word {word}."
    changed = changes_since(services, run, result)
    return f"{' '.join(changed)} Check again." if changed else ""


def _words(result: Mapping[str, Any], *kinds: str) -> list[Mapping[str, Any]]:
    words = result.get("words")
    return [one for one in words if isinstance(one, Mapping) and one.get("kind") in kinds] if isinstance(
        words, list) else []


def _word(result: Mapping[str, Any], word: str) -> Mapping[str, Any] | None:
    return next((one for one in _words(result, TRIGGER, CANDIDATE)
                 if str(one.get("word")).casefold() == word.casefold()), None)


def _found(result: Mapping[str, Any], trigger_word: str) -> BaseCheck:
    traits = _words(result, TRAIT)
    levels = [_level(one) for one in traits]
    own = _word(result, trigger_word.strip()) or {"word": "", "level": UNSURE}
    level = _level(own)
    free = [one for one in _words(result, TRIGGER, CANDIDATE) if not one.get("means_something_else")]
    best = max(free, key=lambda one: _BETTER.get(_level(one), 0), default=own)
    is_better = _BETTER.get(_level(best), 0) > _BETTER.get(level, 0) or (
        bool(own.get("means_something_else")) and _level(best) in _BETTER)
    others = [one for one in _words(result, TRIGGER, CANDIDATE) if one.get("means_something_else") and one is not own]
    return BaseCheck(
        _measured(result), str(own["word"]), level, str(own.get("reason") or ""), images_seen_for(level, levels),
        str(best.get("word")) if is_better else "",
        images_seen_for(_level(best), levels) if is_better else 0,
        _names(own) if own.get("means_something_else") else (),
        tuple(f"{one.get('word')} ({', '.join(_names(one))})" for one in others),
        tuple(str(one.get("word")) for one in traits if _level(one) == UNKNOWN and one.get("score") is not None
              and not one.get("means_something_else")))


def _level(word: Mapping[str, Any]) -> str:
    level = word.get("level")
    return level if level in (KNOWN, HALF, UNKNOWN) else UNSURE


def _names(word: Mapping[str, Any]) -> tuple[str, ...]:
    others = word.get("others")
    return tuple(str(one) for one in others) if isinstance(others, list) else ()


def _measured(result: Mapping[str, Any]) -> str:
    images = result.get("images")
    tagger = Path(str(result.get("tagger") or "")).name
    by = f"tagged by {tagger}" if tagger else "without a tagger"
    return (f"What does the base know?, {_when(result)}, on {Path(str(result.get('checkpoint'))).name}, "
            f"{len(images) if isinstance(images, list) else 0} of your images, {by}")


def _when(result: Mapping[str, Any]) -> str:
    created = result.get("created")
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(created if isinstance(created, (int, float)) else 0))
    except (ValueError, OverflowError, OSError):  # a time that no clock has shown
        return "at an unknown time"
