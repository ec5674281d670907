"""The generated images of a run by which its saved files are judged: its samples, and the test strip of the webui.

``<run>/diagnosis/strip.json`` lists the strip's images for the worker: {"version": 1, "images": [{"path" (in the run
folder), "step", "prompt"}]}.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config.sample_prompt import read_prompt
from ...files.atomic import write_atomically
from ...files.confine import is_inside
from ...files.json_file import DamagedFileError, number, read_object, text

STRIP_IMAGES_FILE = "diagnosis/strip.json"
VERSION = 1
_MOST_BYTES = 16 << 20
_SHOWN = 3
_DIFFERENT = ("No prompt has an image of every saved file, so the files are compared by different prompts. Generate "
              "the test strip, and measure again.")
_GONE, _DAMAGED = "no longer there", "damaged"


@dataclass(frozen=True)
class GeneratedImage:
    """An image of the run folder's ``path``, generated with the file saved at ``step`` (0: none) by ``prompt``."""

    path: str
    step: int
    prompt: str


@dataclass(frozen=True)
class Generated:
    """The ``images`` to compare; ``missing`` are sentences: which cannot be compared, why, and the way out."""

    images: tuple[GeneratedImage, ...]
    missing: tuple[str, ...] = ()


def write_strip_images(folder: Path, images: Sequence[GeneratedImage]) -> None:
    """Write the list of the strip's images into the run ``folder``. Raises ``WriteError``."""
    path = folder / STRIP_IMAGES_FILE
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, json.dumps({"version": VERSION, "images": [dataclasses.asdict(one) for one in images]}))


def generated_images(folder: Path, events: Sequence[Mapping[str, Any]],
                     unreadable: Callable[[Path], bool] = lambda path: False) -> Generated:
    """The samples in ``events`` and the strip's images, of saved files and without the LoRA.

    Only prompts of which each file that has images at all has one, so that the files can be compared. ``unreadable``
    says whether an image that is there is damaged.
    """
    saved = {0, *(int(event["step"]) for event in events if event["event"] == "saved")}
    missing: list[str] = []
    samples = [GeneratedImage(str(event["path"]), int(event["step"]), read_prompt(str(event.get("prompt") or "")).text)
               for event in events if event["event"] == "sample"]
    samples = [*dict.fromkeys(samples)]  # a resumed run may report one twice
    try:
        strip = _strip_images(folder)
    except DamagedFileError as problem:
        strip = []
        missing.append(f"The test strip is not compared: {STRIP_IMAGES_FILE} cannot be read: {problem}. Measure again "
                       "in the tab, which writes it anew.")
    found: list[list[GeneratedImage]] = []
    for images in (samples, strip):
        of_saved = [one for one in images if one.step in saved]
        there = [one for one in of_saved if _is_there(folder, one.path)]
        whole = [one for one in there if not unreadable(folder / one.path)]
        missing += _lost([one for one in of_saved if one not in there], _GONE, strip=images is strip)
        missing += _lost([one for one in there if one not in whole], _DAMAGED, strip=images is strip)
        found.append(whole)
    steps = {one.step for images in found for one in images if one.step}
    common = [[one for one in images if _steps_of(one.prompt, images) >= steps] for images in found]
    if not any(common):
        missing += [_DIFFERENT] if any(found) else []
        return Generated(tuple(one for images in found for one in images), tuple(missing))
    alone = sorted({one.prompt for images in found for one in images} - {one.prompt for images in common
                                                                       for one in images})
    if alone:
        missing.append(f"Not compared, since not every saved file has an image of it: {_some(alone)}.")
    return Generated(tuple(one for images in common for one in images), tuple(missing))


def _lost(images: Sequence[GeneratedImage], how: str, *, strip: bool) -> list[str]:
    """A sentence about ``images`` that cannot be compared; none without any."""
    if not images:
        return []
    way_out = (f"{'Delete them, then generate' if how == _DAMAGED else 'Generate'} the test strip, and measure again."
               if strip else "The test strip can generate such images again; then measure again.")
    return [f"Images are {how}, and not compared: {_some([one.path for one in images])}. {way_out}"]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"“{name}”" for name in names[:_SHOWN]) + more


def _is_there(folder: Path, path: str) -> bool:
    return (folder / path).is_file() and is_inside(folder, folder / path)


def _steps_of(prompt: str, images: Sequence[GeneratedImage]) -> set[int]:
    return {one.step for one in images if one.prompt == prompt}


def _strip_images(folder: Path) -> list[GeneratedImage]:
    try:
        values = read_object(folder / STRIP_IMAGES_FILE, _MOST_BYTES)
    except FileNotFoundError:
        return []
    images = values.get("images")
    if not isinstance(images, list) or not all(isinstance(one, dict) for one in images):
        raise DamagedFileError(f"{STRIP_IMAGES_FILE} has no list of images")
    return [GeneratedImage(text(one, "path"), int(number(one, "step")), text(one, "prompt")) for one in images]
