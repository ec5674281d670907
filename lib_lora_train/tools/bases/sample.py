"""A sample of the weights of a checkpoint, read in slices, so that a file of 7 GB takes a moment."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...errors import CheckpointError
from ...files.atomic import write_atomically
from ...models.hashes import old_short_hash
from ...models.header import PICKLED_ENDINGS
from ..stream import Shapes, Source, open_source

UNET_LAYERS, TEXT_LAYERS = 32, 12
_VALUES = 8192
"""Values of each layer: 32 layers give a distance to about 0.3 % of itself."""
_VERSION = "1"
_MOST_KEPT = 300
_OF_UNET = re.compile(r"^model\.diffusion_model\..+(?:attn[12]\.to_(?:q|k|v|out\.0)|ff\.net\.2|in_layers\.2"
                      r"|out_layers\.3)\.weight$")
_OF_TEXT = re.compile(r"^(?:cond_stage_model|conditioner\.embedders\.\d)\..+(?:self_attn\.[qv]_proj\.weight"
                      r"|mlp\.fc1\.weight|attn\.in_proj_weight|mlp\.c_fc\.weight)$")


@dataclass(frozen=True)
class Sample:
    """Values of some layers by name, each (n,) in the stored dtype; ``unet`` and ``text`` are in the file's order.

    ``layout`` is the same for files whose layers have the same names and shapes.
    """

    unet: Mapping[str, Tensor]
    text: Mapping[str, Tensor]
    layout: str
    dtype: torch.dtype


def read_sample(path: Path, cache: Path | None, warn: Callable[[str], None]) -> Sample:
    """The sample of ``path``: from ``cache`` if the file is unchanged (size, time, and a hash of a part of it).

    ``warn`` gets a sentence if it cannot be kept there. Raises ``CheckpointError`` if the file cannot be read, is no
    checkpoint, or has weights that cannot be compared.
    """
    kept = None if cache is None else cache / f"{_mark(path)}.safetensors"
    if kept is not None and (sample := _read_kept(kept)) is not None:
        return sample
    source = open_source(path)
    sample = _take(source)
    if kept is not None:
        try:
            _keep(sample, kept)
        except OSError as problem:
            warn(f"What was read of {path.name} cannot be kept for the next comparison: {problem}")
    return sample


def _mark(path: Path) -> str:
    try:
        state = path.stat()
    except OSError as problem:
        raise CheckpointError(f"There is no checkpoint {path}. Choose one that exists.") from problem
    text = f"{_VERSION} {state.st_size} {state.st_mtime_ns} {old_short_hash(path)}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _take(source: Source) -> Sample:
    names = {"unet": _spread([name for name in source.shapes if _OF_UNET.match(name)], UNET_LAYERS),
             "text": _spread([name for name in source.shapes if _OF_TEXT.match(name)], TEXT_LAYERS)}
    if not names["unet"]:
        raise CheckpointError(f"{source.path} has no layers of a UNet in the original layout, so its weights cannot be "
                              "compared.")
    packed = next((name for name in source.shapes if (_OF_UNET.match(name) or _OF_TEXT.match(name))
                   and not source.dtype(name).is_floating_point), None)
    if packed is not None:
        raise CheckpointError(f"{source.path.name} is quantized ({packed} is {_short(source.dtype(packed))}), so its "
                              "weights cannot be compared. Use the fp16 version of the file for this.")
    read = _read_pickled if source.path.suffix.lower() in PICKLED_ENDINGS else _read_slices
    values = {part: read(source, chosen) for part, chosen in names.items()}
    for name, value in (values["unet"] | values["text"]).items():
        if not torch.isfinite(value.float()).all():
            raise CheckpointError(f"{source.path.name} is damaged: {name} holds values that are not numbers (NaN or "
                                  "infinity). Download it again, or choose another version.")
    coarsest = max((value.dtype for value in values["unet"].values()), key=lambda dtype: torch.finfo(dtype).eps)
    return Sample(_plainly_named(values["unet"]), _plainly_named(values["text"]), _layout(source.shapes), coarsest)


def _spread(names: Sequence[str], most: int) -> list[str]:
    """``most`` of ``names``, evenly from the first to the last in natural order."""
    ordered = sorted(names, key=lambda name: [int(part) if part.isdecimal() else part
                                              for part in re.split(r"(\d+)", name.replace("text_model.", ""))])
    if len(ordered) <= most:
        return ordered
    return [ordered[round(place * (len(ordered) - 1) / (most - 1))] for place in range(most)]


def _rows(shape: Sequence[int]) -> tuple[int, int]:
    """First row, and the row after the last, of the values of a layer of ``shape``: its middle."""
    count = max(1, min(shape[0], _VALUES // max(1, math.prod(shape[1:]))))
    first = (shape[0] - count) // 2
    return first, first + count


def _read_slices(source: Source, names: Sequence[str]) -> dict[str, Tensor]:
    try:
        with safe_open(source.path, framework="pt", device="cpu") as file:
            found = {}
            for name in names:
                first, last = _rows(source.shapes[name])
                found[name] = file.get_slice(name)[first:last].flatten()[:_VALUES].clone()
            return found
    except (SafetensorError, OSError, ValueError, RuntimeError) as problem:
        raise CheckpointError(f"The checkpoint {source.path} cannot be read ({str(problem)[:200]}). Download or copy "
                              "it again.") from problem


def _read_pickled(source: Source, names: Sequence[str]) -> dict[str, Tensor]:
    found = {}
    for name in names:
        first, last = _rows(source.shapes[name])
        found[name] = source.read(name)[first:last].flatten()[:_VALUES].clone()
    return found


def _plainly_named(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without ``text_model.``, which older SD 1.x files do not have."""
    return {name.replace("text_model.", ""): value for name, value in values.items()}


def _layout(shapes: Shapes) -> str:
    layers = sorted((name, tuple(shape)) for name, shape in shapes.items() if _OF_UNET.match(name))
    return hashlib.sha256(repr(layers).encode()).hexdigest()[:16]


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _read_kept(path: Path) -> Sample | None:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            order = {part: metadata[part].split("\n") if metadata[part] else [] for part in ("unet", "text")}
            values = {part: {name: file.get_tensor(f"{part}.{name}") for name in names}
                      for part, names in order.items()}
            sample = Sample(values["unet"], values["text"], metadata["layout"], getattr(torch, metadata["dtype"]))
        path.touch()
    except (SafetensorError, OSError, KeyError, AttributeError, ValueError):
        return None  # not there, or damaged: it is read from the checkpoint again
    return sample


def _keep(sample: Sample, path: Path) -> None:
    tensors = {f"{part}.{name}": value for part, values in (("unet", sample.unet), ("text", sample.text))
               for name, value in values.items()}
    metadata = {"unet": "\n".join(sample.unet), "text": "\n".join(sample.text), "layout": sample.layout,
                "dtype": _short(sample.dtype)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, safetensors.torch.save(tensors, metadata), durable=False)
    kept = sorted(path.parent.glob("*.safetensors"), key=lambda file: file.stat().st_mtime, reverse=True)
    for old in kept[_MOST_KEPT:]:
        with suppress(OSError):
            old.unlink()
