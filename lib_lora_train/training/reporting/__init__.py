"""The output of a run: events, curves, samples and files."""
