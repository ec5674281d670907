"""Extracts the difference of two checkpoints as a LoRA, layer by layer from their files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..config.groups.network import C3LIER, LIERLA
from ..config.groups.tools import ExtractJob
from ..errors import CheckpointError, WriteError
from ..models.hashes import file_sha256, old_short_hash
from ..networks.keys import UNET_PREFIX
from ..networks.save import DTYPES
from .curve import Curve, LayerCurve, ranks_in_words
from .factors import find_indexes, key_of, open_factors, open_writer
from .kept import keep_ranks
from .output import check_room, device_of, lora_metadata, output_path, save_lora
from .pair import Pair, Target, open_pair, targets_of
from .stream import give_memory_back
from .svd import Decomposed, RankRule, decompose, decompose_partly
from .work import Work

_LAYERS_BETWEEN_TRIMS = 8


@dataclass(frozen=True)
class _Rules:
    """The ranks kept per layer, separately for 3x3 convolutions, and the other processing options."""

    linear: RankRule
    spatial: RankRule
    job: ExtractJob

    def of(self, target: Target) -> RankRule:
        return self.spatial if target.spatial else self.linear


@torch.no_grad()
def extract(job: ExtractJob, work: Work) -> Path | None:
    """Extract according to ``job``; returns the LoRA's path, or ``None`` if only the curve was requested.

    Raises ``CheckpointError`` or ``RunError``, before the work starts if possible; ``Stopped``.
    """
    path = None if job.only_curve else output_path(job.output_name, job.output_dir, Path(job.tuned))
    device = device_of(job.device)
    network_type = job.network_type or (LIERLA if job.conv_dim is None else C3LIER)
    pair = open_pair(Path(job.org), Path(job.tuned))
    targets = targets_of(pair, network_type)
    rules = _Rules(RankRule(job.network_dim, job.sv_ratio, job.sv_fro, job.sv_cumulative),
                   RankRule(job.conv_dim or job.network_dim, job.sv_ratio, job.sv_fro, job.sv_cumulative), job)
    if path is not None and not rules.linear.by_energy:
        check_room(path, _expected_bytes(targets, rules))
    targets = _changed_parts(pair, targets, job.min_diff, work)
    vectors = _Vectors(job, targets, work)
    work.report.phase("extract", f"Extracting a LoRA from {len(targets)} layers", len(targets))
    tensors: dict[str, Tensor] = {}
    layers: list[LayerCurve] = []
    attentions = _changed_attentions(pair, targets)
    with vectors:
        for number, target in enumerate(targets, 1):
            difference = _difference(pair, target, always=target.place.attention in attentions)
            if difference is not None:
                layers.append(_take(target, difference.to(device), rules, vectors, tensors))
            if number % _LAYERS_BETWEEN_TRIMS == 0:
                give_memory_back()
            work.step(number, len(targets))
    _report(job, network_type, layers, len(targets), work)
    if path is None:
        return None
    save_lora(path, tensors, _metadata(job, pair, network_type, layers))
    return path


class _Vectors:
    """Singular vectors saved by an earlier curve of the same files, or to be saved by this curve for the LoRA."""

    def __init__(self, job: ExtractJob, targets: Sequence[Target], work: Work) -> None:
        self._work, self._earlier, self._writer = work, None, None
        runs = work.folder.parent if work.folder is not None else None
        if runs is None or not ((job.only_curve and job.exact) or find_indexes(runs)):
            return
        work.report.phase("compare", "Comparing the files with those of earlier curves")
        key = key_of(file_sha256(Path(job.org)), file_sha256(Path(job.tuned)))
        self._earlier = open_factors(runs, key)
        if self._earlier is not None:
            work.report.say(f"Singular values that the run {self._earlier.run} has calculated are used again.")
        elif job.only_curve and job.exact:
            sides = [min(target.place.shape[0], math.prod(target.place.shape[1:])) for target in targets]
            self._writer = open_writer(work.folder, key, sides)

    def of(self, target: Target, difference: Tensor, rule: RankRule, *, exact: bool) -> Decomposed:
        """The decomposition of a layer's ``difference`` with the vectors that ``rule`` keeps."""
        found = self._earlier.of(target.key, difference, rule.rank) if self._earlier is not None else None
        if found is not None:
            return found
        if not exact and not rule.by_energy and rule.most is not None and 2 * rule.most <= min(difference.shape):
            return decompose_partly(difference, rule.most)
        kept = self._writer.ranks if self._writer is not None else 1
        parts = decompose(difference, lambda values: max(kept, rule.rank(values)))
        self._keep(target.key, parts)
        return parts

    def _keep(self, key: str, parts: Decomposed) -> None:
        if self._writer is not None:
            try:
                self._writer.keep(key, parts)
            except WriteError as problem:
                self._give_up(problem)

    def __enter__(self) -> None:
        """Start of the layers."""

    def __exit__(self, kind: type[BaseException] | None, *others: object) -> None:
        """Delete the vectors of a curve that was stopped."""
        if self._writer is not None and kind is not None:
            self._writer.give_up()
        elif self._writer is not None:
            try:
                self._writer.close()
            except WriteError as problem:
                self._give_up(problem)

    def _give_up(self, problem: WriteError) -> None:
        self._work.report.warning(f"Saving will calculate the singular values again: {problem}")
        if self._writer is not None:
            self._writer.give_up()
            self._writer = None


