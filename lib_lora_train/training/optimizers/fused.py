"""The fused backward pass: each parameter is updated as soon as its gradient is computed, and the gradient is freed.

The idea is that of PyTorch's "optimizer step in backward"; sd-scripts has it as ``--fused_backward_pass``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from ...errors import ConfigError


class FusedSteps:
    """Steps each parameter during backward, and then frees its gradient."""

    def __init__(self, optimizer: torch.optim.Optimizer, *, scaled: bool) -> None:
        """Raises ``ConfigError`` if gradients are ``scaled``, as in fp16: the scale is only known after backward."""
        if scaled:
            raise ConfigError("training.fused_backward_pass does not work with fp16, which this GPU needs. Switch it "
                              "off.")
        self._optimizer = optimizer
        self._learns = True
        self._squares: list[Tensor] = []
        for number, group in enumerate(optimizer.param_groups):
            for parameter in group["params"]:
                parameter.register_post_accumulate_grad_hook(partial(self._step, number))

    def backward(self, loss: Tensor) -> None:
        """Update parameters from the gradients of ``loss`` as they arrive."""
        loss.backward()  # type: ignore[no-untyped-call]

    def step(self) -> None:
        """Does nothing: ``backward`` has already updated the parameters."""

    def take_norm(self) -> Tensor:
        """The norm of all gradients since the last call, a scalar."""
        norm = torch.stack(self._squares).sum().sqrt() if self._squares else torch.zeros(())
        self._squares = []
        return norm

    @contextmanager
    def held(self) -> Iterator[None]:
        """Free gradients without an update within the context."""
        self._learns = False
        try:
            yield
        finally:
            self._learns = True

    def _step(self, number: int, parameter: Tensor) -> None:
        """Update ``parameter`` with its group, by number: a resumed run's groups are not those it was created with."""
        if self._learns:
            assert parameter.grad is not None
            self._squares.append(parameter.grad.float().square().sum())
            groups = self._optimizer.param_groups
            self._optimizer.param_groups = [{**groups[number], "params": [parameter]}]
            try:
                self._optimizer.step()
            finally:
                self._optimizer.param_groups = groups
        parameter.grad = None
