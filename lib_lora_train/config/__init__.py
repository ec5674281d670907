"""Typed job settings: what can be set, its range, default, help, and how a job file is read."""
