"""The reason why the webui takes its lock, in the words that the page shows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

from ..runs.hold import WEBUI, Reason

_QUEUE_MODULE = "modules.call_queue"
_JOBS = {
    "txt2img": "an image in txt2img", "txt2img_upscale": "an image in txt2img", "img2img": "an image in img2img",
    "text2imgapi": "an image through the API", "img2imgapi": "an image through the API",
    "run_postprocessing": "an image in Extras", "run_postprocessing_webui": "an image in Extras",
    "extras_single_image_api": "an image through the API", "extras_batch_images_api": "an image through the API"}
"""The webui's functions that take the lock, or that are called with it."""
_SOMETHING = Reason(WEBUI, "the webui")
_given: ContextVar[Reason | None] = ContextVar("train_lora_asks", default=None)


@contextmanager
def asking_for(reason: Reason) -> Iterator[None]:
    """Within the context, this thread takes the lock for ``reason``."""
    token = _given.set(reason)
    try:
        yield
    finally:
        _given.reset(token)


def reason_now() -> Reason:
    """The reason for which this thread takes the webui's lock: from ``asking_for``, else from the webui's calling
    function.

    The lock itself does not know the reason, so this inspects the caller: a route of the API, or the wrapper of the
    webui's buttons, which has the button's function as ``func``.
    """
    given, frame = _given.get(), sys._getframe(1)
    if given is not None:
        return given
    caller: FrameType | None = frame
    while caller is not None:
        why = _JOBS.get(caller.f_code.co_name) or (
            _JOBS.get(getattr(caller.f_locals.get("func"), "__name__", ""))
            if caller.f_globals.get("__name__") == _QUEUE_MODULE else None)
        if why:
            return Reason(WEBUI, why)
        caller = caller.f_back
    return _SOMETHING