def _take(target: Target, difference: Tensor, rules: _Rules, vectors: _Vectors,
          tensors: dict[str, Tensor]) -> LayerCurve:
    """Add the layer's factors to ``tensors``."""
    job = rules.job
    parts = vectors.of(target, difference, rules.of(target), exact=job.exact)
    kept = keep_ranks(target.key, difference, parts, rules.of(target).rank(parts.values),
                      precision=job.save_precision, kernel=target.kernel, quantile=job.clamp_quantile)
    if not job.only_curve:
        tensors |= kept.tensors
    return kept.curve


def _changed_attentions(pair: Pair, targets: Sequence[Target]) -> set[str]:
    """The OpenCLIP attention layers that differ: the webui needs all four matrices in the file, or uses none."""
    return {target.place.attention for target in targets
            if target.place.attention and _most(*pair.weights(target.place))}


def _difference(pair: Pair, target: Target, *, always: bool) -> Tensor | None:
    """ΔW (out, in·k·k) in float32; ``None`` if the layers are equal, unless it is needed ``always``."""
    tuned, org = pair.weights(target.place)
    if not always and _most(tuned, org) == 0:
        return None
    return (tuned.float() - org.float()).flatten(1)


def _most(tuned: Tensor, org: Tensor) -> float:
    """The largest difference; 0 if a checkpoint was only saved in lower precision."""
    coarser = min((tuned.dtype, org.dtype), key=lambda dtype: torch.finfo(dtype).bits)
    return float((tuned.to(coarser).float() - org.to(coarser).float()).abs().max())


def _changed_parts(pair: Pair, targets: Sequence[Target], min_diff: float, work: Work) -> list[Target]:
    """``targets`` without text encoders that are equal in both, which is reported.

    Raises ``CheckpointError`` if nothing differs at all.
    """
    encoders = dict.fromkeys(target.part for target in targets if target.part != UNET_PREFIX)
    unchanged = [part for part in encoders if not _differs(pair, targets, part, min_diff)]
    for part in unchanged:
        name = {"lora_te": "The text encoder", "lora_te1": "The first text encoder"}.get(part,
                                                                                         "The second text encoder")
        work.report.warning(f"{name} is the same in both checkpoints, so the LoRA leaves it out.")
    if len(unchanged) == len(encoders) and not _differs(pair, targets, UNET_PREFIX, 0):
        raise CheckpointError(f"{pair.tuned.path.name} does not differ from {pair.org.path.name} in any layer that a "
                              "LoRA of this type has. Choose the base that it was made from.")
    return [target for target in targets if target.part not in unchanged]


def _differs(pair: Pair, targets: Sequence[Target], part: str, min_diff: float) -> bool:
    return any(_most(*pair.weights(target.place)) > min_diff for target in targets if target.part == part)


def _expected_bytes(targets: Sequence[Target], rules: _Rules) -> int:
    width = DTYPES[rules.job.save_precision].itemsize
    return sum(min(rules.of(target).most or 0, out, math.prod(into)) * (out + math.prod(into)) * width
               for target in targets for out, *into in (target.place.shape,))


def _report(job: ExtractJob, network_type: str, layers: Sequence[LayerCurve], targets: int, work: Work) -> None:
    """Report size and error, and the curve, before anything is saved."""
    curve = Curve(layers, DTYPES[job.save_precision].itemsize)
    sentences = [f"{network_type} with {len(layers)} layers, {ranks_in_words([layer.rank for layer in layers])}: about "
                 f"{curve.bytes / 1e6:.1f} MB, error {100 * curve.error:.2f}% of the difference."]
    if len(layers) < targets:
        sentences.append(f"{targets - len(layers)} layers are the same in both checkpoints and are skipped.")
    for text in (*sentences, curve.table()):
        work.report.say(text)
    work.result({"command": "extract", "sentences": sentences, **curve.as_result()})


def _metadata(job: ExtractJob, pair: Pair, network_type: str, layers: Sequence[LayerCurve]) -> dict[str, str]:
    org, tuned = Path(job.org), Path(job.tuned)
    rank = max((layer.rank for layer in layers), default=1)
    comment = f"Extracted: {tuned.name} minus {org.name}."
    return lora_metadata(job.output_name, pair.family, network_type, (rank, job.conv_dim), {
        "extracted_from": tuned.name, "extracted_from_sha256": file_sha256(tuned)}) | {
            "ss_sd_model_name": org.name, "ss_sd_model_hash": old_short_hash(org),
            "ss_new_sd_model_hash": file_sha256(org), "ss_training_comment": comment}
