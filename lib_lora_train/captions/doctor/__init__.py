"""The doctor: checks of a whole dataset before training."""
