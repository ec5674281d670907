"""The header of a checkpoint, and checks for files that are not model files. Free of torch."""

from __future__ import annotations

from pathlib import Path

from ..errors import CheckpointError
from ..files.json_file import DamagedFileError
from ..files.safetensors_header import SafetensorsHeader, read_safetensors_header

PICKLED_ENDINGS = (".ckpt", ".pt", ".pth", ".bin")
ENDINGS = (".safetensors", *PICKLED_ENDINGS)


def read_checkpoint_header(path: Path) -> SafetensorsHeader:
    """The header of the .safetensors file ``path``.

    Raises ``CheckpointError`` if it is missing, damaged or empty.
    """
    refuse_what_is_no_file(path)
    try:
        header = read_safetensors_header(path)
    except (OSError, DamagedFileError) as problem:
        raise CheckpointError(f"The checkpoint {path} is damaged or truncated: {problem}. Download or copy it "
                              "again.") from problem
    if not header.tensors:
        raise CheckpointError(f"The checkpoint {path} holds no weights. Choose another file.")
    return header


def refuse_what_is_no_file(path: Path, what: str = "checkpoint") -> None:
    """Raises ``CheckpointError`` for what cannot be a model file: a folder, an empty file, a web page, a pointer.

    ``what``, a checkpoint or a LoRA, is named in the message.
    """
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder. Choose the {what} file itself: one .safetensors or .ckpt "
                              "file in the original layout.")
    if not path.is_file():
        raise CheckpointError(f"There is no {what} {path}. Choose one that exists.")
    if path.suffix.lower() not in ENDINGS:
        raise CheckpointError(f"{path} is not a {what}: its name ends with {path.suffix!r}. "
                              "Choose a .safetensors or .ckpt file.")
    try:
        with path.open("rb") as file:
            beginning = file.read(64)
    except OSError as problem:
        raise CheckpointError(f"The {what} {path} cannot be read: {problem.strerror}.") from problem
    if not beginning:
        raise CheckpointError(f"The {what} {path} is empty (0 bytes). Download it again.")
    if beginning.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is only a Git LFS pointer, not the {what} itself. Download the file it "
                              "stands for.")
    if beginning.lstrip()[:1] == b"<":
        raise CheckpointError(f"{path} is a web page that was saved under the name of a {what}. "
                              "Download it again, with a login if the site asks for one.")
