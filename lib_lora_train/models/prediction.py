"""Whether a base model predicts noise or velocity, from what lies in and beside its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ..errors import CheckpointError
from .checkpoint import Checkpoint

EPSILON, VELOCITY = "epsilon", "v_prediction"
_IN_METADATA = {"v": VELOCITY, "v_prediction": VELOCITY, "epsilon": EPSILON, "eps": EPSILON}
_PROBED_TIMESTEP = 999
_VELOCITY_BELOW = -1.0


@dataclass(frozen=True)
class Prediction:
    """``kind`` is ``epsilon`` or ``v_prediction``; ``told_by`` ends the sentence "… as … tells"."""

    kind: str
    told_by: str


def told_prediction(file: Checkpoint) -> Prediction | None:
    """What the YAML beside the file, a mark in it, or its metadata say; ``None`` if none of them does.

    The YAML goes first, since the webui goes by it. Raises ``CheckpointError`` if there is one that cannot be read.
    """
    said = _of_yaml(file.path.with_suffix(".yaml"))
    if said is not None:
        return said
    if "v_pred" in file.tensors:
        return Prediction(VELOCITY, "a mark in the file")
    kind = _IN_METADATA.get(file.metadata.get("modelspec.prediction_type", "").lower())
    if kind is None and file.metadata.get("modelspec.architecture", "").endswith("-768-v"):
        kind = VELOCITY
    return None if kind is None else Prediction(kind, "the file's metadata")


@torch.no_grad()
def probed_prediction(unet: UNet2DConditionModel) -> Prediction:
    """How SD 2.x is told from SD 2.x 768-v by the webui: the sign of its answer where nearly all is noise.

    Velocity there is about the picture turned negative, while noise would come back as it was given.
    """
    width = unet.config["cross_attention_dim"]
    picture = torch.full((1, 4, 8, 8), 0.5, dtype=unet.dtype, device=unet.device)
    context = torch.full((1, 2, width), 0.5, dtype=unet.dtype, device=unet.device)
    answer = unet(picture, torch.tensor([_PROBED_TIMESTEP], device=unet.device), context, return_dict=False)[0]
    kind = VELOCITY if float((answer - picture).float().mean()) < _VELOCITY_BELOW else EPSILON
    return Prediction(kind, "a test of its UNet")


def _of_yaml(path: Path) -> Prediction | None:
    if not path.is_file():
        return None
    try:
        parameters: Any = OmegaConf.select(OmegaConf.load(path), "model.params")
    except (OSError, YAMLError, UnicodeDecodeError, OmegaConfBaseException) as problem:
        raise CheckpointError(f"{path}, which says what kind of model the checkpoint is, cannot be read: {problem}. "
                              "Put it right, or take it away.") from problem
    if parameters is None:
        return None
    scaling = OmegaConf.select(parameters, "denoiser_config.params.scaling_config.target")
    if scaling is not None:
        is_velocity = str(scaling).endswith("VScaling")
    else:
        is_velocity = OmegaConf.select(parameters, "parameterization", default="eps") == "v"
    return Prediction(VELOCITY if is_velocity else EPSILON, f"{path.name}")
