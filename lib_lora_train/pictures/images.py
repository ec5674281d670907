"""Decoding of images as upright RGB, and reading of their sizes without decoding."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from os import cpu_count
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import DatasetError
from ..files.confine import open_file
from .avif import read_avif_header
from .buckets import Fit
from .limits import BUDGET, check_file, check_scans, check_size

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".avif")
SMALLEST_SIDE = 8
"""The side of one latent pixel; a smaller image has no latent."""

_FORMATS = {"PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "AVIF"}
_ORIENTATION = 0x0112
_BAND_PIXELS = 1 << 21
_TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
          5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
          8: Image.Transpose.ROTATE_90}
_SIDEWAYS = (5, 6, 7, 8)


class PictureError(DatasetError):
    """An image cannot be used; ``reason`` is a clause that can follow the file's name."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path} cannot be used: {reason}.")


class PictureHeader(NamedTuple):
    """Size in pixels after EXIF rotation, and whether the image may have transparency."""

    width: int
    height: int
    has_alpha: bool


def is_picture_name(name: str) -> bool:
    """Whether a file name has an image extension, in any case, and is not hidden."""
    return not name.startswith(".") and name.lower().endswith(PICTURE_ENDINGS)


class Stored(NamedTuple):
    """A decoded image as it is in its file: upright, but in the file's own mode (palette, 16 bits, CMYK, alpha).

    ``format`` is Pillow's name of the file format. ``exif`` still has the orientation. ``text`` is that of a PNG file.
    ``has_deep_colours``: the file has 16 bits per colour, of which Pillow reads 8.
    """

    picture: Image.Image
    format: str
    exif: Image.Exif
    text: Mapping[str, str]
    is_lossless_webp: bool
    has_deep_colours: bool


def read_header(path: Path, file: BinaryIO | None = None) -> PictureHeader:
    """Read an image's size without decoding it; ``file`` is ``path``, if already open.

    Raises ``PictureError`` if it cannot be trained on.
    """
    try:
        if path.suffix.lower() == ".avif" and not _avif_is_readable():
            with _source(path, file) as source:
                check_file(source)
                avif = read_avif_header(source)
            check_size(avif.width, avif.height)
            _refuse_animation(path, avif.is_animated)
            header = PictureHeader(avif.width, avif.height, avif.has_alpha)
        else:
            with _open(path, file) as picture:
                header = _header_of(picture)
    except ValueError as problem:
        raise PictureError(path, str(problem)) from problem
    except OSError as problem:
        raise _unreadable(path, problem) from problem
    if min(header.width, header.height) < SMALLEST_SIDE:
        raise PictureError(path, f"it is only {header.width}x{header.height} pixels")
    return header


def open_picture(path: Path, content: bytes | BinaryIO | None = None, at_least: int = 0) -> Image.Image:
    """Decode an image as RGB, 8 bits per channel, with EXIF rotation applied and transparency composited over white.

    ``content`` is the file, if already open or read. With ``at_least``, a JPEG may be decoded at a reduced size, with
    sides of at least that many pixels, which is several times faster. Raises ``PictureError`` if the image is
    truncated, damaged or of an unsupported kind.
    """
    with decoded(path, content, at_least) as picture:
        return picture


@contextmanager
def decoded(path: Path, content: bytes | BinaryIO | None = None, at_least: int = 0) -> Iterator[Image.Image]:
    """As ``open_picture``, but holds the pixel budget until the block is left, so that other decoders wait.

    Reduce large images inside the block, to limit the pixels in memory to the budget.
    """
    with _upright(path, content, at_least) as picture:
        yield _over_white(picture)


@contextmanager
def decoded_with_mask(path: Path, content: bytes | BinaryIO | None = None
                      ) -> Iterator[tuple[Image.Image, Image.Image | None]]:
    """As ``decoded``, with the alpha channel (mode L, 255 is opaque) if the image has one."""
    with _upright(path, content) as picture:
        yield _over_white(picture), picture.getchannel("A") if picture.mode == "RGBA" else None


@contextmanager
def _upright(path: Path, content: bytes | BinaryIO | None, at_least: int = 0) -> Iterator[Image.Image]:
    """The decoded image as RGB or RGBA, upright."""
    with _open(path, content) as picture, BUDGET.of(picture.width * picture.height):
        with _damage_named(path, picture):
            orientation = _orientation(picture)  # before decoding, for the same result as in ``read_header``
            if picture.format in ("JPEG", "MPO"):
                _refuse_many_scans(path, picture)
                if at_least:
                    picture.draft(None, (at_least, at_least))
            upright = _turned(_eight_bit(picture), orientation)
        yield upright


