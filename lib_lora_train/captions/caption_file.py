"""A caption file as bytes and as text: what is not edited keeps its every byte."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import DatasetError

_BOM = b"\xef\xbb\xbf"


class NotTextError(DatasetError):
    """A caption file is not UTF-8; ``guess`` is the encoding that it may be in."""

    def __init__(self, name: str, guess: str) -> None:
        self.guess = guess
        super().__init__(f"{name} is not UTF-8; it looks like {guess}. The doctor can save it again as UTF-8.")


@dataclass(frozen=True)
class CaptionLine:
    """A caption's text cut in three: training uses ``line``, the first line that says something."""

    before: str
    line: str
    after: str

    def with_line(self, line: str) -> str:
        """The whole text with another line in the place of ``line``."""
        return self.before + line + self.after


def text_of(data: bytes, name: str) -> str:
    """The text of a caption file's bytes, without a byte order mark, line ends as they are.

    Raises ``NotTextError`` if they are not UTF-8.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in data:
        raise NotTextError(name, "UTF-16")
    try:
        return data.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as problem:
        raise NotTextError(name, "Windows-1252") from problem


def bytes_of(text: str, before: bytes | None) -> bytes:
    """``text`` as the file's new bytes; ``before`` are its old ones, whose mark and line ends are kept.

    ``text`` may have the browser's line ends; they become those of ``before`` where that has one kind only.
    """
    old = before or b""
    if b"\r\n" in old and old.count(b"\r\n") == old.count(b"\n"):
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    return (_BOM if old.startswith(_BOM) else b"") + text.encode("utf-8")


def as_utf8(data: bytes, name: str) -> bytes:
    """The bytes of a file that is not UTF-8, as UTF-8. Raises ``DatasetError`` if it is no text at all."""
    try:
        return text_of(data, name).encode("utf-8")
    except NotTextError as problem:
        guess = problem.guess
    encodings = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-16-le", "utf-16-be")
    try:
        if guess == "UTF-16":
            texts = [data.decode(encoding) for encoding in encodings]
            return min(texts, key=lambda text: sum(ord(sign) > 0xff for sign in text)).encode("utf-8")
        return data.decode("cp1252").encode("utf-8")
    except UnicodeDecodeError as problem:
        raise DatasetError(f"{name} is not text in any encoding that is known here. Delete it or write it anew.") \
            from problem


def used_line(text: str) -> CaptionLine:
    """Cut ``text`` around the first line that says something; ``before`` and ``after`` hold blanks and other lines."""
    start = len(text) - len(text.lstrip())
    lines = text[start:].splitlines()
    end = start + len(lines[0].rstrip()) if lines else start
    return CaptionLine(text[:start], text[start:end], text[end:])
