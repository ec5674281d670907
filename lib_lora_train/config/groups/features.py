"""The fields of the description of a model of image features, a YAML file beside its ONNX file. They have no groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..setting import setting

CROP, STRETCH = "crop", "stretch"
CLIP, SIGLIP, IMAGENET = "clip", "siglip", "imagenet"


@dataclass(frozen=True)
class FeatureSettings:
    """A description. Empty fields are those of ``normalization``, which is taken from the name if it is empty."""

    normalization: str = setting("", "clip, siglip, or imagenet, which DINO has.",
                                 choices=("", CLIP, SIGLIP, IMAGENET))
    mean: List[float] = setting([], "Subtracted from red, green and blue between 0 and 1.")
    std: List[float] = setting([], "Divided by after that.")
    size: Optional[int] = setting(None, "The side of the square in pixels, if the model's input does not fix it.",
                                  minimum=8, maximum=4096)
    resize: str = setting("", "crop: the middle square. stretch: without keeping the ratio.",
                          choices=("", CROP, STRETCH))
    output: str = setting("", "The name of the output. Empty: image_embeds, pooler_output, or the first one that fits.")
