"""Fifty-six files that ask a decoder for too much, or lie about what they are; each is small."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from .making import AVIF, AVIF_ALPHA

HUGE = [(13300, 13300), (20000, 20000), (65535, 65535), (1, 2**31 - 1), (2**31 - 1, 2**31 - 1), (9460, 9460)]
STRIPS = [(8, 1000), (100000, 20), (89_000_000, 1)]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, colour: int = 6, depth: int = 8, extra: bytes = b"",
        body: bytes | None = None) -> bytes:
    """A PNG that says it has this size; its pixels are zeros, far fewer than that."""
    data = zlib.compress(bytes(100_000)) if body is None else body
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
            + extra + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def jpeg(width: int, height: int, progressive: bool = False, scans: int = 0) -> bytes:
    """A real JPEG of 64 x 64 whose frame says another size; with many ``scans``, the last is repeated."""
    out = io.BytesIO()
    Image.effect_noise((64, 64), 80).convert("RGB").save(out, "JPEG", progressive=progressive)
    data = bytearray(out.getvalue())
    place = data.find(b"\xff\xc2" if progressive else b"\xff\xc0")
    data[place + 5:place + 9] = struct.pack(">HH", height & 0xFFFF, width & 0xFFFF)
    if scans:
        start = data.rfind(b"\xff\xda")
        data = data[:-2] + bytes(data[start:-2]) * scans + b"\xff\xd9"
    return bytes(data)


def riff(kind: bytes, body: bytes) -> bytes:
    data = b"WEBP" + kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(data)) + data


def webp_extended(width: int, height: int, flags: int = 0) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return riff(b"VP8X", bytes([flags, 0, 0, 0]) + size)


def webp_lossless(width: int, height: int) -> bytes:
    return riff(b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(60))


def webp_lossy(width: int, height: int) -> bytes:
    return riff(b"VP8 ", b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(60))


def bmp(width: int, height: int, bits: int = 32, compression: int = 0, header: int = 40, colours: int = 0) -> bytes:
    head = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, 0, 0, 0, colours, 0)
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + 64, 0, 0, 14 + len(head)) + head + bytes(64)


def avif(data: bytes, width: int, height: int) -> bytes:
    """An AVIF whose boxes say another size, for the picture and its tiles alike."""
    out = bytearray(data)
    place = out.find(b"ispe")
    while place != -1:
        out[place + 8:place + 16] = struct.pack(">II", width, height)
        place = out.find(b"ispe", place + 4)
    return bytes(out)


def real(kind: str, width: int, height: int) -> bytes:
    """A whole picture of one colour: it can be decoded, if it is let."""
    out = io.BytesIO()
    Image.new("L", (width, height)).save(out, kind)
    return out.getvalue()


def hostile() -> Iterator[tuple[str, bytes]]:
    """Name and content of each."""
    for width, height in [*HUGE, *STRIPS]:
        yield f"png {width}x{height}.png", png(width, height)
    for depth, colour in ((16, 0), (16, 6), (1, 0), (8, 3)):
        yield f"png {depth} bits, colour {colour}.png", png(13300, 13300, colour, depth)
    yield "png with text that swells.png", png(64, 64, extra=chunk(
        b"zTXt", b"x\0\0" + zlib.compress(bytes(80_000_000), 9)))
    yield "png with a profile that swells.png", png(64, 64, extra=chunk(
        b"iCCP", b"x\0\0" + zlib.compress(bytes(80_000_000), 9)))
    yield "png of too little.png", png(8000, 8000)
    yield "png of nothing.png", png(8000, 8000, body=b"")
    yield "png whose second header is huge.png", png(64, 64, extra=chunk(
        b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 6, 0, 0, 0)))
    yield "png with frames.png", png(64, 64, extra=chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)))
    yield "whole.png", real("PNG", 9500, 9500)
    yield "strip.png", real("PNG", 4, 60000)
    for width, height in ((13300, 13300), (65500, 65500), (65500, 8), (9460, 9460)):
        yield f"jpeg {width}x{height}.jpg", jpeg(width, height)
        yield f"progressive {width}x{height}.jpg", jpeg(width, height, progressive=True)
    yield "jpeg in many passes.jpg", jpeg(9000, 9000, progressive=True, scans=2000)
    yield "jpeg in passes.jpg", jpeg(64, 64, progressive=True, scans=200)
    for width, height in ((16383, 16383), (13300, 13300), (16383, 16)):
        yield f"lossless {width}x{height}.webp", webp_lossless(width, height)
        yield f"lossy {width}x{height}.webp", webp_lossy(width, height)
        yield f"extended {width}x{height}.webp", webp_extended(width, height, 0x10)
    yield "extended 2^24.webp", webp_extended(2**24, 2**24)
    yield "extended animated.webp", webp_extended(16000, 16000, 0x02)
    for width, height in ((13300, 13300), (13300, -13300), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1)):
        yield f"bmp {width}x{height}.bmp", bmp(width, height)
    yield "bmp in runs.bmp", bmp(13300, 13300, 8, 1, colours=256)
    yield "bmp of a header without end.bmp", bmp(64, 64, header=2**31 - 16)
    yield "bmp of endless colours.bmp", bmp(64, 64, 8, colours=2**31 - 1)
    for width, height in ((16384, 16384), (2**31 - 1, 2**31 - 1), (30000, 100)):
        yield f"avif {width}x{height}.avif", avif(AVIF, width, height)
    yield "avif with a huge mask.avif", avif(AVIF_ALPHA, 20000, 20000)
    yield "avif called png.png", avif(AVIF, 16384, 16384)
    yield "webp called jpeg.jpg", webp_lossless(16383, 16383)
    yield "png of 60,000 texts.png", png(64, 64, extra=chunk(b"tEXt", b"a\0" + bytes(60)) * 60_000)
    yield "png of many texts that swell.png", png(64, 64, extra=chunk(
        b"zTXt", b"x\0\0" + zlib.compress(bytes(900_000), 9)) * 200)
    yield "png with international text that swells.png", png(64, 64, extra=chunk(
        b"iTXt", b"x\0\1\0\0\0" + zlib.compress(bytes(80_000_000), 9)))
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 1, 64, 64, 0, 0, 1, 1, 0, 0)) + chunk(b"fdAT", bytes(8))
    yield "png of 100,000 frames.png", png(64, 64, extra=chunk(b"acTL", struct.pack(">II", 100_000, 0)) + frame * 1000)
    yield "webp whose picture is larger than its canvas.webp", riff(
        b"VP8X", bytes(4) + (63).to_bytes(3, "little") * 2) + webp_lossless(16383, 16383)[12:]
    still = b"ANMF" + struct.pack("<I", 16) + bytes(6) + (63).to_bytes(3, "little") * 2 + bytes(4)
    yield "webp of 100,000 frames.webp", webp_extended(64, 64, 0x02) + b"ANIM" + struct.pack(
        "<I", 6) + bytes(6) + still * 100_000
    yield "webp of a length that lies.webp", b"RIFF" + struct.pack("<I", 2**32 - 2) + webp_lossless(16383, 16383)[8:]
    yield "bmp whose pixels begin nowhere.bmp", bmp(64, 64)[:10] + struct.pack("<I", 2**32 - 1) + bmp(64, 64)[14:]
    yield "gif of 100,000 frames.png", b"GIF89a" + struct.pack("<HHBBB", 64, 64, 0, 0, 0) + (
        b"\x2c" + struct.pack("<HHHHB", 0, 0, 64, 64, 0) + b"\x02\0") * 100_000 + b";"
    yield "icon.png", b"\0\0\1\0" + struct.pack("<H", 65535) + bytes(16) * 65535
    yield "jpeg of 20,000 comments.jpg", b"\xff\xd8" + (b"\xff\xfe" + struct.pack(">H", 4002) + bytes(4000)) * 20_000
    for kind, beginning in (("GIF", b"GIF89a\xff\xff\xff\xff"), ("TIFF", b"II*\0\x08\0\0\0\xff\xff"),
                            ("PSD", b"8BPS\0\1")):
        yield f"{kind} called png.png", beginning + bytes(2000)
