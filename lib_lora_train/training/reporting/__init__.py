"""What a run reports: events, curves, samples and files."""
