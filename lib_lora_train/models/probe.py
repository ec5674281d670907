"""Tests whether a UNet predicts noise or velocity."""

from __future__ import annotations

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from .prediction import EPSILON, VELOCITY, Prediction

_PROBED_TIMESTEP = 999
_VELOCITY_BELOW = -1.0


@torch.no_grad()
def probed_prediction(unet: UNet2DConditionModel) -> Prediction:
    """How the webui distinguishes SD 2.x from SD 2.x 768-v: the sign of the output on nearly pure noise.

    There, velocity is about the negated image, while a noise model returns its input.
    """
    width = unet.config["cross_attention_dim"]
    picture = torch.full((1, 4, 8, 8), 0.5, dtype=unet.dtype, device=unet.device)
    context = torch.full((1, 2, width), 0.5, dtype=unet.dtype, device=unet.device)
    answer = unet(picture, torch.tensor([_PROBED_TIMESTEP], device=unet.device), context, return_dict=False)[0]
    kind = VELOCITY if float((answer - picture).float().mean()) < _VELOCITY_BELOW else EPSILON
    return Prediction(kind, "a test of its UNet")
