"""Scripts that start a training run: parsed as text, never executed."""
