"""Typed job settings: names, ranges, defaults, help texts, and loading of job files."""
