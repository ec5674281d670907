"""Mixes several LoRAs into one: the sum of their changes, exactly or at a chosen rank."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..config.groups.network import C3LIER, LIERLA
from ..config.groups.tools import MixJob
from ..errors import CheckpointError
from ..models.family import Family
from ..models.hashes import file_sha256
from ..networks.lora_family import one_family
from ..networks.save import DTYPES
from .curve import Curve, LayerCurve, ranks_in_words
from .kept import Kept, keep_factors, keep_ranks
from .lora_source import Lora, embeddings_left_out, read_loras
from .output import device_of, lora_metadata, output_path, save_lora
from .places import layer_name
from .summand import Base, Summand, is_vector, key_strength, matrix_shape, open_base, summand
from .svd import Decomposed, RankRule, decompose, decompose_product
from .work import Work

_VECTORS = ("w_norm", "b_norm", "diff", "diff_b")


@dataclass(frozen=True)
class _Sum:
    """One layer of the new LoRA: its key, and the LoRAs that contain it, each with its own key for it."""

    key: str
    parts: Sequence[tuple[Lora, str]]


@torch.no_grad()
def mix(job: MixJob, work: Work) -> Path | None:
    """Mix according to ``job``; returns the LoRA's path, or ``None`` if only the curve was requested.

    Raises ``CheckpointError``, ``ConfigError`` or ``RunError`` before the work starts; ``Stopped``.
    """
    path = None if job.only_curve else output_path(job.output_name, job.output_dir, Path(job.loras[0]))
    device = device_of(job.device)
    loras = read_loras(job.loras, job.strengths, job.block_presets)
    family = one_family([(lora.path.name, lora.file.shapes, lora.file.metadata) for lora in loras])
    base = open_base(job.checkpoint, loras)
    sums = _sums(loras)
    _check_shapes(sums)
    if left_out := embeddings_left_out(loras):
        work.report.warning(left_out)
    work.report.phase("mix", f"Adding up {len(loras)} LoRAs in {len(sums)} layers", len(sums))
    tensors: dict[str, Tensor] = {}
    curves: list[LayerCurve] = []
    for number, one in enumerate(sums, 1):
        if any(is_vector(lora.layers[key]) for lora, key in one.parts):
            tensors |= _vectors(one)
        else:
            kept = _mixed(one, job, base, device)
            if kept is not None:
                tensors |= kept.tensors
                curves.append(kept.curve)
        work.step(number, len(sums))
    _report(job, loras, curves, work)
    if path is None:
        return None
    if not tensors:
        raise CheckpointError("Nothing is left of the LoRAs with these strengths. Give some more than 0.")
    save_lora(path, tensors, _metadata(job, loras, family, curves))
    return path


def _sums(loras: Sequence[Lora]) -> list[_Sum]:
    found: dict[str, list[tuple[Lora, str]]] = {}
    for lora in loras:
        for key in lora.layers:
            found.setdefault(layer_name(key), []).append((lora, key))
    return [_Sum(parts[0][1], parts) for parts in found.values()]


def _check_shapes(sums: Sequence[_Sum]) -> None:
    """Raises ``CheckpointError`` if the shape of a layer differs between LoRAs."""
    for one in sums:
        shapes = {}
        for lora, key in one.parts:
            try:
                out, into, _ = matrix_shape(lora.layers[key], spatial=False)
            except (ValueError, IndexError):
                continue
            shapes[(out, into)] = lora.path.name
        if len(shapes) > 1:
            (first, name), (second, other) = list(shapes.items())[:2]
            raise CheckpointError(f"{name} and {other} are for different base models: {one.key} changes {first[0]} x "
                                  f"{first[1]} weights in one and {second[0]} x {second[1]} in the other. Choose LoRAs "
                                  "of one family.")


def _mixed(one: _Sum, job: MixJob, base: Base | None, device: torch.device) -> Kept | None:
    """The layer's sum, exact if no rank is requested and all of it is low-rank; ``None`` if the sum is zero."""
    summands = [_on(summand(lora, key, strength, base), device) for lora, key in one.parts
                if (strength := key_strength(lora, key)) != 0]
    if not summands:
        return None
    kernel = next((item.kernel for item in summands if item.kernel), ())
    total = sum((item.dense for item in summands[1:]), summands[0].dense)
    spatial = any(side > 1 for side in kernel)
    rule = RankRule((job.conv_dim if spatial else None) or job.network_dim, job.sv_ratio, job.sv_fro,
                    job.sv_cumulative)
    if all(item.low_rank for item in summands):
        up = torch.cat([item.factors[0] for item in summands], 1)
        down = torch.cat([item.factors[1] for item in summands])
        parts = decompose_product(up, down)
        if rule.most is None and not rule.by_energy and len(down) <= min(total.shape):
            return keep_factors(one.key, total, parts, (up, down), precision=job.save_precision, kernel=kernel)
    else:
        parts = decompose(total)
    if not float(parts.values[0]):
        return None
    rank = rule.rank(parts.values) if rule.most is not None or rule.by_energy else _numerical_rank(parts)
    return keep_ranks(one.key, total, parts, rank, precision=job.save_precision, kernel=kernel)


