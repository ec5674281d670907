"""Which of PyTorch's optimizers have a kernel that computes a whole step in one pass, and where."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch.nn import Parameter


@lru_cache
def has_fused_kernel(device: str, kind: type[torch.optim.Optimizer] = torch.optim.AdamW) -> bool:
    """Whether ``kind`` has a fused kernel on devices of the type ``device``: PyTorch 2.1 has AdamW's on CUDA only."""
    try:
        kind([Parameter(torch.zeros(1, device=device))], lr=1.0, fused=True)  # type: ignore[call-arg]
    except (RuntimeError, TypeError):
        return False
    return True
