"""Runs an optimizer's step over a few long tensors instead of hundreds of small ones.

Prodigy and D-Adaptation read a value back for each tensor, and every optimizer launches a dozen operations for each:
with the 528 tensors of a LoRA on SD 1.x that is thousands per step. Apart from sums over all tensors, their
computations are elementwise, so tensors can be concatenated and the library's own step applied to the result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

_MOST_VALUES = 2 ** 24
"""In one long tensor; the library's temporary tensors are as long, 64 MB each."""


class _Span:
    """Parameters that are concatenated in ``flat`` during a step."""

    def __init__(self, parameters: list[Parameter]) -> None:
        self.parameters = parameters
        self.sizes = [parameter.numel() for parameter in parameters]
        self.flat = Parameter(parameters[0].new_empty(0))

    def gather(self) -> None:
        """Fill ``flat`` and its gradient from the parameters, and free their gradients."""
        self.flat.data = torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters])
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        if gradients:
            self.flat.grad = torch.cat([gradient.reshape(-1) for gradient in gradients])
            for parameter in self.parameters:
                parameter.grad = None

    def scatter(self) -> None:
        """Copy the values back to the parameters, and free the copies."""
        parts = [parameter.detach().view(-1) for parameter in self.parameters]
        torch.split_with_sizes_copy(self.flat.detach(), self.sizes, out=parts)
        self.flat.grad = None
        self.flat.data = self.flat.new_empty(0)

    def joined(self, states: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """The library's state for ``flat``, from its state for each parameter; ``None`` if they cannot be combined."""
        if any(state.keys() != states[0].keys() for state in states):
            return None
        whole: dict[str, Any] = {}
        for name in states[0]:
            values = [state[name] for state in states]
            if any(isinstance(value, Tensor) and value.ndim for value in values):
                # a single value per tensor, as Prodigy stores for a tensor that began at zero, mixed with whole
                # tensors
                whole[name] = torch.cat([value.expand(size) if value.ndim == 0 else value.reshape(-1)
                                         for value, size in zip(values, self.sizes, strict=True)])
            elif any(value != values[0] for value in values):
                return None
            else:
                whole[name] = values[0]
        return whole

    def split(self, state: dict[str, Any],
              one_dimensional: Sequence[str]) -> Iterator[tuple[Parameter, dict[str, Any]]]:
        """The reverse of ``joined``: each parameter with its part of ``state``, as views."""
        parts = {name: value.split(self.sizes) if isinstance(value, Tensor) and value.ndim else
                 [value] * len(self.sizes) for name, value in state.items()}
        for number, parameter in enumerate(self.parameters):
            own = {name: part[number] for name, part in parts.items()}
            yield parameter, {name: value.view_as(parameter) if isinstance(value, Tensor) and value.ndim and
                              name not in one_dimensional else value for name, value in own.items()}


class FlatOptimizer(torch.optim.Optimizer):
    """A library's optimizer that steps over few long tensors.

    Its groups and its ``state_dict`` are those of the library's optimizer over the parameters themselves, whose files
    it can load; a step frees the gradients. Parameters without a gradient are skipped, as in the library. If the set
    of parameters with gradients changes between steps, or states cannot be combined, the library steps each parameter
    alone from then on. It also does so on the CPU, where each tensor fits into the processor's cache and copying costs
    more.
    """

    def __init__(self, own: torch.optim.Optimizer, one_dimensional: Sequence[str] = (), *,
                 on_cpu: bool = False) -> None:
        """``own`` is the library's optimizer, over the parameters; ``one_dimensional`` are the states it stores as
        vectors.

        ``on_cpu`` concatenates tensors on the CPU too.
        """
        super().__init__(own.param_groups, own.defaults)
        self._own, self._one_dimensional, self._on_cpu = own, one_dimensional, on_cpu
        self._spans: list[list[_Span]] | None = None
        self._learned: list[int] = []
        self._resting: dict[Tensor, Any] = {}  # states of parameters that are not trained at present
        self._may_join = True
        self._step_alone()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step for every parameter that has a gradient."""
        learned = [id(parameter) for group in self.param_groups for parameter in group["params"]
                   if parameter.grad is not None]
        if self._spans is None and self._may_join:
            self._may_join = self._join()
            self._learned = learned
        elif self._spans is not None and learned != self._learned:
            self._part()
        with self._gathered():
            return self._own.step(closure)

    def state_dict(self) -> dict[str, Any]:
        """The state of each parameter, in the format of the library's optimizer over the parameters."""
        if self._spans is None:
            return super().state_dict()
        joined = self.state
        self.state = self._parted()
        try:
            return super().state_dict()
        finally:
            self.state = joined

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state of this optimizer or of the library's."""
        self._spans, self._may_join, self._resting = None, True, {}
        self.state = defaultdict(dict)
        super().load_state_dict(state_dict)
        self._step_alone()

    def rejoin(self) -> None:
        """Concatenate anew in the next step, in which other parameters are trained."""
        if self._spans is not None:
            self._part()
        self._may_join = True

    def _step_alone(self) -> None:
        self._own.param_groups, self._own.state = self.param_groups, self.state

    def _join(self) -> bool:
        """Concatenate the parameters that have a gradient, with their states; returns whether that was possible."""
        spans: list[list[_Span]] = []
        states: dict[Tensor, Any] = {}
        resting = dict(self.state)
        for group in self.param_groups:
            learned = [parameter for parameter in group["params"] if parameter.grad is not None]
            for parameter in learned:
                resting.pop(parameter, None)
            if group.get("slice_p", 1) != 1 or not all(map(self._can_join, learned)):
                return False
            spans.append([_Span(parameters) for parameters in _runs(learned)])
            for span in spans[-1]:
                state = span.joined([self.state.get(parameter, {}) for parameter in span.parameters])
                if state is None:
                    return False
                if state:
                    states[span.flat] = state
        if not any(spans):
            return True  # nothing to learn from yet
        self._own.param_groups = [{**group, "params": [span.flat for span in row]}
                                  for group, row in zip(self.param_groups, spans, strict=True)]
        self._own.state = self.state = defaultdict(dict, states)
        self._spans, self._resting = spans, resting
        return True

    def _can_join(self, parameter: Parameter) -> bool:
        return parameter.is_contiguous() and (self._on_cpu or parameter.device.type != "cpu")

    def _part(self) -> None:
        """Step each parameter alone from now on."""
        state = self._parted()
        self.state = defaultdict(dict, {
            parameter: {name: value.clone() if isinstance(value, Tensor) else value for name, value in own.items()}
            for parameter, own in state.items()})
        self._spans, self._may_join, self._resting = None, False, {}
        self._step_alone()

    def _parted(self) -> defaultdict[Tensor, Any]:
        """The state by parameter."""
        assert self._spans is not None
        parted: defaultdict[Tensor, Any] = defaultdict(dict, self._resting)
        for span in (span for row in self._spans for span in row):
            if span.flat in self.state:
                parted.update(span.split(self.state[span.flat], self._one_dimensional))
        return parted

    @contextmanager
    def _gathered(self) -> Iterator[None]:
        """Synchronize our groups with the library's and fill the long tensors, then copy everything back."""
        if self._spans is None:
            yield
            return
        groups = list(zip(self.param_groups, self._own.param_groups, strict=True))
        for ours, theirs in groups:
            theirs.update({**ours, "params": theirs["params"]})
        for span in (span for row in self._spans for span in row):
            span.gather()
        yield
        for ours, theirs in groups:
            ours.update({**theirs, "params": ours["params"]})
        for span in (span for row in self._spans for span in row):
            span.scatter()


class FlatAveraging(FlatOptimizer):
    """The same for optimizers with separate weights for training and saving, such as the schedule-free ones."""

    @torch.no_grad()
    def train(self) -> None:
        """Switch to the weights to train."""
        with self._gathered():
            self._own.train()  # type: ignore[attr-defined]

    @torch.no_grad()
    def eval(self) -> None:
        """Switch to the weights to save."""
        with self._gathered():
            self._own.eval()  # type: ignore[attr-defined]


def _runs(parameters: Sequence[Parameter]) -> Iterator[list[Parameter]]:
    """Split ``parameters``, in order, into runs of one dtype and device that fit into a long tensor."""
    run: list[Parameter] = []
    size = 0
    for parameter in parameters:
        other = run and (run[0].dtype, run[0].device) != (parameter.dtype, parameter.device)
        if run and (other or size + parameter.numel() > _MOST_VALUES):
            yield run
            run, size = [], 0
        run.append(parameter)
        size += parameter.numel()
    if run:
        yield run
