"""Optimizers, learning rate schedules, and the fused backward pass."""
