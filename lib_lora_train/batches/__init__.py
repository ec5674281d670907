"""Batches: plan, regularization, latents, and captions as trained."""
