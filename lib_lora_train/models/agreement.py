"""Tests whether a training step in bf16 agrees with float32 on this processor, on fixed noise."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..files.atomic import write_atomically
from ..files.json_file import DamagedFileError, read_object
from .family import END_TOKEN
from .load import BaseModel
from .stored_weights import computing_in

TOLERANCE = 0.15
"""The largest allowed relative error of bf16 against float32, in the prediction and the gradients.

bf16 keeps 8 bits, so that each operation has an error of up to 2⁻⁹. Some 300 follow each other in a UNet and as many
in the backward pass; as their errors are independent, they add up to about √600 · 2⁻⁹ = 5 %. Three times that is more
than rounding, and a kernel that computes something else is off by 100 %.
"""
_MOST_REMEMBERED = 100
_PIXELS = 64
_TOKENS = 77
_TIMESTEP = 500
_SEED = 20


@dataclass(frozen=True)
class _Step:
    """The results of a step: the loss, and the prediction and gradients to compare."""

    loss: float
    tensors: tuple[Tensor, ...]


def difference_to_float32(base: BaseModel) -> float:
    """The largest relative error of a step of ``base`` in bf16 against float32, 0.01 for 1 %.

    A step is forward and backward through the text encoders and the UNet, at 64 pixels. It compares the loss, the
    prediction, and the gradients of the latents and the embedded tokens, which pass through every layer. ``base`` is
    restored afterwards. Infinite if bf16 gives NaN.
    """
    networks = (base.unet, *base.text_encoders)
    with ExitStack() as stack:
        for network in networks:
            stack.enter_context(computing_in(network, torch.float32))
        exact = _step(base)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = _step(base)
    errors = [_relative(ours, theirs) for ours, theirs in zip(rounded.tensors, exact.tensors, strict=True)]
    errors.append(abs(rounded.loss - exact.loss) / max(exact.loss, 1e-12))
    worst = max(errors)
    return worst if all(error == error for error in errors) else float("inf")


def _step(base: BaseModel) -> _Step:
    generator = torch.Generator().manual_seed(_SEED)
    latents = torch.randn((1, 4, _PIXELS // 8, _PIXELS // 8), generator=generator).requires_grad_()
    target = torch.randn(latents.shape, generator=generator)
    tokens = torch.randint(0, END_TOKEN - 1, (1, _TOKENS), generator=generator)
    tokens[0, -1] = END_TOKEN
    with torch.enable_grad(), _embeddings(base) as embedded:
        outputs = [encoder(tokens, output_hidden_states=True, return_dict=True) for encoder in base.text_encoders]
        hidden = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
        conditioning = None
        if base.family.has_size_conditioning:
            sizes = torch.tensor([[_PIXELS, _PIXELS, 0, 0, _PIXELS, _PIXELS]], dtype=torch.float32)
            conditioning = {"text_embeds": outputs[-1].text_embeds, "time_ids": sizes}
        dtype = base.unet.dtype
        prediction = base.unet(latents.to(dtype), torch.tensor([_TIMESTEP]), hidden.to(dtype),
                               added_cond_kwargs=conditioning, return_dict=False)[0].float()
        loss = (prediction - target).square().mean()
        gradients = torch.autograd.grad(loss, (latents, *embedded))
    return _Step(float(loss.detach()), (prediction.detach(), *(gradient.float() for gradient in gradients)))


class Remembered:
    """A file with the differences of checkpoints that agreed on this machine, so that the test is not repeated.

    Results are valid for the same file, ignoring the VAE, on the same processor and version of PyTorch. Failures are
    tested again each time.
    """

    def __init__(self, file: Path | None) -> None:
        """``file`` is created on the first result; without one nothing is stored."""
        self._file = file

    def of(self, checkpoint: Path) -> float | None:
        """The stored difference; ``None`` if there is none, or the file was damaged."""
        found = self._read().get(_key_of(checkpoint))
        return float(found) if isinstance(found, (int, float)) and 0 <= found <= TOLERANCE else None

    def remember(self, checkpoint: Path, difference: float) -> None:
        """Store ``difference``. If the file cannot be written, the test is merely repeated next time."""
        if self._file is None:
            return
        values = list({**self._read(), _key_of(checkpoint): difference}.items())[-_MOST_REMEMBERED:]
        with suppress(OSError):
            write_atomically(self._file, json.dumps(dict(values), indent=1), durable=False)

    def _read(self) -> dict[str, Any]:
        try:
            return {} if self._file is None else read_object(self._file)
        except (OSError, DamagedFileError):
            return {}


def _key_of(checkpoint: Path) -> str:
    about = checkpoint.stat()
    parts = (torch.__version__, platform.machine(), platform.processor(), torch.backends.cpu.get_cpu_capability(),
             str(checkpoint.resolve()), about.st_size, about.st_mtime_ns)
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


@contextmanager
def _embeddings(base: BaseModel) -> Iterator[list[Tensor]]:
    """The embedded tokens of each text encoder, with gradients, after they are computed."""
    embedded: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        embedded.append(output.detach().requires_grad_())
        return embedded[-1]

    handles = [encoder.get_input_embeddings().register_forward_hook(keep) for encoder in base.text_encoders]
    try:
        yield embedded
    finally:
        for handle in handles:
            handle.remove()


def _relative(ours: Tensor, exact: Tensor) -> float:
    return float((ours - exact).norm() / exact.norm().clamp(min=1e-12))
