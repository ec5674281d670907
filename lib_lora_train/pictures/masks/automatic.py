"""One way to make a mask by any method, for a run and for the preview of one image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from ...config.groups.masking import BORDER, FACE, MaskMethodSettings
from ...errors import ConfigError
from ..faces import FaceDetector
from .border import border_mask
from .head import head_mask
from .shape import Levels, finished

Model = Callable[[Image.Image, float], Levels]
"""A model's mask of an RGB image at a threshold, at any resolution in the image's shape."""


def made_mask(settings: MaskMethodSettings, picture: Image.Image, path: Path, faces: FaceDetector | None = None,
              model: Model | None = None) -> Image.Image:
    """The mask of ``picture``, the decoded file ``path``, by the method of ``settings``: mode L, of the image's size.

    ``face`` needs ``faces`` and ``subject`` a ``model``. Raises ``NoMaskError`` if no mask can be made of this image.
    """
    if settings.method == BORDER:
        levels = border_mask(picture, settings.tolerance, settings.enclosed)
    elif settings.method == FACE and faces is not None:
        levels = head_mask(picture.size, faces.find(path, picture), settings.head_factor)
    elif model is not None:
        levels = model(picture, settings.threshold)
    else:
        raise ConfigError(f"mask.method is {settings.method}, which needs more than the image. Make the masks in a "
                          "run.")
    return finished(levels, picture.size, settings.grow, settings.feather)
