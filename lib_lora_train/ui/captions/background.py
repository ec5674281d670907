"""Work of the caption editor in the background, whose failures the page shows."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ...errors import TrainLoraError

BACKGROUND = "train-lora-captions"
"""The name of every thread of it."""


def in_background(act: Callable[[], None], failed: Callable[[str], None]) -> threading.Thread:
    """Run ``act`` in a thread; ``failed`` gets the message of what it raises, since the page must not wait forever."""
    def run() -> None:
        try:
            act()
        except TrainLoraError as problem:
            failed(str(problem))
        except Exception as problem:  # a bug of ours
            logging.getLogger(__name__).exception("background work of the caption editor failed")
            failed(f"Something went wrong here that should not: {problem!r}")

    thread = threading.Thread(target=run, name=BACKGROUND, daemon=True)
    thread.start()
    return thread
