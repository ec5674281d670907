"""Processes forked from one that has loaded everything already, which takes most of a start."""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing.context import ForkServerContext


def forked_after(module: str) -> ForkServerContext:
    """Makes processes that have imported ``module``; of several calls in a process the first decides."""
    main = vars(sys.modules["__main__"])
    if main.get("__spec__") is None:  # not "python -m": a process would run that file, and so all the tests, once more
        main.pop("__file__", None)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    return context
