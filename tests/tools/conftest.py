from __future__ import annotations

from dataclasses import replace

import pytest

from tests.models.conftest import tiny_base, tiny_file
from tests.models.tiny_checkpoint import VAE, Tiny, few_words, make_narrow
from tests.models.tiny_families import NARROW_XL, SSD_SHAPE, State, sd2_state, sdxl_state

__all__ = ["tiny_base", "tiny_file"]


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    whole = make_narrow()
    return replace(whole, state=few_words(whole.state))


@pytest.fixture(scope="session")
def states(tiny: Tiny) -> dict[str, State]:
    """A checkpoint of each family, with a few of the words; all but that of SD 1.x without a VAE."""
    others = {"SD 2.x": sd2_state(), "SDXL": sdxl_state(0, NARROW_XL), "SSD-1B": sdxl_state(0, SSD_SHAPE)}
    return {"SD 1.x": tiny.state} | {
        family: few_words({key: tensor for key, tensor in state.items() if not key.startswith(VAE)})
        for family, state in others.items()}
