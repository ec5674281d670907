"""Compares checkpoints with each other by a sample of their weights: distances, merges and a tree."""
