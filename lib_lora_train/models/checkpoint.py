"""Reading checkpoint files without a second copy in memory and without running code from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import CheckpointError
from .pickled import DAMAGE, ForbiddenName, load_weights

PICKLED_ENDINGS = (".ckpt", ".pt", ".pth", ".bin")
ENDINGS = (".safetensors", *PICKLED_ENDINGS)


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of one file, mapped from it where the format allows, and the texts in its header."""

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor by its key."""
        return {key: tuple(tensor.shape) for key, tensor in self.tensors.items()}

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose key begins with ``prefix``, without it."""
        return {key[len(prefix):]: tensor for key, tensor in self.tensors.items() if key.startswith(prefix)}


def read_checkpoint(path: Path) -> Checkpoint:
    """Open ``path``; the tensors stay on disk until they are read (old .ckpt files are read at once).

    Raises ``CheckpointError`` if it is missing, damaged, no checkpoint, or a pickle that wants to run code.
    """
    refuse_what_is_no_file(path)
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path)
    return _read_pickle(path)


def refuse_what_is_no_file(path: Path) -> None:
    """Raises ``CheckpointError`` for what cannot be a checkpoint: a folder, an empty file, a web page, a pointer."""
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder. Choose the checkpoint file itself: one .safetensors or .ckpt "
                              "file in the original layout.")
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint {path}. Choose one that exists.")
    if path.suffix.lower() not in ENDINGS:
        raise CheckpointError(f"{path} is not a checkpoint: its name ends with {path.suffix!r}. "
                              "Choose a .safetensors or .ckpt file.")
    try:
        with path.open("rb") as file:
            beginning = file.read(64)
    except OSError as problem:
        raise CheckpointError(f"The checkpoint {path} cannot be read: {problem.strerror}.") from problem
    if not beginning:
        raise CheckpointError(f"The checkpoint {path} is empty (0 bytes). Download it again.")
    if beginning.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is only a Git LFS pointer, not the checkpoint itself. Download the file it "
                              "stands for.")
    if beginning.lstrip()[:1] == b"<":
        raise CheckpointError(f"{path} is a web page that was saved under the name of a checkpoint. "
                              "Download it again, with a login if the site asks for one.")


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as problem:
        raise CheckpointError(f"The checkpoint {path} is damaged or truncated ({_line(problem)}). "
                              "Download or copy it again.") from problem
    if not tensors:
        raise CheckpointError(f"The checkpoint {path} holds no weights. Choose another file.")
    return Checkpoint(path, tensors, metadata)


def _read_pickle(path: Path) -> Checkpoint:
    try:
        content = load_weights(path)
    except ForbiddenName as problem:
        raise CheckpointError(
            f"The checkpoint {path} holds more than weights: unpacking it would run code from the file ({problem}). "
            "Choose a .safetensors version, or one from a source you trust.") from problem
    except DAMAGE as problem:
        raise CheckpointError(f"The checkpoint {path} is damaged or no checkpoint at all ({_line(problem)}). "
                              "Download or copy it again, or choose another.") from problem
    tensors = _tensors_of(content)
    if not tensors:
        raise CheckpointError(f"{path} holds no weights by name, so it is not a checkpoint. Choose another file.")
    return Checkpoint(path, tensors, {})


def _tensors_of(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        return {}
    inner = content.get("state_dict")
    if isinstance(inner, Mapping):
        content = inner
    return {str(key): value.detach() for key, value in content.items() if isinstance(value, Tensor)}


def _line(problem: Exception) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0][:200].rstrip(".")
