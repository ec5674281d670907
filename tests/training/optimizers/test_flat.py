"""Tensors put end to end, and the fused kernels, train as the library does with each tensor alone."""

from __future__ import annotations

import copy
import dataclasses
import io
from collections import Counter
from collections.abc import Callable
from typing import Any

import dadaptation
import lion_pytorch
import prodigyopt
import pytest
import schedulefree
import torch
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode

from lib_lora_train.config.groups.optimizer import OptimizerSettings
from lib_lora_train.training.optimizers import create
from lib_lora_train.training.optimizers.create import RatedParameters, averaged_weights, make_optimizer
from lib_lora_train.training.optimizers.flat import FlatAveraging, FlatOptimizer
from lib_lora_train.training.optimizers.kernels import has_fused_kernel
from lib_lora_train.training.optimizers.prodigy import Prodigy

SHAPES = [(8, 40), (40, 8), (4, 3, 3, 3), (20, 4, 1, 1), (4, 60), (40,), (1,), (2, 2, 3), (3, 5), (64, 16)]
"""Factors of LoRA, of LoCon, of LoKR, a scale of (IA)^3 and of DoRA, a Tucker core, and more."""
PRODIGY = {"decouple": True, "weight_decay": 0.01, "d_coef": 2.0, "use_bias_correction": True}
Make = Callable[[list[dict[str, Any]]], Optimizer]
LIBRARY: dict[str, Make] = {
    "Prodigy": lambda rows: prodigyopt.Prodigy(rows, lr=1.0, **PRODIGY),
    "DAdaptAdam": lambda rows: dadaptation.DAdaptAdam(rows, lr=1.0, decouple=True, weight_decay=0.01),
    "DAdaptLion": lambda rows: dadaptation.DAdaptLion(rows, lr=1.0, weight_decay=0.01, betas=(0.9, 0.999)),
    "Lion": lambda rows: lion_pytorch.Lion(rows, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.01),
    "AdamWScheduleFree": lambda rows: schedulefree.AdamWScheduleFree(rows, lr=1e-3, weight_decay=0.01)}


def joined(name: str, own: Optimizer) -> FlatOptimizer:
    kind = FlatAveraging if name == "AdamWScheduleFree" else FlatOptimizer
    return kind(own, create.JOINED[name], on_cpu=True)


class Task:
    """A teacher to be learned from noisy samples, by parameters of many shapes in two groups."""

    def __init__(self, make: Make, **group: Any) -> None:
        random = torch.Generator().manual_seed(0)
        self.parameters = [Parameter(torch.zeros(shape) if number % 2 else torch.randn(shape, generator=random) / 8)
                           for number, shape in enumerate(SHAPES)]
        self.goals = [torch.randn(shape, generator=random) / 8 for shape in SHAPES]
        self.optimizer = make([{"params": self.parameters[:4], "part": "text_encoder", **group},
                               {"params": self.parameters[4:], "part": "unet"}])
        self.step_number = 0
        if hasattr(self.optimizer, "train"):
            self.optimizer.train()

    def step(self, without: frozenset[int] = frozenset(), rate: float | None = None) -> None:
        """One step in which the parameters numbered ``without`` have no gradient."""
        self.step_number += 1
        random = torch.Generator().manual_seed(self.step_number)
        self.optimizer.zero_grad(set_to_none=True)
        for number, (parameter, goal) in enumerate(zip(self.parameters, self.goals, strict=True)):
            if number not in without:
                noise = torch.randn(goal.shape, generator=random) / 4
                parameter.grad = (parameter.detach() - goal + noise) / 100
        for group in self.optimizer.param_groups:
            group["lr"] = group["lr"] if rate is None else rate
        self.optimizer.step()

    @torch.no_grad()
    def start_from(self, other: Task) -> None:
        """Take the weights and the step of ``other``; the optimizer's state is loaded apart."""
        for parameter, trained in zip(self.parameters, other.parameters, strict=True):
            parameter.copy_(trained)
        self.step_number = other.step_number


def assert_alike(ours: Task, theirs: Task) -> None:
    """Within 5e-6, where weights are about 0.1: leaving out any setting moves them by 6e-4 or more."""
    for mine, other in zip(ours.parameters, theirs.parameters, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=5e-6)
    for mine, other in zip(ours.optimizer.param_groups, theirs.optimizer.param_groups, strict=True):
        for name in set(other) - {"params"}:
            value = other[name]
            assert mine[name] == (pytest.approx(value, rel=1e-4) if isinstance(value, float) else value), name


@pytest.mark.parametrize("name", LIBRARY)
def test_a_hundred_steps_end_to_end_are_the_librarys(name):
    ours, theirs = Task(lambda rows: joined(name, LIBRARY[name](rows))), Task(LIBRARY[name])
    moved = [parameter.detach().clone() for parameter in theirs.parameters]
    for _ in range(100):
        ours.step()
        theirs.step()
    assert_alike(ours, theirs)
    assert all(not torch.equal(before, after) for before, after in zip(moved, theirs.parameters, strict=True))


