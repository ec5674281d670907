"""The fields of a tagger's description: what an ONNX file takes, what it answers, and what its tag list means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional

from ..setting import setting
from .tagging import CATEGORIES

NHWC, NCHW = "nhwc", "nchw"
SQUARE_THEN_RESIZE, RESIZE_THEN_PAD, RESIZE_THEN_EDGE, STRETCH = (
    "square-then-resize", "resize-then-pad", "resize-then-edge", "stretch")
PROBABILITIES, LOGITS = "probabilities", "logits"
UNUSED = "unused"
"""A category of tags that are never written, such as the resolution among Danbooru's meta tags."""


@dataclass(frozen=True)
class SourceDescription:
    """Where the description comes from."""

    licence: str = setting("", "The license of the weights.")
    order: int = setting(50, "The place in the list of taggers.", minimum=0, maximum=100)
    note: str = setting("", "What is not certain, and why it was decided this way. Shown when the tagger is loaded.")
    detect: bool = setting(True, "Whether an ONNX file without a description is recognized as this tagger by its "
                                 "inputs and outputs.")


@dataclass(frozen=True)
class FileDescription:
    """The names of the tagger's files in its folder."""

    model: str = setting("model.onnx", "The ONNX file.")
    tags: List[str] = setting([], "The tag list: .csv, .json, or .txt with a tag on each line. With several names, the "
                                  "first one that exists.")
    thresholds: str = setting("", "A file of thresholds by category or by tag, .csv or .json.")


@dataclass(frozen=True)
class ImageDescription:
    """How an image is prepared. ``mean`` and ``std`` apply after the division, in the model's channel order."""

    layout: str = setting("", "nhwc: channels last, as in WD taggers; nchw: channels first.", choices=("", NHWC, NCHW))
    size: Optional[int] = setting(None, "The side of the square in pixels, if the model's input does not fix it.",
                                  minimum=8, maximum=4096)
    resize: str = setting(
        "", "square-then-resize: pad to a square, then resize. resize-then-pad: resize keeping the ratio, then pad. "
            "resize-then-edge: the same, repeating the edge pixels. stretch: resize without keeping the ratio.",
        choices=("", SQUARE_THEN_RESIZE, RESIZE_THEN_PAD, RESIZE_THEN_EDGE, STRETCH))
    filter: str = setting("", "bicubic, bilinear, lanczos, nearest, or area, which averages when shrinking and is "
                              "bilinear when enlarging.",
                          choices=("", "bicubic", "bilinear", "lanczos", "area", "nearest"))
    pad_color: List[float] = setting([255.0, 255.0, 255.0], "Red, green and blue of the padding, 0 to 255.")
    channels: str = setting("", "rgb or bgr: the order of the color channels.", choices=("", "rgb", "bgr"))
    divide_by: Optional[float] = setting(None, "255 for pixels from 0 to 1, 1 for pixels from 0 to 255.",
                                         minimum=1.0, maximum=65535.0)
    mean: List[float] = setting([0.0, 0.0, 0.0], "Subtracted after the division.")
    std: List[float] = setting([1.0, 1.0, 1.0], "Divided by after that.")


@dataclass(frozen=True)
class ModelDescription:
    """The inputs and outputs of the ONNX file."""

    input: str = setting("", "The name of the image input. Empty: the only one.")
    padding_mask: str = setting("", "The name of a second input that is true where the image is padding.")
    outputs: List[str] = setting([], "The name of the output with one value for each tag; with several names, the "
                                     "first one that exists. Empty: the only output.")
    beside: List[str] = setting([], "Other outputs that the file has to have, to be recognized as this tagger.")
    values: str = setting("", "What the output holds: probabilities from 0 to 1, or logits (before the sigmoid).",
                          choices=("", PROBABILITIES, LOGITS))


@dataclass(frozen=True)
class TagsDescription:
    """What the tag list means."""

    name_column: str = setting("name", "The column of the tags in a .csv file.")
    category_column: str = setting("category", "The column of their categories in a .csv file.")
    threshold_column: str = setting("", "The column of a threshold for each tag in a .csv file.")
    json_path: str = setting("", "Where the tags are inside a .json file, such as dataset_info/tag_mapping.")
    categories: Dict[str, str] = setting({}, "The category that each number or word of the list stands for.")
    default_category: str = setting("general", "The category of tags without one.", choices=(*CATEGORIES, UNUSED))
    rating_prefix: str = setting("rating:", "The beginning of ratings among the other tags.")


@dataclass(frozen=True)
class ThresholdDescription:
    """The thresholds that the tagger's authors recommend, by category. Empty: none is known."""

    general: Optional[float] = setting(None, "General tags.", minimum=0.0, maximum=1.0)
    species: Optional[float] = setting(None, "Species.", minimum=0.0, maximum=1.0)
    character: Optional[float] = setting(None, "Characters.", minimum=0.0, maximum=1.0)
    copyright: Optional[float] = setting(None, "Series.", minimum=0.0, maximum=1.0)
    artist: Optional[float] = setting(None, "Artists.", minimum=0.0, maximum=1.0)
    meta: Optional[float] = setting(None, "Meta tags.", minimum=0.0, maximum=1.0)
    model: Optional[float] = setting(None, "The model that made an image.", minimum=0.0, maximum=1.0)
    year: Optional[float] = setting(None, "Years.", minimum=0.0, maximum=1.0)
    json_path: str = setting("", "Where a category's threshold is in a .json file, such as "
                                 "{category}/balanced/threshold.")


@dataclass(frozen=True)
class TaggerDescription:
    """One interface of taggers."""

    source: SourceDescription = field(default_factory=SourceDescription)
    files: FileDescription = field(default_factory=FileDescription)
    image: ImageDescription = field(default_factory=ImageDescription)
    model: ModelDescription = field(default_factory=ModelDescription)
    tags: TagsDescription = field(default_factory=TagsDescription)
    thresholds: ThresholdDescription = field(default_factory=ThresholdDescription)

    def threshold(self, category: str) -> float | None:
        """The recommended threshold of a category, if there is one."""
        value: float | None = getattr(self.thresholds, category, None)
        return value
