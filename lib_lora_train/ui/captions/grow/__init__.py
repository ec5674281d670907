"""Growing a small set: candidates drawn with a LoRA of it."""
