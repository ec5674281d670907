"""The groups of settings that make up a job."""
