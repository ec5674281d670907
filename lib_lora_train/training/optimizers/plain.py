"""Backward, clipping and stepping behind a single interface for the training step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import Parameter


class Descent(Protocol):
    """Backward, clipping and stepping; the plain kind (``PlainSteps``) or the fused one (``FusedSteps``)."""

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of ``loss``, a scalar."""

    def take_norm(self) -> Tensor:
        """The norm of all gradients of this step before clipping, a scalar on their device."""

    def step(self) -> None:
        """Update the parameters, and free the gradients."""

    def held(self) -> AbstractContextManager[None]:
        """Free gradients without an update within the context."""


class PlainSteps:
    """Accumulates all gradients, clips them together, and then updates the parameters."""

    def __init__(self, accelerator: Accelerator, optimizer: torch.optim.Optimizer, parameters: list[Parameter],
                 max_grad_norm: float) -> None:
        """``max_grad_norm`` of 0 disables clipping. ``optimizer`` is the one prepared by ``accelerator``.

        ``parameters`` that are not in ``optimizer`` (their rate is 0) are neither measured nor updated.
        """
        learned = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        self._accelerator = accelerator
        self._optimizer = optimizer
        self._parameters = [parameter for parameter in parameters if id(parameter) in learned]
        self.limit_norm(max_grad_norm)

    def limit_norm(self, max_grad_norm: float) -> None:
        """Clip to ``max_grad_norm`` from now on."""
        self._limit = max_grad_norm or math.inf  # changes nothing, but still returns the norm

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of ``loss``, scaled in fp16."""
        self._accelerator.backward(loss)

    def take_norm(self) -> Tensor:
        """Clip the gradients to the limit; returns their norm before that."""
        norm: Tensor = self._accelerator.clip_grad_norm_(self._parameters, self._limit)
        return norm

    def step(self) -> None:
        """Update the parameters, and free the gradients."""
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Free gradients at the end of the context, without an update."""
        try:
            yield
        finally:
            self._optimizer.zero_grad(set_to_none=True)
