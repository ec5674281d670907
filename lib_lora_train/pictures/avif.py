"""The size of an AVIF image from its boxes alone, for a Pillow without AVIF, such as the webui's may be.

Follows ISO/IEC 14496-12 (boxes) and ISO/IEC 23008-12 (image items and their properties).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_HEADER_BYTES = 1 << 20
"""How much of a file is read; the ``meta`` box is at the start and takes a few kB."""

_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")


class AvifHeader(NamedTuple):
    """Upright size in pixels, and whether there is an alpha plane or an animation."""

    width: int
    height: int
    has_alpha: bool
    is_animated: bool


class _Box(NamedTuple):
    kind: bytes
    body: bytes


def read_avif_header(file: BinaryIO) -> AvifHeader:
    """Read the size of the primary item. Raises ``ValueError`` or ``OSError`` if the file has no AVIF boxes."""
    data = file.read(_HEADER_BYTES)
    try:
        return _header(data)
    except (struct.error, IndexError, StopIteration) as problem:
        raise ValueError("its AVIF boxes are cut short or damaged") from problem


def read_largest_size(file: BinaryIO) -> tuple[int, int]:
    """Width and height of the largest item in the file, (0, 0) if it declares none.

    A decoder allocates tiles, thumbnails and the alpha plane by their own sizes.
    """
    data = file.read(_HEADER_BYTES)
    sizes = [(0, 0)]
    place = data.find(b"ispe")
    while place != -1:
        if len(data) >= place + 16:
            sizes.append(struct.unpack(">II", data[place + 8:place + 16]))
        place = data.find(b"ispe", place + 4)
    return max(sizes, key=lambda size: size[0] * size[1])


def _header(data: bytes) -> AvifHeader:
    boxes = {box.kind: box.body for box in _boxes(data)}
    brand = boxes.get(b"ftyp", b"")[:4]
    if b"avi" not in boxes.get(b"ftyp", b"") or b"meta" not in boxes:
        raise ValueError("it has no AVIF boxes")
    meta = {box.kind: box.body for box in _boxes(boxes[b"meta"][4:])}
    parts = list(_boxes(meta[b"iprp"])) if b"iprp" in meta else []
    properties = [box for part in parts if part.kind == b"ipco" for box in _boxes(part.body)]
    primary = _primary_item(meta.get(b"pitm", b""))
    own = [properties[index - 1] for part in parts if part.kind == b"ipma"
           for item, indices in _associations(part.body) if item == primary
           for index in indices if 0 < index <= len(properties)]
    sizes = [struct.unpack(">II", box.body[4:12]) for box in own if box.kind == b"ispe"]
    if not sizes:
        raise ValueError("its AVIF boxes name no size")
    width, height = sizes[0]
    if any(box.kind == b"irot" and box.body[0] % 2 for box in own):
        width, height = height, width
    has_alpha = any(box.kind == b"auxC" and box.body[4:].startswith(_ALPHA) for box in properties)
    return AvifHeader(width, height, has_alpha, brand == b"avis")


def _boxes(data: bytes) -> Iterator[_Box]:
    place = 0
    while place + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[place:place + 8])
        start = place + 8
        if size == 1:
            size, = struct.unpack(">Q", data[start:start + 8])
            start += 8
        end = len(data) if size == 0 else place + size
        if end < start:
            return
        yield _Box(kind, data[start:end])
        place = end


def _primary_item(body: bytes) -> int:
    if body[:1] == b"\x00":
        return int(struct.unpack(">H", body[4:6])[0])
    return int(struct.unpack(">I", body[4:8])[0])


def _associations(body: bytes) -> Iterator[tuple[int, list[int]]]:
    """Each item of an ``ipma`` box with the 1-based indices of its properties."""
    version, wide_indices = body[0], body[3] & 1
    count, = struct.unpack(">I", body[4:8])
    place = 8
    for _ in range(count):
        item, = struct.unpack(">I" if version else ">H", body[place:place + (4 if version else 2)])
        place += 4 if version else 2
        total, indices = body[place], []
        place += 1
        for _ in range(total):
            if wide_indices:
                indices.append(struct.unpack(">H", body[place:place + 2])[0] & 0x7FFF)
            else:
                indices.append(body[place] & 0x7F)
            place += 2 if wide_indices else 1
        yield item, indices
