"""What holds for every test."""

from __future__ import annotations

import gc

OBJECTS = 100_000


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what the imports made, and run less often: an eighth of the time was its.

    torch and gradio are a million objects that stay, and to build a model makes the collector look through all of them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS, 20, 50)
