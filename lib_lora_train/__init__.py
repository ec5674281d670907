"""Train LoRA: make LoRA training a part of the Stable Diffusion webui."""

__version__ = "0.1.0"
