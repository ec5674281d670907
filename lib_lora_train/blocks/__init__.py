"""Blocks: their names, lists and presets, and what a prompt says of them. Free of torch."""
