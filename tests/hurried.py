"""A pytest plugin that lets the tab's threads look for work 20 to 150 times as often as they do.

``python tests/run.py host -p tests.hurried`` finds tests that pass only as long as a thread comes too late to disturb
them, and what the tab does wrong if it comes between two steps of a request.
"""

from __future__ import annotations

import importlib

import pytest

INTERVALS = {
    "lib_lora_train.runs.supervisor": ("_BUSY_POLL_SECONDS", "_IDLE_POLL_SECONDS"),
    "lib_lora_train.ui.runs.compare.grid": ("_POLL_SECONDS",),
    "lib_lora_train.ui.runs.finished.desk": ("_POLL_SECONDS",),
    "lib_lora_train.ui.runs.strip": ("_POLL_SECONDS",)}
SECONDS = 0.03
"""Longer than requests wait for one another (``runs.queue``)."""


def pytest_configure(config: pytest.Config) -> None:
    """Change the modules before a test imports what is in them."""
    for name, constants in INTERVALS.items():
        module = importlib.import_module(name)
        for constant in constants:
            assert getattr(module, constant) > SECONDS
            setattr(module, constant, SECONDS)
