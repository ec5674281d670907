"""Atomic writing, locking, confining paths to a folder, and safetensors headers. Standard library only."""
