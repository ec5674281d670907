"""Installs, checks and repairs the worker's environment, and starts Python in it. Standard library only."""

from __future__ import annotations

from .folders import OPTIONAL_GROUPS, WAY_OUT, EnvironmentState, check, environment_root, log_file
from .installing import add_optional, install, remove_superseded, repair
from .interpreter import (
    ensure_worker_interpreter,
    enter,
    make_virtual_environment,
    worker_command,
    worker_environ,
)

__all__ = [
    "OPTIONAL_GROUPS",
    "WAY_OUT",
    "EnvironmentState",
    "add_optional",
    "check",
    "ensure_worker_interpreter",
    "enter",
    "environment_root",
    "install",
    "log_file",
    "make_virtual_environment",
    "remove_superseded",
    "repair",
    "worker_command",
    "worker_environ",
]
