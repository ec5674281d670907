"""Pictures that the webui has made, as files."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..files.atomic import write_atomically
from ..files.writing import writing

_PARAMETERS = "parameters"


def keep_picture(path: Path, picture: Image.Image) -> None:
    """Write ``picture`` as PNG, with the parameters it was made with, where the webui's "PNG Info" looks for them."""
    info, data = PngInfo(), io.BytesIO()
    parameters = picture.info.get(_PARAMETERS)
    if parameters:
        info.add_text(_PARAMETERS, str(parameters))
    picture.save(data, "PNG", pnginfo=info)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data.getvalue())
