"""The base model: checkpoints, family detection, tokenizer, text states, noise schedule and hashes."""
