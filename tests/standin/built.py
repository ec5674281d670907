"""A webui whose page is built and that has its modules loaded, for processes that are forked then and serve it."""

from __future__ import annotations

import gc
import importlib
import tempfile
from pathlib import Path

from .webui import Options, StandinWebui

_LOADED_WHEN_SERVED = ("anyio._backends._asyncio", "lib_lora_train.runs.lend_ticket", "uvicorn.lifespan.on",
                       "uvicorn.loops.auto", "uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto")


def built_webui() -> StandinWebui:
    """A webui that has to be configured before it is served."""
    with tempfile.TemporaryDirectory() as data:
        webui = StandinWebui(Options(data_dir=Path(data), port=0))
    webui.build()
    for name in _LOADED_WHEN_SERVED:
        importlib.import_module(name)
    gc.freeze()  # the collector of a forked process need not look at, and copy, what was there before
    return webui


BUILT = built_webui()
