"""From a loss to learned weights: backward, clipping and stepping, for the training step one object."""

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
        """The norm of all gradients of this step before they were clipped, a scalar on their device."""

    def step(self) -> None:
        """Learn from the gradients, and free them."""

    def held(self) -> AbstractContextManager[None]:
        """Gradients that come in here are freed, and nothing is learned from them."""


class PlainSteps:
    """All gradients are gathered, clipped together, and then learned from."""

    def __init__(self, accelerator: Accelerator, optimizer: torch.optim.Optimizer, parameters: list[Parameter],
                 max_grad_norm: float) -> None:
        """``max_grad_norm`` of 0 clips nothing. ``optimizer`` is the one that ``accelerator`` has prepared.

        Of ``parameters``, those that ``optimizer`` does not have (their rate is 0) are neither measured nor learned.
        """
        learned = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        self._accelerator = accelerator
        self._optimizer = optimizer
        self._parameters = [parameter for parameter in parameters if id(parameter) in learned]
        self._limit = max_grad_norm or math.inf  # which changes nothing, and gives the norm all the same

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of ``loss``, scaled in fp16."""
        self._accelerator.backward(loss)

    def take_norm(self) -> Tensor:
        """Clip the gradients to the limit; their norm before that."""
        norm: Tensor = self._accelerator.clip_grad_norm_(self._parameters, self._limit)
        return norm

    def step(self) -> None:
        """Learn from the gradients, and free them."""
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Gradients that come in here are freed at the end, and nothing is learned from them."""
        try:
            yield
        finally:
            self._optimizer.zero_grad(set_to_none=True)
