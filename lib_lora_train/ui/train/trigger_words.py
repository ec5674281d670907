"""The trigger word of a dataset folder: set by the user, otherwise taken from runs, captions or the folder's name."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...config.load import read_file
from ...errors import TrainLoraError, WriteError
from ...runs.folder import TRAIN, all_runs
from .dataset_store import DatasetStore, KnownFolder, same_folder

YOU, RUN, CAPTIONS, FOLDER = "you", "run", "captions", "folder"
NEARLY_ALL = 0.8
_MOST_RUNS = 100
_LONGEST_TAG_OF_ONE = 3


@dataclass(frozen=True)
class TriggerWord:
    """A word, its source (``you``, ``run``, ``captions`` or ``folder``), and a sentence about the source."""

    word: str
    source: str
    text: str


class TriggerWords:
    """The trigger words of all folders. Thread-safe."""

    def __init__(self, store: DatasetStore, runs: Path) -> None:
        self._store = store
        self._runs = runs
        self._lock = threading.Lock()
        self._of_runs: dict[str, tuple[str, str, str]] = {}
        self.recent = store.recent
        self.set_word = store.set_word

    def of(self, folder: Path, guesses: Mapping[str, Any], images: Sequence[str]) -> dict[str, Any]:
        """Return ``{word, source, text, others, problem}`` for ``folder`` and mark it as used.

        ``guesses`` are those of ``overview.trigger_guesses``, ``images`` are paths of its images inside it. ``others``
        are alternatives. ``problem`` is a sentence if nothing can be stored.
        """
        try:
            known, problem = self._store.use(folder, images), self._store.problem
        except WriteError as error:
            known, problem = self._store.known(folder), f"The trigger word of this folder cannot be kept. {error}"
        found = self._found(known, guesses)
        offered = [one for one in found if one is not None]
        if known.word is not None:
            said = "Set by you for this folder." if known.word else "You left it empty for this folder."
            chosen = TriggerWord(known.word, YOU, said)
        else:
            chosen = next(iter(offered), TriggerWord("", "", ""))
        others: list[TriggerWord] = []
        for one in [*offered, *_only_offered(folder, guesses)]:
            if one.word.casefold() not in {chosen.word.casefold(), *(other.word.casefold() for other in others)}:
                others.append(one)
        return {**asdict(chosen), "others": [asdict(one) for one in others], "problem": problem}

    def _found(self, known: KnownFolder, guesses: Mapping[str, Any]) -> list[TriggerWord | None]:
        """Return the candidates, best first.

        A run's word is outdated, and comes second, if no caption starts with it and the captions agree on another.
        """
        captions, folder = _of_captions(guesses), _of_folder(guesses)
        run = self._of_run(known)
        first = {tag.casefold() for tag, _ in guesses["first_tags"]}
        outdated = run is not None and captions is not None and run.word.casefold() not in first
        return [captions, run, folder] if outdated else [run, captions, folder]

    def _of_run(self, known: KnownFolder) -> TriggerWord | None:
        """Return the word of the newest training run on the folder, under any of its names."""
        for run in itertools.islice((run for run in all_runs(self._runs) if run.command == TRAIN), _MOST_RUNS):
            folder, word, name = self._job_of(run.id, run.job_file)
            if word and any(same_folder(folder, one) for one in (known.folder, *known.was)):
                return TriggerWord(word, RUN, f"Trigger word of the last run on this folder, {name or run.id}.")
        return None

    def _job_of(self, run_id: str, file: Path) -> tuple[str, str, str]:
        """Return folder, trigger word and LoRA name of a run's job, read once; empty if unreadable."""
        with self._lock:
            if run_id not in self._of_runs:
                try:
                    job = read_file(file)
                except (TrainLoraError, OSError):
                    job = {}  # a damaged run is reported in the list of runs
                dataset, save = _group(job, "dataset"), _group(job, "save")
                self._of_runs[run_id] = (str(dataset.get("train_data_dir") or ""),
                                         str(dataset.get("activation_tag") or "").strip(),
                                         str(save.get("output_name") or ""))
            return self._of_runs[run_id]


def _group(job: Any, name: str) -> Mapping[str, Any]:
    group = job.get(name) if isinstance(job, Mapping) else None
    return group if isinstance(group, Mapping) else {}


def _of_captions(guesses: Mapping[str, Any]) -> TriggerWord | None:
    files = guesses["files"]
    tag, count = guesses["first_tags"][0] if guesses["first_tags"] else ("", 0)
    alone = files == 1 and len(tag.split()) > _LONGEST_TAG_OF_ONE
    if not tag or alone or count < NEARLY_ALL * files:
        return None
    how_many = "the only caption" if files == 1 else f"all {files:,} captions" if count == files else \
        f"{count:,} of {files:,} captions"
    return TriggerWord(tag, CAPTIONS, f"First {guesses['unit']} of {how_many}.")


def _of_folder(guesses: Mapping[str, Any]) -> TriggerWord | None:
    concept = guesses["concept"]
    return TriggerWord(concept, FOLDER, f"From the folder {guesses['concept_folder']}.") if concept else None


def _only_offered(folder: Path, guesses: Mapping[str, Any]) -> list[TriggerWord]:
    """Return words too uncertain to be used unasked: the folder's own name, and the first of several words."""
    if guesses["concept"]:
        first = guesses["concept"].split()[0]
        return [TriggerWord(first, FOLDER, f"First word of the folder {guesses['concept_folder']}.")]
    return [TriggerWord(folder.name, FOLDER, "The folder's name.")] if folder.name and guesses["concepts"] == 1 else []
