"""Masks of images: where they are, and what they say about an image."""
