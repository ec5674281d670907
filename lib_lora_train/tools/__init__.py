"""Tools that create a LoRA or checkpoint without training."""
