"""Taggers: ONNX models that tag images. Runs in the worker only."""
