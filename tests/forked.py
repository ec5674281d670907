"""Processes forked from one that has loaded everything already, which takes most of a start."""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing.context import ForkServerContext
from pathlib import Path


def forked_after(module: str) -> ForkServerContext:
    """Makes processes that have imported ``module``; of several calls in a process the first decides."""
    main = vars(sys.modules["__main__"])
    if not Path(main.get("__file__") or "none").is_file():
        main.pop("__file__", None)  # "<stdin>", which the fork server would look for
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    return context