@pytest.mark.parametrize("name", LIBRARY)
def test_parameters_without_a_gradient_are_left_alone_as_the_library_leaves_them(name):
    """Those of a layer that clip skip leaves out never have one; with module dropout any may lack one."""
    ours, theirs = Task(lambda rows: joined(name, LIBRARY[name](rows))), Task(LIBRARY[name])
    start = ours.parameters[2].detach().clone()
    for number in range(60):
        without = frozenset({2, 5}) if number < 30 else frozenset({2, 7}) if number < 40 else frozenset({2})
        ours.step(without)
        theirs.step(without)
    assert_alike(ours, theirs)
    assert torch.equal(ours.parameters[2], start)


@pytest.mark.parametrize("name", LIBRARY)
@pytest.mark.parametrize("first_is_ours", [True, False])
def test_a_run_can_be_resumed_from_a_state_of_either(name, first_is_ours):
    makes: list[Make] = [lambda rows: joined(name, LIBRARY[name](rows)), LIBRARY[name]]
    before, after, whole = Task(makes[1 - first_is_ours]), Task(makes[first_is_ours]), Task(LIBRARY[name])
    for _ in range(20):
        before.step()
        whole.step()
    file = io.BytesIO()
    torch.save(before.optimizer.state_dict(), file)
    file.seek(0)
    after.optimizer.load_state_dict(torch.load(file, weights_only=True))
    after.start_from(before)
    for _ in range(20):
        after.step()
        whole.step()
    assert_alike(after, whole)


@pytest.mark.parametrize("name", LIBRARY)
def test_a_state_has_the_librarys_names_and_shapes(name):
    ours, theirs = Task(lambda rows: joined(name, LIBRARY[name](rows))), Task(LIBRARY[name])
    for task in (ours, theirs):
        task.step(frozenset({5}))
    mine, other = ({number: state for number, state in task.optimizer.state_dict()["state"].items() if state}
                   for task in (ours, theirs))
    assert mine.keys() == other.keys() and 5 not in mine
    for number, state in other.items():
        assert mine[number].keys() == state.keys()
        for entry, value in state.items():
            if isinstance(value, torch.Tensor) and value.ndim:  # p0 is one value where a tensor began at zero
                assert mine[number][entry].shape == value.shape


def test_the_averaged_weights_are_the_librarys():
    name = "AdamWScheduleFree"
    ours, theirs = Task(lambda rows: joined(name, LIBRARY[name](rows))), Task(LIBRARY[name])
    for _ in range(10):
        ours.step()
        theirs.step()
    trained = [parameter.detach().clone() for parameter in ours.parameters]
    with averaged_weights(ours.optimizer), averaged_weights(theirs.optimizer):
        assert_alike(ours, theirs)
        assert not torch.equal(ours.parameters[0], trained[0])
    assert all(map(torch.equal, ours.parameters, trained))
    ours.step()
    theirs.step()
    assert_alike(ours, theirs)


def test_what_an_optimizer_remembers_can_be_moved_away_and_back_while_a_run_stands_still():
    ours, theirs = Task(lambda rows: joined("Prodigy", LIBRARY["Prodigy"](rows))), Task(LIBRARY["Prodigy"])
    for number in range(20):
        ours.step()
        theirs.step()
        if number == 10:
            for state in ours.optimizer.state.values():
                for entry, value in state.items():
                    if isinstance(value, torch.Tensor):
                        state[entry] = value.clone()
            for parameter in ours.parameters:
                parameter.data = parameter.detach().clone()
    assert_alike(ours, theirs)


