from __future__ import annotations

from tests.models.conftest import tiny, tiny_base, tiny_file

__all__ = ["tiny", "tiny_base", "tiny_file"]
