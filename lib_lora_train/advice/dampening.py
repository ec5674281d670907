"""Which settings slow learning, and by how much.

After the guide's "Learn dampening": a table of arrows, each a noticeable small decrease against its base settings.
Dampening is not a fault: the more steps fit in before the LoRA is burned, the more it learns from the images. Alpha is
the simplest brake, since it has no other effect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .families import SD1, FamilyAdvice

BASE_DIM, BASE_GAMMA = 64, 5.0
"""``BASE_DIM`` is for SD 1.x; other families use the rank of equal capacity."""
_SHARE_OF_AN_ARROW = 0.03
_FEW_ARROWS, _MANY_ARROWS = 2.0, 8.0


@dataclass(frozen=True)
class Brake:
    """The contribution of one setting. ``arrows`` below 0 means faster learning than with the base settings.

    ``effect`` completes the sentence "It slows learning and …".
    """

    setting: str
    arrows: float
    effect: str


@dataclass(frozen=True)
class Dampening:
    """All brakes with a non-zero contribution, strongest first, and advice about them."""

    brakes: tuple[Brake, ...]
    arrows: float
    adaptive: bool

    @property
    def advice(self) -> str:
        """What to do about it."""
        return _advice(self.arrows, self.adaptive)

    def without(self, setting: str) -> Dampening:
        """The same without the contribution of ``setting``."""
        rest = tuple(brake for brake in self.brakes if brake.setting != setting)
        return Dampening(rest, sum(brake.arrows for brake in rest), self.adaptive)


def dampening(*, width: int, height: int, network_dim: int, alpha: float, adaptive: bool,
              min_snr_gamma: float | None, noise_offset: float = 0.0, family: FamilyAdvice = SD1) -> Dampening:
    """Count arrows from the family's usual size and rank.

    For SD 1.x: 3 for each 64 px of resolution above 512, 3 for each 0.1 of noise offset, 1 for each 16 of
    ``network_dim`` below 64, 2 for each 16 of ``alpha`` below ``network_dim``, 1 for each 1 of gamma above 5. For
    other families the same shares of their own size and rank.

    ``width`` and ``height`` are the training size in pixels; non-square sizes count as the square of equal area.
    ``adaptive`` says whether the optimizer finds its rate by itself. Only then is gamma counted, as the guide observed
    (section "Prodigy"); with a fixed rate the loss weights fall with a lower gamma, not a higher one.
    """
    usual_dim = family.rank(BASE_DIM)
    brakes = [
        Brake("dataset.resolution", 24 * (math.sqrt(width * height) / family.resolution - 1),
              "gives finer details, for more memory and time"),
        Brake("loss.noise_offset", 3 * noise_offset / 0.1, "gives brighter highlights and darker shadows"),
        Brake("network.network_dim", 4 * (1 - network_dim / usual_dim), "gives a smaller file that holds less"),
        Brake("network.network_alpha", 8 * (network_dim - alpha) / usual_dim, "has no other effect"),
    ]
    if adaptive and min_snr_gamma is not None:
        brakes.append(Brake("loss.min_snr_gamma", max(0.0, min_snr_gamma - BASE_GAMMA), "gives a smoother loss"))
    active = tuple(sorted((brake for brake in brakes if brake.arrows), key=lambda brake: -abs(brake.arrows)))
    total = sum(brake.arrows for brake in active)
    return Dampening(active, total, adaptive)


def _advice(arrows: float, adaptive: bool) -> str:
    if arrows <= _FEW_ARROWS:
        return "Hardly any dampening: the usual number of steps will do."
    if arrows <= _MANY_ARROWS:
        return ("Some dampening: add one or two epochs." if adaptive else
                "Some dampening: add a few epochs, or raise the learning rate a little.")
    if adaptive:
        return "Strong dampening, partly offset by the optimizer: add one to three epochs."
    return ("Strong dampening: train much longer or raise alpha; a higher learning rate alone may not be enough.")


def images_with_dampening(images_seen: int, arrows: float) -> int:
    """How many images a run needs to see with dampening to match ``images_seen`` without it.

    A noise offset of 0.1, three arrows, is compensated by one or two epochs of the usual 10 to 20: 3 % per arrow.
    """
    return math.ceil(images_seen * (1 + _SHARE_OF_AN_ARROW * max(0.0, arrows)))
