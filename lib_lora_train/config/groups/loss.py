"""What the network is pushed towards, and the noise it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..setting import setting

LOSS_TYPES = ("l2", "l1", "huber", "smooth_l1")
HUBER_SCHEDULES = ("snr", "exponential", "constant")


@dataclass(frozen=True)
class LossSettings:
    """Weighting of the loss, its kind, and the noise."""

    min_snr_gamma: Optional[float] = setting(
        5.0, "Smooths the loss by giving easy timesteps less weight; empty switches it off.", minimum=0.01,
        maximum=100.0, label="Min SNR gamma",
        advice="5 is recommended; 1 is strong, 20 is hardly there. 5 or less suits characters, more suits styles.")
    debiased_estimation_loss: bool = setting(
        False, "Weights timesteps by one over the root of their SNR, instead of Min SNR.", label="Debiased estimation",
        advice="Fine detail and colour get less weight, shape more. Not together with Min SNR gamma.")
    scale_v_pred_loss_like_noise_pred: bool = setting(
        False, "Weights the loss of a v-prediction model by SNR / (SNR + 1), as if it predicted noise.",
        label="Scale v-pred loss like noise pred",
        advice="Only for v-prediction models; details count more and composition less.")
    loss_type: str = setting(
        "l2", "How far off an answer is.", choices=LOSS_TYPES, advice="l2 is the usual one; huber and smooth_l1 care "
        "less for a few odd pictures in the set.")
    huber_schedule: str = setting(
        "snr", "How the bend of huber and smooth_l1 follows the timestep.", choices=HUBER_SCHEDULES)
    huber_c: float = setting(0.1, "The bend of huber and smooth_l1, at the noisiest timestep.", minimum=0.0001,
                             maximum=10.0, label="Huber bend")
    huber_scale: float = setting(1.0, "The bend of huber and smooth_l1 is multiplied with this.", minimum=0.01,
                                 maximum=100.0)
    prior_loss_weight: float = setting(
        1.0, "How much regularization pictures count beside yours.", minimum=0.0, maximum=10.0,
        label="Weight of regularization pictures", advice="1 is usual; less lets your pictures through more.")
    noise_offset: float = setting(
        0.0, "Shifts the noise of whole channels, so that brighter and darker pictures are learned.", minimum=0.0,
        maximum=1.0,
        advice="0.05 to 0.1 if your pictures come out dull, else 0; it slows learning, and too much fries.")
    adaptive_noise_scale: float = setting(
        0.0, "Adds to noise_offset this times how bright or dark the picture is.", minimum=-1.0, maximum=1.0)
    multires_noise_iterations: int = setting(
        0, "Adds noise of so many coarser sizes; 0 switches it off.", minimum=0, maximum=32,
        label="Multires noise", advice="6 to 10; another way to brighter and darker pictures. Not with noise_offset.")
    multires_noise_discount: float = setting(
        0.3, "How much weaker each coarser noise is.", minimum=0.0, maximum=1.0, label="Multires noise discount")
    ip_noise_gamma: float = setting(
        0.0, "Blurs what the UNet is shown a little, so that small errors in generation grow less.", minimum=0.0,
        maximum=1.0, advice="0.1, or 0 for none.", label="Input perturbation noise")
    zero_terminal_snr: bool = setting(
        False, "The last timestep is pure noise, as v-prediction models with true black and white want it.",
        label="Zero terminal SNR", advice="Only for v-prediction models that were made with it.")
    min_timestep: int = setting(
        0, "The cleanest timestep that is trained; low ones hold detail.", minimum=0, maximum=999)
    max_timestep: int = setting(
        1000, "Timesteps below this are trained; high ones hold composition.", minimum=1, maximum=1000)
