"""The input of a tagging run: its images and captions, loaded ahead and grouped into batches."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..config.groups.dataset import DatasetSettings
from ..config.groups.tagging import IF_EMPTY, TagDatasetSettings
from ..errors import DatasetError
from ..files.confine import inside
from ..files.reading import read_file, reason
from ..pictures.caption_files import MOST_CAPTION_BYTES
from ..pictures.images import PictureError, decoded, decoding_threads
from ..pictures.problems import count_of
from ..pictures.scan import survey

Prepare = Callable[..., NDArray[np.float32]]


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
    for left in found.left_out:
        if left.pictures:
            warn(f"{left.path} is skipped: {left.reason}.")
    items: dict[str, Item] = {}
    chosen = {name.replace("\\", "/") for name in settings.images}
    missing = chosen - {picture.path.relative_to(folder).as_posix() for picture in found.pictures}
    if missing:
        names = ", ".join(sorted(missing)[:5])
        warn(f"{count_of(len(missing), 'chosen image')} cannot be found in {folder} and will be skipped: {names}.")
    for picture in found.pictures:
        if chosen and picture.path.relative_to(folder).as_posix() not in chosen:
            continue
        item = Item(picture.path, picture.path.relative_to(folder).as_posix(), picture.caption_path,
                    picture.caption_path.relative_to(folder).as_posix())
        try:
            inside(folder, item.caption_key)
        except DatasetError as problem:
            warn(f"{item.key} is skipped: {problem}")
            continue
        other = items.setdefault(item.caption_key, item)
        if other is not item:
            warn(f"{item.key} is skipped: {other.key} has the same caption file, {item.caption_key}. Rename one.")
    if not items and chosen:
        raise DatasetError(f"None of the chosen images is in {folder} any more. Choose them again.")
    return folder, list(items.values())


def has_words(content: bytes | None) -> bool:
    """Whether a caption file has any text, in any encoding."""
    return content is not None and bool(content.strip(b" \t\r\n\0\xef\xbb\xbf\xfe\xff"))


def prepare_ahead(items: Sequence[Item], prepare: Prepare, mode: str, ahead: int,
                  threads: int = 0) -> Generator[Prepared, None, None]:
    """Load the images of ``items`` in order, in threads that read up to ``ahead`` images in advance.

    With ``if-empty``, images that have a caption by now are not loaded.
    """
    workers = threads or decoding_threads()
    waiting: deque[Future[Prepared]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(_prepare, item, prepare, mode))
                if len(waiting) > ahead + workers:
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
