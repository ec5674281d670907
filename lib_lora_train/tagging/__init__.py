"""Taggers: ONNX models that say what is in a picture. Runs in the worker only."""
