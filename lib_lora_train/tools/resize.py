"""Resizes a LoRA to another rank: the best approximation of each layer, or a truncated DyLoRA."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..blocks.lora_strength import Strength
from ..config.groups.network import C3LIER, DYLORA, LIERLA
from ..config.groups.tools import ResizeJob
from ..errors import CheckpointError
from ..models.hashes import file_sha256
from ..networks.lora_family import family_of_lora
from ..networks.save import DTYPES, LoraFile
from .change import PLAIN, kind_of
from .curve import Curve, LayerCurve, ranks_in_words
from .kept import Kept, keep_factors, keep_ranks
from .lora_source import Lora, embeddings_left_out, read_lora
from .output import device_of, lora_metadata, output_path, save_lora
from .summand import Base, is_vector, open_base, summand
from .svd import RankRule, decompose, decompose_product
from .work import Work

_KEPT_METADATA = ("ss_sd_model", "ss_new_sd_model", "ss_tag_frequency", "ss_resolution", "ss_clip_skip",
                  "ss_base_model_version", "ss_v2", "ss_dataset_dirs", "ss_num_train_images", "modelspec.trigger",
                  "modelspec.usage", "modelspec.thumbnail", "modelspec.architecture", "modelspec.prediction",
                  "modelspec.author", "modelspec.license", "modelspec.resolution", "ss_training_comment")


@torch.no_grad()
def resize(job: ResizeJob, work: Work) -> Path | None:
    """Resize according to ``job``; returns the LoRA's path, or ``None`` if only the curve was requested.

    Raises ``CheckpointError`` or ``RunError`` before the work starts; ``Stopped``.
    """
    path = None if job.only_curve else output_path(job.output_name, job.output_dir, Path(job.lora))
    device = device_of(job.device)
    lora = Lora(read_lora(Path(job.lora)), Strength())
    _check_kind(job, lora)
    cut = _cuts(job, lora.file)
    base = open_base(job.checkpoint, [lora])
    keys = list(lora.layers)
    if left_out := embeddings_left_out([lora]):
        work.report.warning(left_out)
    work.report.phase("resize", f"Resizing {len(keys)} layers of {lora.path.name}", len(keys))
    tensors: dict[str, Tensor] = {}
    curves: list[LayerCurve] = []
    for number, key in enumerate(keys, 1):
        if is_vector(lora.layers[key]):
            tensors |= {f"{key}.{name}": tensor.clone() for name, tensor in lora.layers[key].items()}
        else:
            kept = _resized(lora, key, job, base, device, cut=cut)
            tensors |= kept.tensors
            curves.append(kept.curve)
        work.step(number, len(keys))
    _report(job, lora, curves, work)
    if path is None:
        return None
    save_lora(path, tensors, _metadata(job, lora.file, curves))
    beside = lora.path.with_suffix(".json")
    if beside.is_file() and not path.with_suffix(".json").exists():
        shutil.copyfile(beside, path.with_suffix(".json"))  # the trigger word
    return path


def _resized(lora: Lora, key: str, job: ResizeJob, base: Base | None, device: torch.device, *, cut: bool) -> Kept:
    one = summand(lora, key, 1.0, base)
    change = one.dense.to(device)
    spatial = any(side > 1 for side in one.kernel)
    rule = RankRule((job.conv_dim if spatial else None) or job.network_dim, job.sv_ratio, job.sv_fro,
                    job.sv_cumulative)
    if one.low_rank:
        up, down = (factor.to(device) for factor in one.factors)
        parts = decompose_product(up, down)
        if cut and rule.most is not None:
            return keep_factors(key, change, parts, (up[:, :rule.most], down[:rule.most]),
                                precision=job.save_precision, kernel=one.kernel)
    else:
        parts = decompose(change)
    rank = rule.rank(parts.values) if float(parts.values[0]) else 1
    return keep_ranks(key, change, parts, rank, precision=job.save_precision, kernel=one.kernel)


def _check_kind(job: ResizeJob, lora: Lora) -> None:
    """Raises ``CheckpointError`` if the file is not a plain LoRA and conversion was not requested."""
    kinds = {"DoRA" if "dora_scale" in tensors else str(kind_of(tensors)) for tensors in lora.layers.values()
             if not is_vector(tensors)} - {PLAIN}
    if not lora.layers or all(is_vector(tensors) for tensors in lora.layers.values()):
        raise CheckpointError(f"{lora.path.name} has no layers with ranks in it. Choose another LoRA.")
    if kinds and not job.to_lora:
        raise CheckpointError(f"{lora.path.name} is {' and '.join(sorted(kinds))}. Resizing turns it into a plain "
                              "LoRA: ask for that with to_lora=true.")


def _cuts(job: ResizeJob, file: LoraFile) -> bool:
    """Whether a DyLoRA is truncated. Raises ``CheckpointError`` if that is impossible at the requested rank."""
    facts = file.facts
    wanted = job.cut if job.cut is not None else facts.network_type == DYLORA
    if not wanted or job.network_dim is None:
        return False
    if any(rule is not None for rule in (job.sv_ratio, job.sv_fro, job.sv_cumulative)):
        raise CheckpointError(f"{file.path.name} is cut off at a rank, so kept energy does not apply. Give network_dim "
                              "alone, or cut=false.")
    unit = facts.settings.get("dylora_unit", 1) if facts.network_type == DYLORA else 1
    for dim in {job.network_dim, job.conv_dim or job.network_dim}:
        if dim % unit:
            ranks = ", ".join(str(rank) for rank in range(unit, (facts.dim or unit) + 1, unit))
            raise CheckpointError(f"{file.path.name} is a DyLoRA in units of {unit}, so it cannot be cut at {dim}. Use "
                                  f"one of {ranks}; or cut=false for the best approximation of that rank.")
    return True


def _report(job: ResizeJob, lora: Lora, curves: Sequence[LayerCurve], work: Work) -> None:
    if any("diff_b" in tensors and not is_vector(tensors) for tensors in lora.layers.values()):
        work.report.warning(f"{lora.path.name} changes biases too, for which a plain LoRA has no place; they are left "
                          "out.")
    curve = Curve(curves, DTYPES[job.save_precision].itemsize)
    before = lora.path.stat().st_size
    sentences = [f"{ranks_in_words([layer.rank for layer in curves]).capitalize()}: about {curve.bytes / 1e6:.1f} MB "
                 f"instead of {before / 1e6:.1f} MB, error {100 * curve.error:.3g}% of what the LoRA changes."]
    for text in (*sentences, curve.table()):
        work.report.say(text)
    work.result({"command": "resize", "sentences": sentences, "bytes_before": before, **curve.as_result()})


def _metadata(job: ResizeJob, file: LoraFile, curves: Sequence[LayerCurve]) -> Mapping[str, str]:
    spatial = [layer.rank for layer in curves if file.facts.layers[layer.layer].spatial]
    plain = [layer.rank for layer in curves if not file.facts.layers[layer.layer].spatial]
    kept = {key: value for key, value in file.metadata.items() if key.startswith(_KEPT_METADATA)}
    comment = f"Resized from {file.path.name} to {ranks_in_words([layer.rank for layer in curves])}."
    made = lora_metadata(job.output_name, family_of_lora(file.shapes, file.metadata), C3LIER if spatial else LIERLA,
                         (max(plain or spatial, default=1), max(spatial, default=None)),
                         {"resized_from": file.path.name, "resized_from_sha256": file_sha256(file.path)})
    return made | kept | {"ss_training_comment": f"{kept.get('ss_training_comment', '')} {comment}".strip()}
