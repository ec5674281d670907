"""The mini tagger: a small residual network that takes pictures just as WD14's models do."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional

SIDE = 96
WIDTHS = (24, 48, 96, 160)
"""Channels at 48, 24, 12 and 6 pixels."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation beside a straight way through."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = _convolution(width, width, 1), _convolution(width, width, 1)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return functional.relu(states + self.second(functional.relu(self.first(states))))


class MiniTagger(nn.Module):
    """(B, 96, 96, 3) float32, BGR, 0..255 → (B, tags) probabilities."""

    def __init__(self, tags: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [_convolution(3, WIDTHS[0], 2), nn.ReLU()]
        for before, width in itertools.pairwise(WIDTHS):
            layers += [_convolution(before, width, 2), nn.ReLU(), ResidualBlock(width)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(WIDTHS[-1] * 2, tags)

    def logits(self, pictures: torch.Tensor) -> torch.Tensor:
        """Before the sigmoid; ``pictures`` (B, 3, 96, 96) in -1..1, BGR."""
        states = self.body(pictures)
        pooled = torch.cat([states.mean((2, 3)), states.amax((2, 3))], dim=1)
        return self.head(functional.dropout(pooled, 0.3, self.training))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.logits(pictures.permute(0, 3, 1, 2) / 127.5 - 1))


def _convolution(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after))
