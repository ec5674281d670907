"""In the webui's environment, which has no torch here, only the torch-free part is tested; the worker tests all."""

from __future__ import annotations

import importlib.util

collect_ignore = [] if importlib.util.find_spec("torch") else ["test_latents.py", "test_augment.py"]
