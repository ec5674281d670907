"""Scripts that start a training: read as text, never run."""
