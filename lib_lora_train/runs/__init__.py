"""Runs: the run folder, its events, its controls, and the worker process."""
