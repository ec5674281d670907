"""Caption files and the tags in them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import DatasetError
from ..files.atomic import write_atomically
from ..files.confine import open_file
from ..files.writing import cannot_write

MOST_CAPTION_BYTES = 1 << 16
"""A text encoder reads some 200 words. What is a hundred times as long is no caption, and would hold everything up."""


def too_large(name: str, size_bytes: int) -> str:
    """Why a caption of that size is not used, and what to do."""
    return (f"{name} has {size_bytes / 1024:,.1f} KB of text; a caption may have {MOST_CAPTION_BYTES // 1024} KB. "
            "Shorten it in a text editor, or move the file away.")


def read_caption(path: Path) -> str:
    """The whole text of a caption file, which is UTF-8 with or without a byte order mark.

    Raises ``DatasetError`` that names the file and the first byte that is not UTF-8, or its size if it is too large.
    """
    try:
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(MOST_CAPTION_BYTES)
    except OSError as problem:
        raise DatasetError(f"The caption file {path} cannot be read: {problem.strerror}.") from problem
    if size > MOST_CAPTION_BYTES:
        raise DatasetError(f"The caption file {too_large(str(path), size)}")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in data:
        raise DatasetError(f"The caption file {path} is UTF-16 or no text at all. Save it again as UTF-8.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise DatasetError(
            f"The caption file {path} is not UTF-8: byte {problem.start + 1}, in line {line}, is "
            f"0x{data[problem.start]:02x}. Open it in an editor and save it again as UTF-8.") from problem


def write_caption(path: Path, text: str) -> None:
    """Write a caption file as UTF-8, so that a reader sees the old text or the new. Raises ``DatasetError``."""
    try:
        write_atomically(path, text)
    except OSError as problem:
        raise DatasetError(
            f"The caption file {path} cannot be written and is unchanged. {cannot_write(path, problem)}") from problem


def caption_lines(text: str) -> list[str]:
    """The lines that say something, stripped. Training uses the first, as other trainers do."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def split_tags(caption: str, separator: str) -> list[str]:
    """The tags of a caption, stripped, empty ones dropped."""
    return [tag.strip() for tag in caption.split(separator) if tag.strip()]


def join_tags(tags: Sequence[str], separator: str) -> str:
    """One caption of ``tags``: the separator is followed by one space."""
    return f"{separator.strip()} ".join(tags)
