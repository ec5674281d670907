"""Images in metadata (``modelspec.thumbnail``) without what they say about themselves: camera, place, comments."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path

from ....pictures.images import PictureError, as_rgb, as_stored
from ...pictures import data_url

_QUALITY = 90
_DATA_URL = re.compile(r"data:[\w/+.;=-]*?;base64,([A-Za-z0-9+/\s]*=*\s*)")
_OF_THE_PIXELS = frozenset({"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "gamma", "transparency",
                            "adobe", "adobe_transform", "progressive", "progression", "loop", "background",
                            "timestamp", "duration", "srgb", "chromaticity", "interlace", "aspect", "sizes",
                            "icc_profile", "version", "extension"})


def is_data_url(value: str) -> bool:
    """Whether ``value`` is a data URL and nothing else, so that no path can be read in it."""
    return _DATA_URL.fullmatch(value) is not None


def clean_data_url(value: str) -> str | None:
    """Return the image ``value`` as it is if it has nothing but pixels, otherwise encoded again; ``None`` if it is no
    image that can be read.
    """
    found = _DATA_URL.fullmatch(value)
    try:
        content = base64.b64decode(found[1]) if found else b""
        with as_stored(Path("thumbnail"), content) as stored:
            about = set(stored.picture.info) - _OF_THE_PIXELS
            if not (about or stored.text or len(stored.exif)):
                return value
            small = as_rgb(stored.picture)
    except (binascii.Error, PictureError):
        return None
    small.info = {}
    return data_url(small, "PNG") if stored.format == "PNG" else data_url(small, "JPEG", quality=_QUALITY)
