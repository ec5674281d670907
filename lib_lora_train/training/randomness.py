"""Random numbers that depend on the seed and the place in the run, and on nothing else.

A step draws from a generator made for it alone, so a resumed run draws what it would have
drawn, and a sample picture or a validation in between changes nothing.
"""

from __future__ import annotations

import hashlib

import torch


def seed_for(seed: int, *place: int | str) -> int:
    """A 63-bit seed for one place in the run, such as ``("noise", step, micro_batch)``."""
    text = ":".join([str(seed), *map(str, place)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_for(seed: int, *place: int | str) -> torch.Generator:
    """A CPU generator for one place in the run; the same numbers on every device."""
    return torch.Generator("cpu").manual_seed(seed_for(seed, *place))
