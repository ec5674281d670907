"""Comparing the webui's checkpoints, started from the choice of the checkpoint."""
