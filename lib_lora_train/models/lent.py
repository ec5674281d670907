"""Base weights in memory lent by the webui: opened, checked, and substituted for the file's tensors.

The file is still opened, which costs nothing while its tensors are not read: it provides the family and everything the
webui does not keep. A few values of every lent tensor are compared with it, so that a model that was changed in memory
is never mistaken for its file.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing import reductions

from ..runs.lend_ticket import COPY, LENT_MEMORY, LendTicket
from .checkpoint import Checkpoint, read_checkpoint
from .checksum import checksum, same, spots
from .family import UNET, VAE
from .pickled import DAMAGE, BoundedUnpickler

_PARTS = {UNET: "unet", VAE: "vae"}
_TEXT = "text_encoder"
PART_NAMES = {"unet": "the UNet", _TEXT: "the text encoder", "vae": "the VAE"}
_HALF = (torch.float16, torch.bfloat16)
_REBUILDERS = ("rebuild_tensor", "rebuild_typed_storage", "rebuild_storage_filename", "rebuild_storage_empty")


class NotLent(Exception):
    """The lent weights cannot be used; the message is a clause that follows "because"."""


@dataclass(frozen=True)
class Home:
    """A frozen weight in main memory, usually shared by the webui; a GPU has a copy of it in the run's dtype."""

    tensor: Tensor
    dtype: torch.dtype

    def copy_on(self, device: torch.device) -> Tensor:
        """A copy on ``device``: a single transfer in the webui's dtype, converted there."""
        return self.tensor.to(device, copy=True).to(self.dtype)

    def holds(self, tensor: Tensor) -> bool:
        """Whether ``tensor`` is the shared memory itself."""
        return tensor.data_ptr() == self.tensor.data_ptr() and tensor.device == self.tensor.device


@dataclass
class LentWeights:
    """The lent tensors by the checkpoint's keys, and how they are used.

    ``device`` is where the run computes. ``copied``: nothing may stay in the webui's memory. ``uploaded``: the run
    computes with a copy on a GPU. ``refused`` has a reason for each part that is read from its file.
    """

    tensors: Mapping[str, Tensor]
    device: torch.device
    copied: bool = False
    uploaded: bool = False
    refused: dict[str, str] = field(default_factory=dict)
    _spots: dict[str, Tensor] = field(default_factory=dict)
    _files: dict[str, Path] = field(default_factory=dict)
    _addresses: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if not self.copied:
            self._addresses = frozenset(tensor.untyped_storage().data_ptr() for tensor in self.tensors.values())

    def over(self, file: Checkpoint, parts: Iterable[str], dtype: torch.dtype) -> Checkpoint:
        """``file`` with its tensors replaced by the lent ones, for those of ``parts`` with identical computed values.

        ``dtype`` is the worker's weight dtype. Raises ``NotLent`` if the lent weights are not the file's.
        """
        by_part: dict[str, dict[str, Tensor]] = {part: {} for part in parts}
        for key, own in file.tensors.items():
            full_key = key if key in self.tensors else VAE + key
            part, lent = part_of(full_key), self.tensors.get(full_key)
            if part in by_part and part not in self.refused and lent is not None and lent.shape == own.shape:
                reason = _rounding(own.dtype, lent.dtype, dtype, on_cpu=self.device.type == "cpu")
                if reason:
                    self.refused[part] = reason
                    continue
                _compare(full_key, own, lent)
                self._files[full_key] = file.path
                by_part[part][key] = lent
        used = {key: self._placed(tensor) for part, found in by_part.items() if part not in self.refused
                for key, tensor in found.items()}
        return replace(file, tensors={**file.tensors, **used}, mapped=file.mapped - used.keys())

    def stays(self, tensor: Tensor) -> bool:
        """Whether ``tensor`` is in memory shared by the webui."""
        return tensor.untyped_storage().data_ptr() in self._addresses

    def keeps_dtype(self, tensor: Tensor) -> bool:
        """Whether ``tensor`` keeps the webui's dtype: only its copy on the GPU gets the run's."""
        return self.uploaded and self.stays(tensor)

    def shared_bytes(self, networks: Iterable[nn.Module]) -> int:
        """The number of bytes of ``networks`` in the webui's memory; ``altered`` watches these tensors from now on."""
        shared = {tensor.data_ptr(): tensor for network in networks for tensor in network.state_dict().values()
                  if self.stays(tensor)}
        self.tensors = {key: tensor for key, tensor in self.tensors.items() if tensor.data_ptr() in shared}
        self._spots = {key: spots(tensor) for key, tensor in self.tensors.items()}
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())

    def altered(self) -> list[str]:
        """The keys of shared tensors that have changed, by comparing a few values of each."""
        return [key for key, before in self._spots.items() if not same(spots(self.tensors[key]), before)]

    def put_back(self) -> None:
        """Restore the file's values in the shared tensors, if the lender can no longer do it.

        Raises ``CheckpointError`` if a file can no longer be read.
        """
        for path in set(self._files.values()):
            for key, own in read_checkpoint(path).tensors.items():
                full_key = key if key in self.tensors else VAE + key
                if full_key in self.tensors and self._files.get(full_key) == path:
                    self.tensors[full_key].copy_(own)

    def _placed(self, tensor: Tensor) -> Tensor:
        return tensor.clone() if self.copied else tensor if self.uploaded else tensor.contiguous()


