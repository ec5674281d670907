"""Images made by a machine, recognized by their names, and the image that an edited one was made from.

``x-edit.png`` is an edited version of ``x.png``, ``x-made.png`` was generated. A name survives whatever moves or copies
the file, in this program or outside of it, and every trainer keeps it.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

EDITED, MADE = "-edit", "-made"
"""What follows the stem of an image's name; a number may follow where several have it."""

_MARKED = re.compile(r"(.+)-(edit|made)(?:-[0-9]+)?", re.IGNORECASE)


def edited_of(name: str) -> str | None:
    """The stem of the image that ``name``, a file name, is an edited version of, case-folded; ``None`` if of none."""
    found = _MARKED.fullmatch(PurePosixPath(name).stem)
    return found[1].casefold() if found and found[2].lower() == "edit" else None


def origin_of(name: str) -> str:
    """``edit`` or ``made`` if the name says that a model edited or generated the image, else empty."""
    found = _MARKED.fullmatch(PurePosixPath(name).stem)
    return found[2].lower() if found else ""
