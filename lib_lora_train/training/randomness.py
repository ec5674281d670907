"""Random numbers that depend only on the seed and the position in the run.

Each step has its own generator, so a resumed run uses the same numbers as an uninterrupted one, and a sample or a
validation in between changes nothing.
"""

from __future__ import annotations

import hashlib

import torch


def seed_for(seed: int, *place: int | str) -> int:
    """A 63-bit seed for one position in the run, such as ``("noise", step, micro_batch)``."""
    text = ":".join([str(seed), *map(str, place)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_for(seed: int, *place: int | str) -> torch.Generator:
    """A CPU generator for one position in the run; the same numbers on every device."""
    return torch.Generator("cpu").manual_seed(seed_for(seed, *place))
