"""Limits on pixels and bytes of images, checked from the header before decoding, and on concurrent decoding.

The webui's X/Y/Z script disables Pillow's own limit for the whole process, and WebP and AVIF decoders allocate the
whole image when a file is opened; so sizes are checked here first.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from .avif import read_largest_size

MOST_PIXELS = 89_478_485
"""About 9,459 x 9,459, where Pillow begins to warn. Decoding to upright RGB takes up to 12 bytes per pixel."""

MOST_RATIO = 64
"""The most extreme aspect ratio: before cropping, a strip is scaled up to as many times its bucket."""

MOST_FILE_BYTES = 500 << 20
MOST_SCANS = 100
"""Scans of a progressive JPEG; each takes as long as decoding the whole image. Usual files have about ten."""

OTHER_KINDS = (
    (b"GIF8", "GIF"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"8BPS", "PSD"), (b"\0\0\1\0", "ICO"),
    (b"\0\0\0\x0cjP", "JPEG 2000"), (b"\xffO\xffQ", "JPEG 2000"), (b"%PDF", "PDF"), (b"%!PS", "PostScript"),
    (b"\xff\x0a", "JPEG XL"), (b"\0\0\0\x0cJXL ", "JPEG XL"), (b"gimp", "XCF"), (b"DDS ", "DDS"), (b"qoif", "QOI"),
    (b"icns", "ICNS"), (b"<svg", "SVG"), (b"<?xml", "SVG"), (b"PK\3\4", "ZIP"))
"""The magic bytes of unsupported file types."""


def check_file(file: BinaryIO) -> None:
    """Refuse a too large or unsupported file, without decoding. Raises ``ValueError``, the reason as a clause."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size > MOST_FILE_BYTES:
        raise ValueError(f"the file is {size >> 20} MB; {MOST_FILE_BYTES >> 20} MB can be read")
    head = file.read(30)
    kind = next((name for beginning, name in OTHER_KINDS if head.startswith(beginning)), "")
    if not kind and head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis"):
        kind = "HEIC"
    if kind:
        raise ValueError(f"it is really a {kind} file whatever its ending; save it as PNG")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        check_size(*_webp_size(head))
    elif head[4:8] == b"ftyp":
        file.seek(0)
        check_size(*read_largest_size(file))
    file.seek(0)


def check_size(width: int, height: int) -> None:
    """Refuse too many pixels or an extreme aspect ratio. Raises ``ValueError`` with the reason as a clause."""
    if width * height > MOST_PIXELS:
        raise ValueError(f"it has more pixels than can be opened safely ({width}x{height}, {MOST_PIXELS // 1_000_000} "
                         "million are the limit); save a smaller copy")
    if max(width, height) > MOST_RATIO * max(1, min(width, height)):
        raise ValueError(f"its {width}x{height} pixels are more than {MOST_RATIO} times as long as wide; cut it into "
                         "pieces")


def check_scans(content: bytes) -> None:
    """Refuse a JPEG with too many scans. Raises ``ValueError`` with the reason as a clause."""
    scans = content.count(b"\xff\xda")
    if scans > MOST_SCANS:
        raise ValueError(f"it is a JPEG in {scans} passes, which takes minutes to decode; save it again")


def _webp_size(head: bytes) -> tuple[int, int]:
    """Width and height of the canvas, from the first chunk (RFC 9649); 0 if the header is truncated or damaged."""
    kind, body = head[12:16], head[20:]
    if kind == b"VP8X" and len(body) >= 10:
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8L" and len(body) >= 5 and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and len(body) >= 10 and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


class PixelBudget:
    """Limits the number of pixels decoded concurrently in this process; further images wait."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._used = 0
        self._changed = threading.Condition()

    @contextmanager
    def of(self, pixels: int) -> Iterator[None]:
        """Hold ``pixels`` of the budget; an image that exceeds it runs alone. Must not be nested."""
        needed = min(pixels, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._used + needed <= self._most)
            self._used += needed
        try:
            yield
        finally:
            with self._changed:
                self._used -= needed
                self._changed.notify_all()


BUDGET = PixelBudget(MOST_PIXELS)
"""Shared by thumbnails, the doctor and previews; in the worker, by encoding and tagging."""
