"""Runs: the run folder with all that is known of a run, its events, its controls, its process."""
