"""In the webui's environment, which has no torch here, what needs it is left to the worker's."""

from __future__ import annotations

import importlib.util

collect_ignore = [] if importlib.util.find_spec("torch") else ["test_latents.py"]
