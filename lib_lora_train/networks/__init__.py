"""The networks that are trained: LoRA modules, key names, blocks, metadata, saving and merging."""
