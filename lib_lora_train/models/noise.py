"""The noise schedule that Stable Diffusion was trained with."""

from __future__ import annotations

from diffusers import DDPMScheduler

TRAIN_TIMESTEPS = 1000
BETA_START = 0.00085
BETA_END = 0.012


def noise_schedule(prediction_type: str, *, zero_terminal_snr: bool = False) -> DDPMScheduler:
    """DDPM over 1000 timesteps with sqrt(beta) linear from sqrt(0.00085) to sqrt(0.012), as in v1-inference.yaml.

    ``zero_terminal_snr`` rescales the betas so that the last timestep is pure noise (Lin et al. 2024, algorithm 1).
    ``alphas_cumprod`` is (1000,) float32 on the CPU. ``prediction_type`` is ``epsilon`` or ``v_prediction``.
    """
    return DDPMScheduler(num_train_timesteps=TRAIN_TIMESTEPS, beta_start=BETA_START, beta_end=BETA_END,
                         beta_schedule="scaled_linear", clip_sample=False, prediction_type=prediction_type,
                         rescale_betas_zero_snr=zero_terminal_snr)
