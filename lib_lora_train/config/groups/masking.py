"""Settings of a masking run: the images, how their masks are made, and what happens to existing masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List

from ..setting import TAGGER, same_as, setting
from .dataset import DatasetSettings
from .tagging import TaggerSettings

BORDER, FACE, SUBJECT = "border", "face", "subject"
METHODS = (BORDER, FACE, SUBJECT)
IF_MISSING, REPLACE_AUTOMATIC, REPLACE_ALL, PREVIEW = "if-missing", "replace-automatic", "replace-all", "preview"


@dataclass(frozen=True)
class MaskDatasetSettings:
    """The images that get a mask."""

    train_data_dir: str = same_as(DatasetSettings, "train_data_dir")
    images: List[str] = setting(
        [], "Only these images get a mask, named by their paths in the folder, such as 10_penny/01.png. Empty: all.",
        label="Images", view="hidden")


@dataclass(frozen=True)
class MaskMethodSettings:
    """How a mask is made."""

    method: str = setting(
        BORDER, "border: the background is what has the color of the image's border. face: head and shoulders around "
        "each detected face. subject: a model that tells the subject from the background.",
        label="Method", choices=METHODS, view="main",
        advice="border needs no model and is exact for plain backgrounds; face needs OpenCV, which is installed when "
        "first used.")
    tolerance: int = setting(
        20, "How much a color may differ from the border's and still be background, in levels of 255.",
        label="Tolerance", minimum=1, maximum=128, view="main",
        advice="Raise it if background remains, lower it if parts of the subject are missing.")
    enclosed: bool = setting(
        False, "Larger areas of the background's color inside the subject, such as between arm and body, are "
        "background too.",
        label="Enclosed areas are background", view="main")
    head_factor: float = setting(
        2.5, "The size of the region around a face, in faces; 1 is the face alone, 2.5 head and shoulders.",
        label="Size around the face", minimum=1.0, maximum=8.0, view="main")
    model: str = setting(
        "isnet-anime", "The model: one from the list, or the path of an ONNX file.",
        label="Model", view="main", path=TAGGER,
        advice="isnet-anime is made for drawn characters, the others for photographs.")
    models_dir: str = setting(
        "", "The folder with the models, each in a subfolder of its own name. Empty: models/TrainLora/masks where the "
        "command is started.",
        label="Model folder", view="hidden")
    download: bool = setting(
        False, "Downloads the model from huggingface.co if it is not in the folder. Nothing is ever downloaded "
        "otherwise.",
        label="Download", view="hidden")
    provider: str = same_as(TaggerSettings, "provider")
    threshold: float = setting(
        0.5, "Above this probability a pixel is subject, below it background; 0 keeps the probabilities as they are, "
        "as a soft mask.",
        label="Threshold", minimum=0.0, maximum=0.99, view="main")
    grow: float = setting(
        0.0, "Grows the mask by this share of the image's shorter side, so that outlines are inside; negative values "
        "shrink it.",
        label="Grow (% of the shorter side)", unit="%", minimum=-10.0, maximum=25.0, view="main")
    feather: float = setting(
        0.5, "Softens the edge of the mask over this share of the image's shorter side.",
        label="Feather (% of the shorter side)", unit="%", minimum=0.0, maximum=25.0, view="main")


@dataclass(frozen=True)
class MaskWriteSettings:
    """What happens to existing masks."""

    mode: str = setting(
        IF_MISSING,
        "if-missing: only images without a mask. replace-automatic: also replaces masks that such a run made. "
        "replace-all: also those painted by hand. preview: writes nothing, keeps the masks in the run's folder.",
        label="Existing masks", choices=(IF_MISSING, REPLACE_AUTOMATIC, REPLACE_ALL, PREVIEW), view="main",
        advice="A replaced mask goes to the set's trash, and one undo reverts the whole run.")
