"""Which webui this is."""

from __future__ import annotations

import importlib.util

from .interface import Host


def host_of_this_process() -> Host:
    """The host that fits the webui this runs in."""
    if importlib.util.find_spec("modules_forge") is not None:
        from .forge import Forge

        return Forge()
    from .webui import Webui

    return Webui()
