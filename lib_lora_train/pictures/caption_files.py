"""Caption files: bytes, text, the trained line and its tags.

Edits preserve every byte outside the edited part.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DatasetError
from ..files.confine import open_file

MOST_CAPTION_BYTES = 1 << 16
"""Text encoders read some 200 words; a file a hundred times as long is no caption, and would slow everything down."""
_BOM = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class NotTextError(DatasetError):
    """A caption file is not UTF-8; ``guess`` is its probable encoding."""

    def __init__(self, name: str, found: str, guess: str) -> None:
        """``found`` describes the problem of the file ``name``."""
        self.guess = guess
        super().__init__(f"The caption file {name} is {found}. Open it in an editor and save it again as UTF-8, or use "
                         "the doctor in the Captions tab.")


@dataclass(frozen=True)
class CaptionLine:
    """A caption's text in three parts; training uses ``line``, the first non-blank line."""

    before: str
    line: str
    after: str

    def with_line(self, line: str) -> str:
        """The whole text with ``line`` replaced."""
        return self.before + line + self.after


def too_large(name: str, size_bytes: int) -> str:
    """The message about a caption file that is too large."""
    return (f"{name} has {size_bytes / 1024:,.1f} KB of text; a caption may have {MOST_CAPTION_BYTES // 1024} KB. "
            "Shorten it in a text editor, or move the file away.")


def read_caption(path: Path) -> str:
    """The whole text of a caption file, UTF-8 with or without a byte order mark.

    Raises ``NotTextError``, or ``DatasetError`` that names the file and its size if it is too large.
    """
    try:
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(MOST_CAPTION_BYTES)
    except OSError as problem:
        raise DatasetError(f"The caption file {path} cannot be read: {problem.strerror}.") from problem
    if size > MOST_CAPTION_BYTES:
        raise DatasetError(f"The caption file {too_large(str(path), size)}")
    return text_of(data, str(path))


def text_of(data: bytes, name: str) -> str:
    """The text of a caption file's bytes, without byte order mark, line endings unchanged.

    Raises ``NotTextError`` with the position if they are not UTF-8.
    """
    if data[:2] in _UTF16_MARKS or b"\x00" in data:
        raise NotTextError(name, "UTF-16 or no text at all", "UTF-16")
    try:
        return data.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as problem:
        before = problem.start + len(data) - len(data.removeprefix(_BOM))
        line = data.count(b"\n", 0, before) + 1
        where = f"byte {before + 1}, in line {line}, is 0x{data[before]:02x}"
        raise NotTextError(name, f"not UTF-8: {where}. It looks like Windows-1252", "Windows-1252") from problem


def bytes_of(text: str, before: bytes | None) -> bytes:
    """``text`` as the file's new bytes, with the byte order mark and line endings of the old ones, ``before``.

    ``text`` may have the browser's line endings; they are converted to those of ``before`` if these are uniform.
    """
    old = before or b""
    if b"\r\n" in old and old.count(b"\r\n") == old.count(b"\n"):
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    return (_BOM if old.startswith(_BOM) else b"") + text.encode("utf-8")


def as_utf8(data: bytes, name: str) -> bytes:
    """Convert a file's bytes from another encoding to UTF-8. Raises ``DatasetError`` if they are not text."""
    try:
        return text_of(data, name).encode("utf-8")
    except NotTextError as problem:
        guess = problem.guess
    encodings = ("utf-16",) if data[:2] in _UTF16_MARKS else ("utf-16-le", "utf-16-be")
    try:
        if guess == "UTF-16":
            texts = [data.decode(encoding) for encoding in encodings]
            return min(texts, key=lambda text: sum(ord(sign) > 0xff for sign in text)).encode("utf-8")
        return data.decode("cp1252").encode("utf-8")
    except UnicodeDecodeError as problem:
        raise DatasetError(f"{name} is not text in any known encoding. Delete it or write it again.") \
            from problem


def used_line(text: str) -> CaptionLine:
    """Split ``text`` around its first non-blank line; ``before`` and ``after`` hold whitespace and other lines."""
    start = len(text) - len(text.lstrip())
    lines = text[start:].splitlines()
    end = start + len(lines[0].rstrip()) if lines else start
    return CaptionLine(text[:start], text[start:end], text[end:])


def caption_lines(text: str) -> list[str]:
    """The non-blank lines, stripped. Training uses the first, as other trainers do."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def split_tags(caption: str, separator: str) -> list[str]:
    """The non-empty tags of a caption, stripped."""
    return [tag.strip() for tag in caption.split(separator) if tag.strip()]


def join_tags(tags: Sequence[str], separator: str) -> str:
    """Join ``tags`` to a caption, with the separator followed by one space."""
    return f"{separator.strip()} ".join(tags)
