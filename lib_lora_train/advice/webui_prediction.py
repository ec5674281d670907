"""Detects v-prediction models that a webui runs as noise prediction, so that its images look fried.

AUTOMATIC1111's webui 1.10.1 (``sd_models_config.py``) detects v-prediction of SD 1.x and SDXL only from a YAML beside
the checkpoint; for SD 2.x it runs the UNet once. Forge (``backend/loader.py``) reads the YAML, and for SDXL the tensor
``v_pred`` as well; reForge and Forge Classic (``ldm_patched/modules/supported_models.py``) the tensor only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..config.job import Job
from .surroundings import Note, Surroundings

KEY = "base.v_parameterization"
MARK, ZERO_SNR_MARK = "v_pred", "ztsnr"
"""Marker tensors of SDXL checkpoints trained with v-prediction, and with zero terminal SNR."""
_SD2 = "SD 2"
_OF_SDXL = ("SDXL", "SSD-1B")
_FRIED = "it treats the model as one that predicts noise, so its images, test plots and strips look fried"


def prediction_notes(job: Job, around: Surroundings) -> Iterator[Note]:
    """A note if the webui's images will look fried because it expects noise, or if the YAML is doubtful."""
    if around.velocity or job.base.v_parameterization:
        problem = prediction_problem(Path(job.base.checkpoint).name, around)
        if problem:
            yield Note(KEY, f"{problem} The LoRA is trained correctly. "
                            f"{way_out(Path(job.base.checkpoint).name, around)}")
    else:
        doubt = doubtful_yaml(Path(job.base.checkpoint).name, around)
        if doubt:
            yield Note(KEY, doubt)


def doubtful_yaml(name: str, around: Surroundings) -> str:
    """A warning if the YAML beside the checkpoint ``name`` says noise and a tensor marks v-prediction; else empty."""
    if around.velocity is not False or not around.yaml_beside or MARK not in around.shapes:
        return ""
    yaml = Path(name).with_suffix(".yaml").name
    return (f"{name} has a tensor {MARK!r}, the mark of v-prediction models, but {yaml} beside it says that it "
            "predicts noise, and training follows the YAML. If that is wrong, the LoRA learns nothing useful: correct "
            f"{yaml}, or remove it and have it written again.")


def prediction_problem(name: str, around: Surroundings) -> str:
    """Why the webui runs the v-prediction checkpoint ``name`` as noise prediction; empty if it does not."""
    sources = around.reads_v_prediction
    if around.yaml_beside is None or around.webui_predicts == "v" or not sources:
        return ""
    if is_read(around):
        return (f"{name} is a v-prediction model, but the webui loaded it before it could know that: {_FRIED}."
                if around.webui_predicts == "eps" else "")
    if "yaml" not in sources:
        return f"{name} is a v-prediction model, but it has no tensor {MARK!r}, which this webui goes by: {_FRIED}."
    yaml = Path(name).with_suffix(".yaml").name
    if around.yaml_beside:
        return f"{name} is trained as a v-prediction model, but {yaml} beside it says that it predicts noise: {_FRIED}."
    webui = "this webui reads v-prediction of it" if "mark" in sources else "webui 1.10.1 reads v-prediction"
    return (f"{name} is a v-prediction model, but there is no {yaml} beside it, and {webui} only from there: {_FRIED}.")


def is_read(around: Surroundings) -> bool:
    """Whether the webui detects v-prediction when it loads the checkpoint."""
    sources = around.reads_v_prediction
    if "mark" in sources and MARK in around.shapes and around.family in _OF_SDXL:
        return True
    if "yaml" in sources and around.yaml_beside:
        return bool(around.velocity)  # v-prediction was read from the YAML
    return around.family.startswith(_SD2) and around.webui_predicts != "eps"


def way_out(name: str, around: Surroundings) -> str:
    """The fix, in a sentence."""
    if is_read(around):
        return ("Load the checkpoint again: choose another one at the top of the page, then this one. If this notice "
                "stays, restart the webui.")
    if "yaml" not in around.reads_v_prediction:
        return "Use a version of the checkpoint that is marked."
    yaml = Path(name).with_suffix(".yaml").name
    if around.yaml_beside:
        return f"Correct {yaml}, or remove it and have it written again."
    return "Put the model's YAML beside it; in the webui, a button in the Model card writes it. Or generate in Forge."


def zero_snr_advice(around: Surroundings) -> str:
    """What else the checkpoint needs in the webui, if it is marked as trained with zero terminal SNR."""
    if ZERO_SNR_MARK not in around.shapes:
        return ""
    return ("It was also trained with zero terminal SNR: in the webui's settings, set “Noise schedule for sampling” "
            "to Zero Terminal SNR.")
