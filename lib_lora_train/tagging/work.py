"""The input of a tagging run: its images and captions, loaded ahead and grouped into batches."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..config.groups.dataset import DatasetSettings
from ..config.groups.tagging import IF_EMPTY, TagDatasetSettings
from ..errors import DatasetError
from ..files.confine import inside
from ..files.reading import read_file, reason
from ..pictures.caption_files import MOST_CAPTION_BYTES
from ..pictures.folders import LeftOut
from ..pictures.images import PictureError, decoded, decoding_threads
from ..pictures.problems import count_of
from ..pictures.scan import survey

Prepare = Callable[..., NDArray[np.float32]]
Given = TypeVar("Given")
Done = TypeVar("Done")


@dataclass(frozen=True)
class Item:
    """One image; ``key`` and ``caption_key`` are relative to the dataset's folder, with ``/``."""

    path: Path
    key: str
    caption_path: Path
    caption_key: str


@dataclass(frozen=True)
class Prepared:
    """A loaded image: ``pixels`` preprocessed for the tagger, or the ``problem``; neither if it was skipped.

    ``caption`` is the caption file's content just before, ``None`` if there is no file.
    """

    item: Item
    caption: bytes | None
    pixels: NDArray[np.float32] | None = None
    problem: str = ""


def list_items(settings: TagDatasetSettings, warn: Callable[[str], None]) -> tuple[Path, list[Item]]:
    """The dataset's folder with links resolved, and its images; ``warn`` takes messages on what is skipped and why.

    Raises ``DatasetError`` if the folder is missing or has no images, or none of those chosen.
    """
    folder = Path(os.path.realpath(Path(settings.train_data_dir).expanduser()))
    found = survey(DatasetSettings(train_data_dir=str(folder), caption_extension=settings.caption_extension,
                                   caption_separator=settings.caption_separator))
    items: dict[str, Item] = {}
    keys = [picture.path.relative_to(folder).as_posix() for picture in found.pictures]
    chosen = chosen_among(keys, settings.images, found.left_out, folder, warn)
    for picture, key in zip(found.pictures, keys, strict=True):
        if key not in chosen:
            continue
        item = Item(picture.path, key, picture.caption_path, picture.caption_path.relative_to(folder).as_posix())
        try:
            inside(folder, item.caption_key)
        except DatasetError as problem:
            warn(f"{item.key} is skipped: {problem}")
            continue
        other = items.setdefault(item.caption_key, item)
        if other is not item:
            warn(f"{item.key} is skipped: {other.key} has the same caption file, {item.caption_key}. Rename one.")
    if not items and settings.images:
        raise DatasetError(f"None of the chosen images is in {folder} any more. Choose them again.")
    return folder, list(items.values())


def chosen_among(there: Iterable[str], images: Iterable[str], left_out: Iterable[LeftOut], folder: Path,
                 warn: Callable[[str], None]) -> set[str]:
    """Those of the paths ``there`` that ``images`` names, with either slash; all of them if it names none.

    Paths are relative to ``folder``. ``warn`` takes messages on the folders that were left out, and on named images
    that are not there.
    """
    for left in left_out:
        if left.pictures:
            warn(f"{left.path} is skipped: {left.reason}.")
    found, named = set(there), {name.replace("\\", "/") for name in images}
    missing = sorted(named - found)
    if missing:
        warn(f"{count_of(len(missing), 'chosen image')} cannot be found in {folder} and will be skipped: "
             f"{', '.join(missing[:5])}.")
    return found & named if named else found


def has_words(content: bytes | None) -> bool:
    """Whether a caption file has any text, in any encoding."""
    return content is not None and bool(content.strip(b" \t\r\n\0\xef\xbb\xbf\xfe\xff"))


def prepare_ahead(items: Sequence[Item], prepare: Prepare, mode: str, ahead: int,
                  threads: int = 0) -> Generator[Prepared, None, None]:
    """Load the images of ``items`` in order, in threads that read up to ``ahead`` images in advance.

    With ``if-empty``, images that have a caption by now are not loaded.
    """
    workers = threads or decoding_threads()
    return in_threads(items, lambda item: _prepare(item, prepare, mode), workers, ahead + workers)


def in_threads(items: Iterable[Given], act: Callable[[Given], Done], threads: int,
               ahead: int) -> Generator[Done, None, None]:
    """``act`` of each of ``items``, in order, in ``threads`` that are up to ``ahead`` items ahead of the caller."""
    waiting: deque[Future[Done]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(act, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _prepare(item: Item, prepare: Prepare, mode: str) -> Prepared:
    try:
        caption = read_file(item.caption_path, MOST_CAPTION_BYTES)
    except FileNotFoundError:
        caption = None
    except (OSError, ValueError) as problem:
        return Prepared(item, None, problem=f"its caption {item.caption_key} cannot be read: {reason(problem)}")
    if mode == IF_EMPTY and has_words(caption):
        return Prepared(item, caption)
    try:
        with decoded(item.path) as picture:
            return Prepared(item, caption, prepare(picture))
    except PictureError as problem:
        return Prepared(item, caption, problem=problem.reason)


def in_batches(prepared: Iterator[Prepared], size: int) -> Iterator[tuple[list[Prepared], list[Prepared]]]:
    """Batches of up to ``size`` images to tag, each with the images skipped since the last batch."""
    batch: list[Prepared] = []
    passed: list[Prepared] = []
    for one in prepared:
        (batch if one.pixels is not None else passed).append(one)
        if len(batch) == size or len(passed) >= 100:
            yield batch, passed
            batch, passed = [], []
    if batch or passed:
        yield batch, passed
