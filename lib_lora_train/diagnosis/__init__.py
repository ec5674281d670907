"""Measurements on a set: what the base knows, and which image, tag or epoch does harm."""
