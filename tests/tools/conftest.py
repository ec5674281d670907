from __future__ import annotations

from dataclasses import replace

import pytest

from tests.models.conftest import tiny_base, tiny_file
from tests.models.tiny_checkpoint import Tiny, few_words, make_tiny

__all__ = ["tiny_base", "tiny_file"]


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    whole = make_tiny()
    return replace(whole, state=few_words(whole.state))
