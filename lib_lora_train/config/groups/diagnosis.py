"""Settings of the diagnosis during training."""

from __future__ import annotations

from dataclasses import dataclass

from ..setting import setting


@dataclass(frozen=True)
class DiagnosisSettings:
    """What is measured beside the training, to find images and tags that do harm."""

    diagnose: bool = setting(
        True, "Measures single images and tags before training and at each save: which images are of something else, "
        "have the wrong caption or are hardly learned, and which tags are doubtful. The LoRA is the same, bit for bit.",
        label="Diagnosis", view="main",
        advice="One bad image or tag can spoil a set. The findings are in Runs.")
    diagnosis_share: float = setting(
        5.0, "The most time that the diagnosis takes, as a share of the run's.",
        label="Diagnosis time", unit="%", minimum=0.1, maximum=50.0,
        advice="With many images or few steps, 5 % is enough for some of the images only; the findings say which.")
