"""In the webui's environment, which has no torch here and an older Pillow, what needs more is left to the worker's."""

from __future__ import annotations

import importlib.util

from PIL import Image

Image.init()
collect_ignore: list[str] = []
if importlib.util.find_spec("torch") is None:
    collect_ignore += ["test_augment.py"]
if "AVIF" not in Image.SAVE:
    collect_ignore += ["test_avif_of_pillow.py"]
