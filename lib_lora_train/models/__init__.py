"""The base model: reading checkpoints, telling families, tokenizer, text states, noise schedule and hashes."""
