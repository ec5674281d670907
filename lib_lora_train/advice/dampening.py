"""What slows learning down, and by how much.

After the guide's "Learn dampening": a table of arrows, each a noticeable small decrease against its base settings.
Dampening is no fault: the more steps fit in before the LoRA is burned, the more is made of the pictures. Alpha is
the simplest brake, since it does nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

BASE_RESOLUTION, BASE_DIM, BASE_GAMMA = 512, 64, 5.0
_FEW_ARROWS, _MANY_ARROWS = 2.0, 8.0


@dataclass(frozen=True)
class Brake:
    """One setting's share. ``arrows`` below 0 means faster learning than with the base settings."""

    setting: str
    arrows: float
    effect: str


@dataclass(frozen=True)
class Dampening:
    """All brakes that are not at rest, strongest first, and a sentence on what to do about them."""

    brakes: tuple[Brake, ...]
    arrows: float
    advice: str


def dampening(*, width: int, height: int, network_dim: int, alpha: float, adaptive: bool,
              min_snr_gamma: float | None, noise_offset: float = 0.0) -> Dampening:
    """Count the guide's arrows: 3 for each 64 px of resolution above 512, 3 for each 0.1 of noise offset, 1 for each 16
    of ``network_dim`` below 64, 2 for each 16 of ``alpha`` below ``network_dim``, 1 for each 1 of gamma above 5.

    ``width`` and ``height`` are the training size in pixels; of an oblong one the square of its area is counted.
    ``adaptive`` says whether the optimizer finds its rate by itself. Only then is gamma counted, as the guide saw it
    (section "Prodigy"); with a fixed rate the weights of the loss fall with a lower gamma, not a higher one.
    """
    brakes = [
        Brake("dataset.resolution", 3 * (math.sqrt(width * height) - BASE_RESOLUTION) / 64, "finer details"),
        Brake("loss.noise_offset", 3 * noise_offset / 0.1, "brighter lights and darker darks"),
        Brake("network.network_dim", (BASE_DIM - network_dim) / 16, "a smaller file that holds less"),
        Brake("network.network_alpha", 2 * (network_dim - alpha) / 16, "nothing but slower learning"),
    ]
    if adaptive and min_snr_gamma is not None:
        brakes.append(Brake("loss.min_snr_gamma", max(0.0, min_snr_gamma - BASE_GAMMA), "a smoother loss"))
    active = tuple(sorted((brake for brake in brakes if brake.arrows), key=lambda brake: -abs(brake.arrows)))
    total = sum(brake.arrows for brake in active)
    return Dampening(active, total, _advice(total, adaptive))


def _advice(arrows: float, adaptive: bool) -> str:
    if arrows <= _FEW_ARROWS:
        return "Hardly any dampening: the usual number of steps will do."
    if arrows <= _MANY_ARROWS:
        return ("Some dampening: give it one or two epochs more." if adaptive else
                "Some dampening: give it a few epochs more, or a little more learning rate.")
    if adaptive:
        return "Strong dampening, for which the optimizer makes up in part: plan one to three epochs more."
    return ("Strong dampening: train clearly longer, or raise alpha, since a higher learning rate alone may not make "
            "up for it.")
