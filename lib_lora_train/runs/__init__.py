"""Runs: the folder that holds the whole truth of a run, its events, its controls, its process."""
