"""Masks for the images of a folder, made in the worker."""
