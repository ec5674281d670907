"""Trainings of this extension that the webui's run folder does not know, such as one on the command line."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import psutil

_MODULE, _LAUNCHER = "lib_lora_train", "launch_worker.py"
_QUICK = "--check"


def trainings_elsewhere(known: Collection[int]) -> list[str]:
    """Workers of this user outside the processes ``known`` and their children, each as "a training (process 123)"."""
    found = []
    for process in psutil.process_iter(["pid", "ppid", "cmdline"]):
        words = process.info["cmdline"] or []
        if is_training(words) and not {process.info["pid"], process.info["ppid"]} & set(known):
            found.append(f"a training in another program (process {process.info['pid']})")
    return found


def is_training(words: list[str]) -> bool:
    """Whether a command line is that of a worker that trains."""
    named = [number for number, word in enumerate(words)
             if Path(word).name == _LAUNCHER or (word == _MODULE and number and words[number - 1] == "-m")]
    return bool(named) and words[named[0] + 1:named[0] + 2] == ["train"] and _QUICK not in words
