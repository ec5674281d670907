"""Exports a job as settings for other programs, or as a file to share."""
