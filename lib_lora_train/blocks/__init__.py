"""Blocks: names, lists, presets, and the block weights in prompts. Free of torch."""
