"""Tools that make a LoRA or checkpoint without training."""
