"""v-prediction models that AUTOMATIC1111's webui 1.10.1 draws as if they predicted noise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..config.job import Job
from .surroundings import Note, Surroundings

_TOLD_BY_A_TEST = "SD 2"
"""Families whose prediction the webui finds out by a test of its own (``sd_models_config.py``)."""


def prediction_notes(job: Job, around: Surroundings) -> Iterator[Note]:
    """A note if images in the webui will look fried since it takes the base model for one that predicts noise.

    Webui 1.10.1 (``sd_models_config.py``) reads v-prediction of SD 1.x and SDXL only from a YAML beside the file, not
    from ``v_pred`` in it; Forge reads both.
    """
    is_velocity = around.velocity or job.base.v_parameterization
    if not is_velocity or around.yaml_beside is not False or around.family.startswith(_TOLD_BY_A_TEST):
        return
    name = Path(job.base.checkpoint).name
    yaml = Path(name).with_suffix(".yaml").name
    yield Note("base.v_parameterization", f"{name} is a v-prediction model, but there is no {yaml} beside it, and "
               "webui 1.10.1 reads v-prediction only from there: it draws the model as one that predicts noise, so its "
               "images, test plots and strips look fried. The LoRA is trained right. Put the model's YAML beside it, "
               "or generate in Forge.")