def _numerical_rank(parts: Decomposed) -> int:
    """The number of singular values above rounding error."""
    return max(1, int((parts.values > parts.values[0] * 1e-6).sum()))


def _on(item: Summand, device: torch.device) -> Summand:
    if item.whole is not None:
        return Summand(item.kernel, whole=item.whole.to(device))
    up, down = item.factors
    return Summand(item.kernel, up.to(device), down.to(device))


def _vectors(one: _Sum) -> dict[str, Tensor]:
    """The change of a norm layer, whose vectors are simply added."""
    total: dict[str, Tensor] = {}
    for lora, key in one.parts:
        for name in _VECTORS:
            if name in lora.layers[key]:
                value = lora.layers[key][name].float() * key_strength(lora, key)
                total[name] = total[name] + value if name in total else value
    return {f"{one.key}.{name}": value for name, value in total.items()}


def _report(job: MixJob, loras: Sequence[Lora], curves: Sequence[LayerCurve], work: Work) -> None:
    biases = [lora.path.name for lora in loras if any("diff_b" in tensors and not is_vector(tensors)
                                                      for tensors in lora.layers.values())]
    for name in biases:
        work.report.warning(f"{name} also changes biases, which a plain LoRA cannot hold; they are skipped.")
    curve = Curve(curves, DTYPES[job.save_precision].itemsize)
    sentences = [f"{len(loras)} LoRAs as one with {len(curves)} layers, "
                 f"{ranks_in_words([layer.rank for layer in curves])}: about {curve.bytes / 1e6:.1f} MB. Its distance "
                 f"to the exact sum is {100 * curve.error:.3g}% of the sum."]
    for text in (*sentences, curve.table()):
        work.report.say(text)
    work.result({"command": "mix", "sentences": sentences, **curve.as_result()})


def _metadata(job: MixJob, loras: Sequence[Lora], family: Family | None,
              curves: Sequence[LayerCurve]) -> Mapping[str, str]:
    spatial = [layer.rank for layer in curves if loras[0].file.facts.layers.get(layer.layer) is not None
               and loras[0].file.facts.layers[layer.layer].spatial]
    rank = max((layer.rank for layer in curves), default=1)
    recipe = [{"name": lora.path.name, "sha256": file_sha256(lora.path), "strength": lora.strength.in_words}
              for lora in loras]
    names = " + ".join(f"{lora.path.stem} ({lora.strength.in_words})" for lora in loras)
    return lora_metadata(job.output_name, family, C3LIER if spatial else LIERLA,
                         (rank, max(spatial, default=None)), {"mixed_from": json.dumps(recipe, ensure_ascii=False)}) | {
        "ss_training_comment": f"Mixed: {names}."}
