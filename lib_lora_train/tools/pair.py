"""Two checkpoints of one family, and the layers in which they can differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..models.build import ShapeProblem, build_text_encoder, build_unet
from ..models.family import UNET, Family
from ..models.load import text_state
from ..models.prediction import detect_base, surely_differ, two_families
from ..networks.keys import UNET_PREFIX, key_table, text_encoder_prefixes
from ..networks.targets import text_encoder_targets, unet_targets
from .places import Place, Places
from .stream import Shapes, Source, open_source

_SHOWN = 3


@dataclass(frozen=True)
class Target:
    """A layer that can get a LoRA: key in the file, place in a checkpoint, and part (``unet``, ``lora_te`` …)."""

    key: str
    place: Place
    part: str

    @property
    def kernel(self) -> tuple[int, ...]:
        """Height and width of a convolution's kernel; empty for a Linear layer."""
        return self.place.shape[2:]

    @property
    def spatial(self) -> bool:
        """Whether it is a convolution with a kernel larger than 1x1."""
        return any(side > 1 for side in self.kernel)


@dataclass(frozen=True)
class Pair:
    """``org``, the base, and ``tuned``, both opened, and their family."""

    org: Source
    tuned: Source
    family: Family

    def weights(self, place: Place) -> tuple[Tensor, Tensor]:
        """Both weights of a layer as stored, ``tuned`` first. Raises ``CheckpointError`` for NaN."""
        both = []
        for source in (self.tuned, self.org):
            tensor = source.read(place.weight)
            tensor = tensor if place.third is None else tensor.chunk(3)[place.third]
            if not torch.isfinite(tensor.float()).all():
                raise CheckpointError(f"{source.path} holds values that are not numbers (NaN or infinity) in "
                                      f"{place.weight}, so it cannot be used. Choose another copy of it.")
            both.append(tensor)
        return both[0], both[1]


def open_pair(org: Path, tuned: Path) -> Pair:
    """Open both checkpoints. Raises ``CheckpointError`` that names both families if they differ."""
    if org.exists() and tuned.exists() and org.samefile(tuned):
        raise CheckpointError(f"org and tuned are the same file, {org}. Choose two checkpoints.")
    sources = [open_source(path) for path in (org, tuned)]
    detected = [detect_base(source.path, source.shapes, source.metadata) for source in sources]
    families = [family for family, _ in detected]
    if surely_differ(detected[0], detected[1]):
        raise CheckpointError(two_families(org.name, families[0], tuned.name, families[1]))
    pair = Pair(sources[0], sources[1], families[1] if detected[1][1] is not None else families[0])
    _check_shapes(pair)
    return pair


def targets_of(pair: Pair, network_type: str) -> list[Target]:
    """The layers of ``network_type`` in this family, text encoders first, as in training."""
    shapes, family = pair.org.shapes, pair.family
    places = Places(shapes, family)
    parts = list(_parts(shapes, family))
    found = []
    for prefix, network in [*parts[1:], parts[0]]:
        table = {path: key for key, path in key_table(prefix, [path for path, _ in network.named_modules()]).items()}
        chosen = unet_targets(network, network_type) if prefix == UNET_PREFIX else \
            text_encoder_targets(network, network_type)
        for path, _ in chosen:
            place = places.find(table[path]) if path in table else None
            if place is None:
                raise CheckpointError(f"{pair.org.path} has no layer {path}, which {family.name} should have. The file "
                                      "may be damaged: download it again.")
            found.append(Target(table[path], place, prefix))
    return found


def _parts(shapes: Shapes, family: Family) -> Iterator[tuple[str, nn.Module]]:
    """UNet and text encoders without weights, each with the prefix of its keys."""
    def under(prefix: str) -> dict[str, Tensor]:
        return {name[len(prefix):]: torch.empty(shape, device="meta") for name, shape in shapes.items()
                if name.startswith(prefix)}

    try:
        encoders = [build_text_encoder(text_state(under(kind.prefix), kind), kind) for kind in family.text_encoders]
        yield UNET_PREFIX, build_unet(under(UNET), family, int(encoders[-1].config.projection_dim))
    except (ShapeProblem, ValueError) as problem:
        raise CheckpointError(f"The checkpoint cannot be used: {problem}. It may be damaged or of another kind. "
                              "Download it again or choose another.") from problem
    yield from zip(text_encoder_prefixes(len(encoders)), encoders, strict=True)


def _check_shapes(pair: Pair) -> None:
    prefixes = (UNET, *(kind.prefix for kind in pair.family.text_encoders))
    wrong = []
    for name, shape in pair.org.shapes.items():
        if name.startswith(prefixes) and name.endswith("weight") and pair.tuned.shapes.get(name) != shape:
            there = pair.tuned.shapes.get(name)
            wrong.append(f"{name} is {'missing' if there is None else there} instead of {shape}")
    if wrong:
        shown = "; ".join(wrong[:_SHOWN]) + (f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else "")
        raise CheckpointError(f"{pair.tuned.path} does not fit {pair.org.path}: {shown}. Choose two whole checkpoints "
                              "of one family.")
