"""The doctor: checks of a dataset before training."""