@contextmanager
def as_stored(path: Path, content: bytes) -> Iterator[Stored]:
    """The image in the file ``content``, for editing; holds the pixel budget. Raises ``PictureError``."""
    with _open(path, content) as picture, BUDGET.of(picture.width * picture.height):
        with _damage_named(path, picture):
            orientation = _orientation(picture)
            if picture.format in ("JPEG", "MPO"):
                _refuse_many_scans(path, picture)
            picture.load()
            stored = Stored(_turned(picture, orientation), str(picture.format), Image.Image.getexif(picture),
                            dict(getattr(picture, "text", {})), content[12:16] == b"VP8L" or b"VP8L" in content[:64],
                            content[:4] == b"\x89PNG" and content[24] == 16 and content[25] in (2, 4, 6))
        yield stored


def as_rgb(picture: Image.Image) -> Image.Image:
    """A decoded image as RGB, 8 bits per channel, with transparency composited over white."""
    return _over_white(_eight_bit(picture))


@contextmanager
def _damage_named(path: Path, picture: Image.Image) -> Iterator[None]:
    """Raise what decoding ``picture`` raises as ``PictureError``."""
    try:
        yield
    except MemoryError as problem:
        raise PictureError(path, f"its {picture.width}x{picture.height} pixels do not fit into memory") from problem
    except (ValueError, SyntaxError, struct.error, EOFError) as problem:
        raise PictureError(path, f"it is damaged ({problem})") from problem
    except OSError as problem:
        raise _unreadable(path, problem) from problem


def read_picture_file(path: Path) -> bytes:
    """The whole file, if it is not too large. Raises ``PictureError``."""
    try:
        with open_file(path) as file:
            check_file(file)
            return file.read()
    except ValueError as problem:
        raise PictureError(path, str(problem)) from problem
    except OSError as problem:
        raise _unreadable(path, problem) from problem


def fit_to_bucket(picture: Image.Image, fit: Fit) -> Image.Image:
    """Scale to cover the bucket (Lanczos, with antialiasing) and crop to the centre."""
    if picture.size != (fit.resized_width, fit.resized_height):
        picture = picture.resize((fit.resized_width, fit.resized_height), Image.Resampling.LANCZOS)
    return picture if picture.size == (fit.bucket.width, fit.bucket.height) else picture.crop(fit.crop)


def check_pictures(paths: Sequence[Path], progress: Callable[[int, int], None] | None = None,
                   threads: int | None = None) -> list[PictureError]:
    """Decode every image fully and return an error for each damaged one, in the order of ``paths``.

    ``progress(done, total)`` is called in the calling thread.
    """
    problems = []
    with ThreadPoolExecutor(threads or decoding_threads()) as pool:
        for done, problem in enumerate(pool.map(_problem_with, paths), start=1):
            if problem is not None:
                problems.append(problem)
            if progress is not None:
                progress(done, len(paths))
    return problems


def damaged_pictures_error(problems: Iterable[PictureError]) -> DatasetError:
    """A single error that lists all damaged images."""
    lines = [f"{problem.path}: {problem.reason}" for problem in problems]
    pictures = "1 image" if len(lines) == 1 else f"{len(lines)} images"
    return DatasetError(f"{pictures} cannot be decoded. Save {'it' if len(lines) == 1 else 'them'} again from the "
                        "original, or take out of the folder:\n" + "\n".join(lines))


def decoding_threads() -> int:
    """The number of decoding threads; Pillow releases the GIL while decoding."""
    return max(2, min(8, cpu_count() or 1))


def _problem_with(path: Path) -> PictureError | None:
    try:
        open_picture(path)
    except PictureError as problem:
        return problem
    return None


def _source(path: Path, content: bytes | BinaryIO | None) -> BinaryIO:
    if content is None:
        return open_file(path)
    return BytesIO(content) if isinstance(content, bytes) else content


@contextmanager
def _open(path: Path, content: bytes | BinaryIO | None = None) -> Iterator[Image.Image]:
    """The image, checked but not decoded. Raises ``PictureError``."""
    if path.suffix.lower() == ".avif" and not _avif_is_readable():
        raise PictureError(path, "this Python's Pillow cannot read AVIF; the training itself can")
    try:
        source = _source(path, content)
    except OSError as problem:
        raise _unreadable(path, problem) from problem
    try:
        with _checked(path, source) as picture:
            yield picture
    finally:
        if source is not content:
            source.close()


