"""The UNet's text conditioning: hidden states of the text encoders, and their pooled output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .build import TextEncoder
from .family import END_TOKEN, Family
from .tokenizer import WINDOW, Tokenizer


@dataclass(frozen=True)
class TextStates:
    """``hidden`` (B, n, C) is the input of cross-attention; ``pooled`` (B, P), if present, one vector per caption."""

    hidden: Tensor
    pooled: Tensor | None = None

    def to(self, device: torch.device) -> TextStates:
        """The same states on ``device``."""
        waits = device.type == "cpu"  # data copied to the CPU may be read immediately, so the copy must be complete
        return TextStates(self.hidden.to(device, non_blocking=not waits),
                          None if self.pooled is None else self.pooled.to(device, non_blocking=not waits))


def tokenize(tokenizer: Tokenizer, captions: Sequence[str], max_token_length: int, padding: int = END_TOKEN) -> Tensor:
    """Token ids of ``captions`` in windows; int64 (captions, max_token_length / 75, 77). See ``Tokenizer.windows``."""
    return torch.tensor([tokenizer.windows(caption, max_token_length, padding) for caption in captions],
                        dtype=torch.long).view(len(captions), max_token_length // WINDOW, WINDOW + 2)


def encode_captions(family: Family, text_encoders: Sequence[TextEncoder], tokenizer: Tokenizer,
                    captions: Sequence[str], length: int, clip_skip: int) -> TextStates:
    """States of ``captions`` over ``length`` (75, 150 or 225) tokens, with the webui's layers for ``family``.

    SD 1.x: the layer selected by ``clip_skip``. SD 2.x: the penultimate layer with the final norm. SDXL: the
    penultimate layers of both encoders without it, concatenated, and the second encoder's pooled output of the first
    window.
    """
    tokens = [tokenize(tokenizer, captions, length, kind.padding).to(encoder.device, non_blocking=True)
              for kind, encoder in zip(family.text_encoders, text_encoders, strict=True)]
    if not family.has_size_conditioning:
        # the last layer of SD 2.x is never built, so the penultimate one is the last
        return TextStates(encode(text_encoders[0], tokens[0], clip_skip if family.follows_clip_skip else 1,
                                 joined=family.follows_clip_skip))
    outputs = [encoder(ids.flatten(0, 1), output_hidden_states=True, return_dict=True)
               for encoder, ids in zip(text_encoders, tokens, strict=True)]
    hidden = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
    batch, windows, width = tokens[0].shape
    pooled = outputs[-1].text_embeds.view(batch, windows, -1)[:, 0]
    return TextStates(hidden.view(batch, windows * width, -1), pooled)


def encode(text_encoder: TextEncoder, tokens: Tensor, clip_skip: int, *, joined: bool = True) -> Tensor:
    """Hidden states of ``tokens``, int64 (B, windows, 77), ``clip_skip`` layers from the end, normalized.

    Returns (B, 75·windows + 2, C): the windows are encoded separately and joined as begin, 75 states of each, end, as
    sd-scripts does for SD 1.x; or, if not ``joined``, (B, 77·windows, C) with every begin and end, as the webui does.
    ``clip_skip`` is 1 for the last layer.
    """
    batch, windows, length = tokens.shape
    layers = text_encoder.config.num_hidden_layers
    if not 1 <= clip_skip <= layers:
        raise ValueError(f"clip_skip is {clip_skip}; it has to be between 1 and {layers}")
    output = text_encoder(tokens.reshape(batch * windows, length), output_hidden_states=True, return_dict=True)
    states = text_encoder.text_model.final_layer_norm(output.hidden_states[-clip_skip])
    states = states.view(batch, windows, length, -1)
    return _join(states) if joined else states.flatten(1, 2)


def _join(states: Tensor) -> Tensor:
    """(B, windows, 77, C) to (B, 75·windows + 2, C): keeps the begin of the first window and the end of the last."""
    inner = states[:, :, 1:-1].flatten(1, 2)
    return torch.cat([states[:, 0, :1], inner, states[:, -1, -1:]], dim=1)
