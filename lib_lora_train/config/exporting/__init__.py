"""A job as settings for other programs, and as a file for others."""
