from __future__ import annotations

from tests.models.conftest import micro, micro_base, micro_file, tiny, tiny_base, tiny_file

__all__ = ["micro", "micro_base", "micro_file", "tiny", "tiny_base", "tiny_file"]
