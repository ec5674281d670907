"""Saving an edited image: without loss as a new file, or in its own format at the best quality."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

from PIL import Image, PngImagePlugin

from ...errors import DatasetError
from ..images import Stored

NEW_FORMAT, NEW_ENDING = "PNG", ".png"
"""New images are saved without loss."""

_JPEG_QUALITY, _LOSSY_QUALITY = 98, 100
_ORIENTATION = 0x0112
_PNG_MODES = ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")
_MODES = {"PNG": _PNG_MODES, "JPEG": ("L", "RGB", "CMYK"), "MPO": ("L", "RGB", "CMYK"), "WEBP": ("RGB", "RGBA"),
          "BMP": ("1", "L", "P", "RGB", "RGBA"), "DIB": ("1", "L", "P", "RGB", "RGBA"), "AVIF": ("RGB", "RGBA")}
_WITH_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")


def format_words(stored: Stored) -> str:
    """How an image is saved in place, as the end of "saved as …". Raises ``DatasetError`` if it cannot be."""
    kind = stored.format
    if kind == "AVIF":
        _refuse_without_avif()
        return f"AVIF at quality {_LOSSY_QUALITY}"
    if kind == "WEBP":
        return "WebP without loss" if stored.is_lossless_webp else f"WebP at quality {_LOSSY_QUALITY}"
    if kind in ("JPEG", "MPO"):
        return f"JPEG at quality {_JPEG_QUALITY}"
    return f"{'PNG' if kind == 'PNG' else 'BMP'} without loss"


def losses(stored: Stored, kind: str) -> list[str]:
    """What saving an edited image as ``kind`` loses, one sentence each."""
    found = []
    if stored.has_deep_colours:
        found.append("Its 16 bits per color become 8, which is what training uses.")
    if stored.picture.mode == "CMYK" and kind == "PNG":
        found.append("Its print colors (CMYK) become RGB.")
    if stored.format == "MPO":
        found.append("It holds several views; only the first one is kept.")
    return found


def encoded(picture: Image.Image, stored: Stored, kind: str) -> bytes:
    """The edited ``picture`` of the file ``stored`` as a file of the format ``kind``.

    Colour profile, transparency and the text in PNG files are kept; EXIF without its orientation, since the pixels are
    upright. Raises ``DatasetError`` if this Pillow cannot write it.
    """
    if kind == "AVIF":
        _refuse_without_avif()
    ready = _in_mode_for(picture, kind)
    options: dict[str, Any] = {"exif": exif} if (exif := _exif_of(stored)) and kind not in ("BMP", "DIB") else {}
    profile = stored.picture.info.get("icc_profile")
    if profile and (ready.mode == "CMYK") == (stored.picture.mode == "CMYK"):
        options["icc_profile"] = profile
    if kind == "PNG":
        options["pnginfo"] = _text_of(stored)
    elif kind in ("JPEG", "MPO"):
        kind = "JPEG"
        options |= {"quality": _JPEG_QUALITY, "subsampling": 0, "optimize": True}
    elif kind == "WEBP":
        options |= {"lossless": stored.is_lossless_webp, "quality": _LOSSY_QUALITY, "method": 4, "exact": True}
    elif kind == "AVIF":
        options["quality"] = _LOSSY_QUALITY
    content = BytesIO()
    clear = stored.picture.info.get("transparency")
    if clear is not None and kind == "PNG" and ready.mode == picture.mode == stored.picture.mode:
        options["transparency"] = clear
    ready.info = {}  # what is to be written is in ``options``
    try:
        ready.save(content, kind, **options)
    except (OSError, ValueError, struct.error) as problem:
        raise DatasetError(f"The result cannot be saved as {kind}: {problem}. Save it as a new image, or save the "
                           "original again in another program first.") from problem
    return content.getvalue()


def _in_mode_for(picture: Image.Image, kind: str) -> Image.Image:
    """``picture`` in a mode that ``kind`` can hold, as itself where possible; always a copy of its own."""
    modes = _MODES[kind]
    if picture.mode in modes:
        return picture.copy()
    has_alpha = picture.mode in _WITH_ALPHA or "transparency" in picture.info
    if has_alpha and "RGBA" in modes:
        return picture.convert("RGBA")
    return picture.convert("RGB")


def _exif_of(stored: Stored) -> bytes:
    """The EXIF data without orientation; empty if there is none, or if it is too damaged to be written again."""
    try:
        stored.exif.pop(_ORIENTATION, None)
        return stored.exif.tobytes() if len(stored.exif) else b""
    except (SyntaxError, ValueError, TypeError, KeyError, OverflowError, struct.error):
        return b""


def _text_of(stored: Stored) -> PngImagePlugin.PngInfo:
    """The text of a PNG file, such as the webui's generation parameters."""
    info = PngImagePlugin.PngInfo()
    for key, value in stored.text.items():
        info.add_text(key, value)
    return info


def _refuse_without_avif() -> None:
    if "AVIF" not in Image.SAVE:
        raise DatasetError("This Python's Pillow cannot write AVIF, so the image cannot be edited in place. Save the "
                           "result as a new image, which becomes a PNG.")