def _checked(path: Path, source: BinaryIO) -> Image.Image:
    Image.init()
    try:
        check_file(source)
        picture = Image.open(source, formats=[kind for kind in _FORMATS if kind in Image.OPEN])
        check_size(*picture.size)
    except OSError as problem:
        raise _unreadable(path, problem) from problem
    except ValueError as problem:
        raise PictureError(path, str(problem)) from problem
    except Image.DecompressionBombError as problem:
        raise PictureError(path, "it has more pixels than can be opened safely; save a smaller copy") from problem
    except (SyntaxError, struct.error, EOFError, TypeError, KeyError, IndexError, MemoryError) as problem:
        raise PictureError(path, f"its header is damaged ({problem})") from problem
    _refuse_animation(path, picture.format != "MPO" and getattr(picture, "n_frames", 1) > 1)
    return picture


def _refuse_many_scans(path: Path, picture: Image.Image) -> None:
    file = getattr(picture, "fp", None)
    if file is not None and picture.info.get("progressive"):
        place = file.tell()
        file.seek(0)
        content = file.read()
        file.seek(place)
        try:
            check_scans(content)
        except ValueError as problem:
            raise PictureError(path, str(problem)) from problem


def _refuse_animation(path: Path, is_animated: bool) -> None:
    if is_animated:
        raise PictureError(path, "it is animated; save the frame you want as PNG")


def _avif_is_readable() -> bool:
    if ".avif" not in Image.registered_extensions():
        try:
            import pillow_avif  # noqa: F401 - registers AVIF with a Pillow that lacks it
        except ImportError:
            return False
    return ".avif" in Image.registered_extensions()


def _header_of(picture: Image.Image) -> PictureHeader:
    width, height = picture.size
    if _orientation(picture) in _SIDEWAYS:
        width, height = height, width
    return PictureHeader(width, height, picture.mode in ("RGBA", "LA", "PA", "La", "RGBa")
                         or "transparency" in picture.info)


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation, 1 if there is none or the metadata is damaged (viewers do not rotate it then, either).

    Deliberately calls the base class's method: PNG's decodes the whole image to find EXIF after the pixels, which is
    ignored here.
    """
    try:
        found = Image.Image.getexif(picture).get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return 1
    return found if found in _TURNS else 1


def _turned(picture: Image.Image, orientation: int) -> Image.Image:
    return picture.transpose(_TURNS[orientation]) if orientation in _TURNS else picture


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Decode the image as RGB, or as RGBA if it has transparency."""
    picture.load()
    if hasattr(picture, "_decoder"):
        picture._decoder = None  # WebP's decoder would keep two more copies of the image
    if picture.mode.startswith("I"):
        return _scaled_from_sixteen_bits(picture)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        return picture.convert("RGBA")
    return picture.convert("RGB")


def _scaled_from_sixteen_bits(picture: Image.Image) -> Image.Image:
    """Convert 16-bit grey; Pillow's conversion would clip instead of scale."""
    levels = np.asarray(picture)
    eight_bit = np.empty(levels.shape, np.uint8)
    for rows in _bands(picture.size):
        eight_bit[rows] = (levels[rows].astype(np.int64).clip(0, 65535) + 128) // 257
    clear = picture.info.get("transparency")
    if not isinstance(clear, int):
        return Image.fromarray(eight_bit).convert("RGB")
    alpha = Image.fromarray(np.where(levels == clear, np.uint8(0), np.uint8(255)))
    return Image.merge("LA", (Image.fromarray(eight_bit), alpha)).convert("RGBA")


def _over_white(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture
    whole = Image.new("RGB", picture.size)
    for rows in _bands(picture.size):
        band = picture.crop((0, rows.start, picture.width, rows.stop))
        white = Image.new("RGBA", band.size, (255, 255, 255, 255))
        whole.paste(Image.alpha_composite(white, band).convert("RGB"), (0, rows.start))
    return whole


def _bands(size: tuple[int, int]) -> list[slice]:
    """The rows of an image in bands, to limit the memory of intermediate results."""
    width, height = size
    rows = max(1, _BAND_PIXELS // max(1, width))
    return [slice(top, min(height, top + rows)) for top in range(0, height, rows)]


def _unreadable(path: Path, problem: OSError) -> PictureError:
    if isinstance(problem, UnidentifiedImageError):
        return PictureError(path, "it is not an image, or its beginning is damaged")
    if problem.errno is not None:
        return PictureError(path, f"it cannot be read: {problem.strerror}")
    return PictureError(path, f"it is truncated or damaged ({problem})")
