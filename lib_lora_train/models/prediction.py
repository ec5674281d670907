"""Whether a base model predicts noise or velocity, from its file and the YAML beside it. Free of torch."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..config.text_yaml import check_yaml
from ..errors import CheckpointError
from ..files.reading import read_text, reason
from ..files.swap import Stamp
from .family import SD2, SD2_V, Family, detect_family

EPSILON, VELOCITY = "epsilon", "v_prediction"
_IN_METADATA = {"v": VELOCITY, "v_prediction": VELOCITY, "epsilon": EPSILON, "eps": EPSILON}


@dataclass(frozen=True)
class Prediction:
    """``kind`` is ``epsilon`` or ``v_prediction``; ``source`` is what declares it, for messages."""

    kind: str
    source: str


def detect_base(path: Path, shapes: Mapping[str, Sequence[int]],
              metadata: Mapping[str, str]) -> tuple[Family, Prediction | None]:
    """The family of the checkpoint ``path`` and its declared prediction type, from its header.

    Raises ``CheckpointError`` if it cannot be trained on.
    """
    family = detect_family(path, {name: tuple(shape) for name, shape in shapes.items()})
    declared = declared_prediction(path, shapes.keys(), metadata)
    return (SD2_V if family is SD2 and declared is not None and declared.kind == VELOCITY else family), declared


def surely_differ(one: tuple[Family, Prediction | None], other: tuple[Family, Prediction | None]) -> bool:
    """Whether two results of ``detect_base`` certainly differ in family; an undeclared SD 2.x may be either kind."""
    if {one[0].name, other[0].name} == {SD2.name, SD2_V.name}:
        return one[1] is not None and other[1] is not None
    return one[0].name != other[0].name


def two_families(org: str, org_family: Family, tuned: str, tuned_family: Family) -> str:
    """The error message for two checkpoints of certainly different families."""
    return (f"{org} is {org_family.name} and {tuned} is {tuned_family.name}. A LoRA is the difference of two "
            "checkpoints of one family: choose the base that the tuned one was made from.")


def declared_prediction(path: Path, names: Collection[str], metadata: Mapping[str, str]) -> Prediction | None:
    """The prediction type from the YAML beside the checkpoint ``path``, a mark among its tensor ``names``, or its
    metadata.

    ``None`` if none of them declares it. The YAML takes precedence, as in the webui. Raises ``CheckpointError`` if it
    cannot be read.
    """
    said = _of_yaml(path.with_suffix(".yaml"))
    if said is not None:
        return said
    if "v_pred" in names:
        return Prediction(VELOCITY, "a mark in the file")
    kind = _IN_METADATA.get(metadata.get("modelspec.prediction_type", "").lower())
    if kind is None and metadata.get("modelspec.architecture", "").endswith("-768-v"):
        kind = VELOCITY
    return None if kind is None else Prediction(kind, "the file's metadata")


def _of_yaml(path: Path) -> Prediction | None:
    if not path.is_file():
        return None
    try:
        kind = _kind_in_yaml(path, Stamp.of(path.stat()))
    except (OSError, yaml.YAMLError, ValueError) as problem:
        raise CheckpointError(f"{path}, which says what kind of model the checkpoint is, cannot be read: "
                              f"{reason(problem)}. Fix it or remove it.") from problem
    return None if kind is None else Prediction(kind, f"{path.name}")


@functools.lru_cache(maxsize=8)
def _kind_in_yaml(path: Path, stamp: Stamp) -> str | None:
    """Kept for the few checkpoints in use, since the form asks at each change."""
    text = read_text(path)
    check_yaml(text)
    values = yaml.safe_load(text)
    if not isinstance(values, dict | None):
        raise ValueError("it holds no groups of settings")
    parameters = _inner(values, "model", "params")
    if not isinstance(parameters, dict):
        return None
    scaling = _inner(parameters, "denoiser_config", "params", "scaling_config", "target")
    if scaling is not None:
        is_velocity = str(scaling).endswith("VScaling")
    else:
        is_velocity = parameters.get("parameterization", "eps") == "v"
    return VELOCITY if is_velocity else EPSILON


def _inner(values: Any, *names: str) -> Any:
    """The nested value at ``names``; ``None`` if a name is missing."""
    for name in names:
        values = values.get(name) if isinstance(values, dict) else None
    return values
