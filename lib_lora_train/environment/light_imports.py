"""Loads the worker's libraries without unneeded dependencies: compilers, quantizers and other models.

diffusers and transformers import every optional dependency that is installed, and parts of torch that a run never
calls; that takes longer than loading what is needed. What is skipped here can still be imported later, but for
diffusers' pipelines, which no run uses.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_COMPILER = "torch._dynamo"
_PARALLEL = ("torch.distributed.tensor", "torch.distributed.tensor.parallel")
_OF_DIFFUSERS = ("diffusers.utils.torch_utils", "diffusers.loaders.single_file_utils",
                 "diffusers.models.autoencoders.autoencoder_kl", "diffusers.models.unets.unet_2d_condition",
                 "diffusers.schedulers.scheduling_ddpm", "diffusers.schedulers.scheduling_dpmsolver_multistep")
_COMPANIONS = ("_bitsandbytes_available", "_transformers_available")


def import_lightly() -> None:
    """Import diffusers' models and transformers' CLIP; to be called before anything else imports them.

    If a library is loaded already, or another version has a different layout, this only costs time.
    """
    if "diffusers" not in sys.modules:
        flags = importlib.import_module("diffusers.utils.import_utils")
        with _hidden([_COMPILER]), _switched_off(flags, _COMPANIONS):
            for name in _OF_DIFFUSERS:
                importlib.import_module(name)
    if "transformers.pytorch_utils" not in sys.modules:
        with _replaced(_PARALLEL):
            importlib.import_module("transformers.models.clip.modeling_clip")


def import_compiler_beside() -> None:
    """Import torch's compiler in a thread: optimizers load it at their first call, though nothing is compiled.

    Until then a run mostly reads files and computes, which leaves the GIL to this thread.
    """
    threading.Thread(target=importlib.import_module, args=(_COMPILER,), name="compiler", daemon=True).start()


@contextmanager
def _hidden(names: Sequence[str]) -> Iterator[None]:
    """Within the context, importing ``names`` that are not loaded yet fails, as if they were not installed."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


@contextmanager
def _replaced(names: Sequence[str]) -> Iterator[None]:
    """Within the context, ``names`` that are not loaded yet are modules in which every name is an empty class."""
    replaced = [name for name in names if name not in sys.modules]
    for name in replaced:
        sys.modules[name] = _Placeholder(name)
    try:
        yield
    finally:
        for name in replaced:
            sys.modules.pop(name, None)


class _Placeholder(ModuleType):
    """A package in which every name is an empty class."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


@contextmanager
def _switched_off(module: ModuleType, names: Sequence[str]) -> Iterator[None]:
    """Within the context, the existing flags ``names`` of ``module`` are ``False``."""
    before = {name: getattr(module, name) for name in names if hasattr(module, name)}
    try:
        for name in before:
            setattr(module, name, False)
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)
