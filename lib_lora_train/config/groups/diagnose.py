"""Settings of ``diagnose``, which measures the saved files of a run. They have no groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..setting import IMAGES, setting


@dataclass(frozen=True)
class DiagnoseJob:
    """Measures the saved files of a run: which epoch is best."""

    run: str = setting("", "The folder of the run.", label="Run", view="hidden")
    validation_data_dir: Optional[str] = setting(
        None, "A folder of images that the LoRA was not trained on; empty for those that the run held out.",
        label="Validation folder", path=IMAGES, view="main",
        advice="Five to ten images like yours, with captions written in the same way.")
    train_data_dir: Optional[str] = setting(
        None, "The folder with the training images, if it has moved since.", label="Image folder", path=IMAGES)
    checkpoint: str = setting("", "The base checkpoint, if it has moved since.", label="Checkpoint")
    images: int = setting(12, "How many images of each kind are measured at most.", label="Images", minimum=1,
                          maximum=1000)
    tagger: str = setting(
        "", "A tagger to look at the run's samples with: its name or the path of an ONNX file; empty for none.",
        label="Tagger",
        advice="It says how much of the set the samples show, and whether the other tags of the prompts come out.")
    taggers_dir: str = setting("models/TrainLora/taggers", "The folder with the taggers.", label="Tagger folder",
                               view="hidden")
    features: str = setting(
        "", "A model of image features (ONNX) to compare the run's samples with the set: the name of its folder, or "
            "the path of its file; empty for the first one in the features folder.", label="Image features")
    features_dir: str = setting("models/TrainLora/features", "The folder with the models of image features.",
                                label="Features folder", view="hidden")
    device: str = setting("", "Where to measure: auto, cuda, cuda:1, mps or cpu; empty for the device of the run.",
                          label="Device")