def open_lent(ticket: LendTicket, handles: bytes, device: torch.device) -> LentWeights:
    """Open the tensors that ``ticket`` lends to a run on ``device``, and verify their checksums.

    Raises ``NotLent`` if that fails or a checksum differs.
    """
    if ticket.torch != torch.__version__:
        raise NotLent(f"the webui runs torch {ticket.torch} and the worker {torch.__version__}")
    try:
        content = _Unpickler(io.BytesIO(handles)).load()
        tensors = {str(key): tensor.detach() for key, tensor in content["tensors"].items()}
        wrong = [key for key, tensor in tensors.items() if checksum(tensor) != tuple(content["checksums"][key])]
    except DAMAGE as problem:
        raise NotLent(f"the webui's memory could not be opened ({_line(problem)})") from problem
    if wrong:
        raise NotLent(f"{len(wrong)} lent tensors, such as {wrong[0]}, are not what the webui sent")
    return LentWeights(tensors, device, copied=ticket.way == COPY, uploaded=ticket.way == LENT_MEMORY,
                       refused=dict(ticket.withheld))


def part_of(key: str) -> str:
    """``unet``, ``vae`` or ``text_encoder``, by the prefix of a checkpoint's key."""
    return next((part for prefix, part in _PARTS.items() if key.startswith(prefix)), _TEXT)


def _rounding(file: torch.dtype, lent: torch.dtype, computed: torch.dtype, *, on_cpu: bool) -> str:
    """Why weights lent by the webui as ``lent`` differ from the file's once ``computed``; empty if they do not."""
    exact = file == lent or lent == computed or (file in _HALF and lent == torch.float32)
    if exact or (lent in _HALF and computed in _HALF and not on_cpu):  # a GPU does not guarantee identical bits anyway
        return ""
    return f"the webui keeps them as {_name(lent)}, the file as {_name(file)}, and the run needs {_name(computed)}"


def _compare(key: str, own: Tensor, lent: Tensor) -> None:
    if not same(spots(own).to(lent.dtype), spots(lent).cpu()):
        raise NotLent(f"the webui's model has been changed since it was loaded from the file ({key} differs)")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _line(problem: Exception) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0][:200].rstrip(".")


class _Unpickler(BoundedUnpickler):
    """Opens only shared tensors."""

    def find_class(self, module: str, name: str) -> Any:
        """The object that the pickle's ``module.name`` refers to. Raises ``UnpicklingError`` if not a shared tensor."""
        if module == reductions.__name__ and name in _REBUILDERS:
            return getattr(reductions, name)
        owner = {"torch": torch, "torch.storage": torch.storage}.get(module)
        found = getattr(owner, name, None)
        if found is torch.Tensor or found is torch.Size or (isinstance(found, type) and name.endswith("Storage")):
            return found
        if isinstance(found, torch.dtype):
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is not a shared tensor")
