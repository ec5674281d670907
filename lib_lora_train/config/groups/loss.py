"""Settings of the loss and the noise."""

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
        5.0, "Smooths the loss by giving easy timesteps less weight. Empty turns it off.",
        label="Min-SNR gamma", minimum=0.01, maximum=100.0,
        advice="5 is recommended; 1 is strong, 20 barely acts. 5 or less suits characters, more suits styles.")
    debiased_estimation_loss: bool = setting(
        False, "Weights timesteps by 1 / sqrt(SNR) instead of min-SNR.",
        label="Debiased estimation",
        advice="Gives fine detail and color less weight and shape more. Not together with min-SNR gamma.")
    scale_v_pred_loss_like_noise_pred: bool = setting(
        False, "Weights the loss of a v-prediction model by SNR / (SNR + 1), as if it predicted noise.",
        label="Scale v-prediction loss like noise prediction",
        advice="Only for v-prediction models; gives details more weight and composition less.")
    loss_type: str = setting(
        "l2", "How the error is measured.",
        label="Loss type", choices=LOSS_TYPES,
        advice="l2 is the usual choice; huber and smooth_l1 are less sensitive to a few odd images in the set.")
    huber_schedule: str = setting(
        "snr", "How the Huber threshold follows the timestep.",
        label="Huber schedule", choices=HUBER_SCHEDULES)
    huber_c: float = setting(
        0.1, "Threshold of huber and smooth_l1 at the noisiest timestep.",
        label="Huber threshold (c)", minimum=0.0001, maximum=10.0)
    huber_scale: float = setting(
        1.0, "Multiplies the Huber threshold.",
        label="Huber scale", minimum=0.01, maximum=100.0)
    prior_loss_weight: float = setting(
        1.0, "How much regularization images count compared with yours.",
        label="Prior loss weight", minimum=0.0, maximum=10.0,
        advice="1 is usual; lower values give your images more influence.")
    unmasked_weight: float = setting(
        0.0, "How much the black parts of a mask count compared with the white ones.",
        label="Weight outside the mask", section="Masks", minimum=0.0, maximum=1.0,
        advice="0.1 keeps a little of the surroundings, so that the subject is drawn as part of an image.")
    masked_prior_preservation_weight: float = setting(
        0.0, "Outside the mask, the LoRA learns to draw what the base model alone would draw, with this weight. The "
        "base model predicts once more for each batch, which takes about a third longer.",
        label="Keep the base outside the mask", section="Masks", minimum=0.0, maximum=10.0,
        advice="1 makes the surroundings as important as the subject. Without it they may change in any way.")
    preservation_weight: float = setting(
        0.0, "Without the trigger word the LoRA learns to draw what the base model draws, with this weight: each "
        "caption is trained a second time without it, with the base model's own prediction as the target. Needs no "
        "regularization images.",
        label="Preservation weight", section="Preservation", view="main", minimum=0.0, maximum=10.0,
        advice="1 if prompts without the trigger word come out in the style of your images; a step takes more than "
               "twice as long. Only for a set with a trigger word.")
    preservation_every_n_steps: int = setting(
        1, "Preserves in every n-th step only, which saves time.",
        label="Preserve every n steps", section="Preservation", minimum=1, maximum=1000,
        advice="2 or 3 keep most of the effect.")
    preservation_class: str = setting(
        "", "The words that stand in for the trigger word when the base model is asked, such as woman or 1girl. Empty: "
        "the trigger word is left out.",
        label="Preservation class", section="Preservation",
        advice="The class of your subject. It keeps other members of the class from turning into your subject.")
    noise_offset: float = setting(
        0.0, "Shifts the noise of whole channels, so that very bright and very dark images can be learned.",
        label="Noise offset", minimum=0.0, maximum=1.0,
        advice="0.05 to 0.1 if your images come out dull, else 0. It slows learning, and too much fries the LoRA.")
    adaptive_noise_scale: float = setting(
        0.0, "Scales the noise offset with the latent's mean absolute value.",
        label="Adaptive noise scale", minimum=-1.0, maximum=1.0)
    multires_noise_iterations: int = setting(
        0, "Adds noise at this many coarser resolutions; 0 turns it off.",
        label="Multires noise iterations", minimum=0, maximum=32,
        advice="6 to 10; another way to brighter and darker images. Not together with noise offset.")
    multires_noise_discount: float = setting(
        0.3, "How much weaker each coarser noise is.",
        label="Multires noise discount", minimum=0.0, maximum=1.0)
    ip_noise_gamma: float = setting(
        0.0,
        "Adds a little extra noise to the UNet's input (input perturbation), so that small errors during generation"
        " grow less.",
        label="Input perturbation (IP noise gamma)", minimum=0.0, maximum=1.0,
        advice="0.1, or 0 for none.")
    zero_terminal_snr: bool = setting(
        False, "Makes the last timestep pure noise, which v-prediction models with true black and white expect.",
        label="Zero terminal SNR",
        advice="Only for v-prediction models that were made with it.")
    min_timestep: int = setting(
        0, "The least noisy timestep that is trained; low timesteps hold detail.",
        label="Min timestep", minimum=0, maximum=999)
    max_timestep: int = setting(
        1000, "Timesteps below this are trained; high timesteps hold composition.",
        label="Max timestep", minimum=1, maximum=1000)
