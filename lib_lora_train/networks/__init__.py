"""Trainable networks: LoRA modules, key names, blocks, metadata, saving and merging."""
