"""Describes images with the webui's interrogator, one after the other, before the tagging run that writes the captions.

Each description is kept in the dataset's folder, so that nothing is described twice. Captions are written by the run.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...captions.descriptions import keep_descriptions, read_descriptions
from ...config.groups.dataset import DatasetSettings
from ...config.groups.tagging import IF_EMPTY
from ...config.tag_job import TagJob
from ...errors import RunError, TrainLoraError
from ...files.reading import read_file
from ...host.interface import Describer, Host
from ...pictures.caption_files import MOST_CAPTION_BYTES
from ...pictures.images import PictureError, open_picture
from ...pictures.problems import count_of
from ...pictures.scan import survey

DESCRIBING, STOPPED, FAILED, FINISHED = "describing", "stopped", "failed", "finished"
_IDLE: dict[str, Any] = {"state": "idle", "done": 0, "total": 0, "folder": "", "text": "", "run": "", "waits": False}
_KEPT_EVERY_SECONDS = 5.0
_POLL_SECONDS = 0.1


def undescribed(job: TagJob) -> dict[str, Path]:
    """The images that ``job`` needs a description of, by relative path: those it would write and that have none yet.

    Raises ``DatasetError``.
    """
    folder = Path(job.dataset.train_data_dir).resolve()
    known = read_descriptions(folder)
    chosen = {name.replace("\\", "/") for name in job.dataset.images}
    found = survey(DatasetSettings(train_data_dir=str(folder), caption_extension=job.dataset.caption_extension,
                                   caption_separator=job.dataset.caption_separator))
    wanted = {}
    for picture in found.pictures:
        key = picture.path.relative_to(folder).as_posix()
        if key in known or (chosen and key not in chosen):
            continue
        if job.write.mode == IF_EMPTY and _has_words(picture.caption_path):
            continue
        wanted[key] = picture.path
    return wanted


def _has_words(caption: Path) -> bool:
    try:
        return bool(read_file(caption, MOST_CAPTION_BYTES).strip())
    except (OSError, ValueError):
        return False  # the run reports it


@dataclass
class _Task:
    folder: Path
    pictures: Mapping[str, Path]
    describer: Describer
    then: Callable[[], str]
    state: str = DESCRIBING
    text: str = ""
    run: str = ""
    done: int = 0
    waits: bool = False
    stop: threading.Event = field(default_factory=threading.Event)


class DescribingDesk:
    """Describes the images of one dataset at a time, in a thread."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._task: _Task | None = None

    def state(self) -> dict[str, Any]:
        """Return ``state`` (idle, describing, stopped, failed, finished), ``done`` of ``total`` images, ``folder``,
        ``text`` (a sentence at the end), ``run`` (the run that was started then) and ``waits`` (for the webui).
        """
        task = self._task
        if task is None:
            return dict(_IDLE)
        return {"state": task.state, "done": task.done, "total": len(task.pictures), "folder": str(task.folder),
                "text": task.text, "run": task.run, "waits": task.waits}

    def start(self, folder: Path, pictures: Mapping[str, Path], describer: Describer, then: Callable[[], str]) -> None:
        """Describe ``pictures`` of ``folder``, and call ``then``, which starts the run and returns its id.

        Raises ``RunError`` if images are being described already.
        """
        with self._lock:
            if self._task is not None and self._task.state == DESCRIBING:
                raise RunError(f"Images in {self._task.folder} are already being described. Wait until they are "
                               "finished, or stop.")
            self._task = task = _Task(folder, pictures, describer, then)
        threading.Thread(target=self._run, args=(task,), name="train-lora-describing", daemon=True).start()

    def stop(self) -> None:
        """Stop after the current image; what is described is kept."""
        if self._task is not None:
            self._task.stop.set()

    def _run(self, task: _Task) -> None:
        try:
            skipped = self._describe(task)
            if task.stop.is_set():
                task.text = (f"Stopped: {count_of(task.done, 'image')} described, and no caption was changed. The next "
                             "run continues with the rest.")
                task.state = STOPPED
                return
            task.run = task.then()
            task.text = f"{count_of(skipped, 'image')} could not be read." if skipped else ""
            task.state = FINISHED
        except TrainLoraError as problem:
            task.text, task.state = str(problem), FAILED
        except Exception as bug:  # ours: shown where the progress would be
            logging.getLogger(__name__).exception("Images could not be described")
            task.text, task.state = f"Images could not be described: {type(bug).__name__}: {bug}.", FAILED

    def _describe(self, task: _Task) -> int:
        """Describe the images until stopped; returns the number of those that could not be read."""
        skipped, fresh, kept_at = 0, dict[str, str](), time.monotonic()
        try:
            for key, path in task.pictures.items():
                self._wait_for_webui(task)
                if task.stop.is_set():
                    break
                try:
                    fresh[key] = task.describer.describe(open_picture(path))
                except PictureError:
                    skipped += 1
                task.done += 1
                if time.monotonic() - kept_at > _KEPT_EVERY_SECONDS:
                    keep_descriptions(task.folder, fresh)
                    fresh, kept_at = {}, time.monotonic()
        finally:
            if fresh:
                keep_descriptions(task.folder, fresh)
        return skipped

    def _wait_for_webui(self, task: _Task) -> None:
        """Let everything else in the webui go first: its lock may be taken again before one who waits for it wakes."""
        while not task.stop.is_set() and self._host.gpu_is_wanted() is not None:
            task.waits = True
            task.stop.wait(_POLL_SECONDS)
        task.waits = False