class Count(TorchDispatchMode):
    """How often PyTorch is asked for what, under it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls[function.overloadpacket.__name__] += 1
        return function(*args, **(kwargs or {}))


def calls_of(task: Task) -> Counter[str]:
    task.step()
    with Count() as count:
        task.step()
    return count.calls


@pytest.mark.parametrize("name", ["Prodigy", "DAdaptAdam", "DAdaptLion"])
def test_the_host_reads_sums_of_long_tensors_instead_of_each(name):
    reads = "_local_scalar_dense"
    alone = calls_of(Task(LIBRARY[name]))
    ours = calls_of(Task(lambda rows: joined(name, LIBRARY[name](rows))))
    assert alone[reads] == 2 * len(SHAPES) and ours[reads] == 2 * 2  # two sums of two groups
    if name == "Prodigy":
        fused = calls_of(Task(lambda rows: joined(name, Prodigy(rows, lr=1.0, **PRODIGY))))
        assert fused[reads] == 0 and fused["_fused_adamw_"] == 2  # all sums are copied together


SETTINGS: dict[str, dict[str, Any]] = {
    "as a job has it": {}, "safeguard_warmup": {"safeguard_warmup": True}, "growth_rate": {"growth_rate": 1.02},
    "without bias correction": {"use_bias_correction": False}, "beta3": {"beta3": 0.99},
    "without weight decay": {"weight_decay": 0.0}, "betas": {"betas": (0.8, 0.99)}, "eps": {"eps": 1e-6},
    "d0 and d_coef": {"d0": 1e-5, "d_coef": 0.5}, "coupled weight decay": {"decouple": False},
    "without momentum": {"betas": (0.0, 0.999)}, "slice_p": {"slice_p": 3}}


@pytest.mark.parametrize("on_cpu", [False, True])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_prodigy_is_the_librarys_in_a_hundred_steps_with_a_warmup(settings, on_cpu):
    arguments = {**PRODIGY, **settings}
    ours = Task(lambda rows: FlatOptimizer(Prodigy(rows, lr=1.0, **arguments), ("s", "p0"), on_cpu=on_cpu))
    theirs = Task(lambda rows: prodigyopt.Prodigy(rows, lr=1.0, **arguments))
    for number in range(100):
        for task in (ours, theirs):
            task.step(rate=min(1.0, number / 10))
    assert_alike(ours, theirs)


def test_prodigy_takes_the_weight_decay_of_each_group():
    ours = Task(lambda rows: Prodigy(rows, lr=1.0, **PRODIGY), weight_decay=0.5)
    theirs = Task(lambda rows: prodigyopt.Prodigy(rows, lr=1.0, **PRODIGY), weight_decay=0.5)
    for _ in range(50):
        ours.step(frozenset({1}))
        theirs.step(frozenset({1}))
    assert_alike(ours, theirs)


def test_prodigy_resumes_from_a_state_of_the_library():
    ours = Task(lambda rows: Prodigy(rows, lr=1.0, **PRODIGY))
    theirs = Task(lambda rows: prodigyopt.Prodigy(rows, lr=1.0, **PRODIGY))
    for _ in range(20):
        theirs.step()
    ours.optimizer.load_state_dict(copy.deepcopy(theirs.optimizer.state_dict()))
    ours.start_from(theirs)
    for _ in range(20):
        ours.step()
        theirs.step()
    assert_alike(ours, theirs)


def test_a_step_of_zero_gradients_changes_nothing():
    parameter = Parameter(torch.ones(4))
    optimizer = Prodigy([parameter], lr=1.0, **PRODIGY)
    parameter.grad = torch.zeros(4)
    optimizer.step()
    assert torch.equal(parameter, torch.ones(4)) and optimizer.param_groups[0]["d"] == 1e-6


@pytest.mark.parametrize("name, arguments, wanted", [
    ("AdamW", [], True), ("AdamW", ["foreach=True"], None), ("AdamW", ["fused=False"], False),
    ("SGDNesterov", [], True)])
def test_fused_kernels_are_used_where_pytorch_has_them(name, arguments, wanted):
    if not has_fused_kernel("cpu") or not has_fused_kernel("cpu", torch.optim.SGD):
        pytest.skip(f"PyTorch {torch.__version__} has no fused kernels on the CPU")
    settings = OptimizerSettings(optimizer_type=name, optimizer_args=arguments)
    optimizer = make_optimizer([RatedParameters("unet", [Parameter(torch.ones(3))], 1e-3)], settings, pytest.fail)
    assert optimizer.param_groups[0]["fused"] is wanted


def test_an_older_pytorch_without_fused_kernels_trains_with_its_own(monkeypatch):
    monkeypatch.setattr(create, "has_fused_kernel", lambda *kind: False)
    monkeypatch.setattr("lib_lora_train.training.optimizers.kernels.has_fused_kernel", lambda device: False)
    for name in ("AdamW", "SGDNesterov"):
        settings = OptimizerSettings(optimizer_type=name)
        optimizer = make_optimizer([RatedParameters("unet", [Parameter(torch.ones(3))], 1e-3)], settings, pytest.fail)
        assert not optimizer.param_groups[0].get("fused")
    ours, theirs = Task(lambda rows: Prodigy(rows, lr=1.0, **PRODIGY)), Task(LIBRARY["Prodigy"])
    for _ in range(5):
        ours.step()
        theirs.step()
    assert all(map(torch.equal, ours.parameters, theirs.parameters))


def test_fused_adamw_is_adamw_within_rounding():
    ours = Task(lambda rows: torch.optim.AdamW(rows, lr=1e-3, weight_decay=0.01, fused=True))
    theirs = Task(lambda rows: torch.optim.AdamW(rows, lr=1e-3, weight_decay=0.01))
    for _ in range(100):
        ours.step()
        theirs.step()
    for mine, other in zip(ours.parameters, theirs.parameters, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", LIBRARY)
def test_a_job_that_learns_in_the_backward_pass_keeps_its_tensors_apart(name):
    settings = dataclasses.replace(OptimizerSettings(), optimizer_type=name)
    groups = [RatedParameters("unet", [Parameter(torch.ones(3))], 1.0)]
    assert isinstance(make_optimizer(groups, settings, pytest.fail), FlatOptimizer)
    assert not isinstance(make_optimizer(groups, settings, pytest.fail, joins=False), FlatOptimizer)
