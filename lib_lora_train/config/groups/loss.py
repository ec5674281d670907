"""What the network is pushed towards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..setting import setting


@dataclass(frozen=True)
class LossSettings:
    """Weighting of the loss."""

    min_snr_gamma: Optional[float] = setting(
        5.0, "Smooths the loss by giving easy timesteps less weight; empty switches it off.", minimum=0.01,
        maximum=100.0, label="Min SNR gamma",
        advice="5 is recommended; 1 is strong, 20 is hardly there. 5 or less suits characters, more suits styles.")
