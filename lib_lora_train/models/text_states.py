"""What the UNet reads of a caption: the hidden states of the text encoder."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import CLIPTextModel


def encode(text_encoder: CLIPTextModel, tokens: Tensor, clip_skip: int) -> Tensor:
    """Hidden states of ``tokens``, int64 (B, windows, 77), read ``clip_skip`` layers from the end and normalised.

    Returns (B, 75·windows + 2, C): the windows are encoded on their own and joined as begin, 75 states of each,
    end, as sd-scripts does. ``clip_skip`` is 1 for the last layer.
    """
    batch, windows, length = tokens.shape
    layers = text_encoder.config.num_hidden_layers
    if not 1 <= clip_skip <= layers:
        raise ValueError(f"clip_skip is {clip_skip}; it has to be between 1 and {layers}")
    output = text_encoder(tokens.reshape(batch * windows, length), output_hidden_states=True, return_dict=True)
    states = text_encoder.text_model.final_layer_norm(output.hidden_states[-clip_skip])
    return _join(states.view(batch, windows, length, -1))


def _join(states: Tensor) -> Tensor:
    """(B, windows, 77, C) to (B, 75·windows + 2, C): the begin of the first window and the end of the last stay."""
    inner = states[:, :, 1:-1].flatten(1, 2)
    return torch.cat([states[:, 0, :1], inner, states[:, -1, -1:]], dim=1)
