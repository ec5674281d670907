"""Merges LoRAs into a copy of a checkpoint, so that it generates what the webui does with them in the prompt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import torch
from torch import Tensor

from ..config.groups.tools import MergeJob
from ..errors import CheckpointError
from ..models.family import UNET, VAE, Family
from ..models.hashes import file_sha256
from ..models.prediction import detect_base
from ..networks.lora_family import check_fits
from ..networks.save import DTYPES
from .change import Change, change_of, misfit
from .lora_source import Lora, embeddings_left_out, read_loras
from .output import check_room, output_path
from .places import Place, Places
from .stream import Entry, Source, open_source, total_bytes, write_stream
from .work import Work

_AVERAGED = "model_ema."
_SHOWN = 3
_IN_UNET_BLOCK = ("blocks_", "middle_block", "mid_block")


@dataclass(frozen=True)
class _Step:
    """The effect of one layer of one LoRA on one layer of the checkpoint."""

    lora: Lora
    key: str
    place: Place

    def change(self, weight: Tensor) -> Change:
        strength = self.lora.strength
        tensors = self.lora.layers[self.key]
        factor = strength.of(self.place.layer, text_encoder=self.place.text_encoder)
        try:
            return change_of(tensors, weight, factor, strength.dyn)
        except RuntimeError as problem:
            if "not implemented for 'Half'" not in str(problem):
                raise
        # torch before 2.2 cannot multiply halves on the CPU: like a GPU, multiply in float32 and round
        made = change_of({name: tensor.float() for name, tensor in tensors.items()}, weight, factor, strength.dyn)
        return Change(made.weight.half(), made.bias)


Plan = Mapping[str, Sequence[_Step]]
"""The steps for each tensor of the checkpoint, in the order of the LoRAs; those for a bias under its own name."""


@torch.no_grad()
def merge(job: MergeJob, work: Work) -> Path:
    """Merge according to ``job``; returns the path of the new checkpoint.

    Raises ``CheckpointError``, ``ConfigError`` or ``RunError`` before the work starts; ``Stopped``.
    """
    checkpoint = Path(job.checkpoint)
    path = output_path(job.output_name, job.output_dir, checkpoint)
    source = open_source(checkpoint)
    family, _ = detect_base(source.path, source.shapes, source.metadata)
    loras = read_loras(job.loras, job.strengths, job.block_presets)
    plan = _plan(source, family, loras, work)
    if left_out := embeddings_left_out(loras):
        work.report.warning(left_out)
    entries = _entries(source, family, plan, DTYPES[job.save_precision] if job.save_precision else None)
    check_room(path, total_bytes(entries))
    if len(entries) < len(source.shapes):
        work.report.say(f"{len(source.shapes) - len(entries)} averaged weights (EMA) are skipped: the webui does not "
                      "use them, and they would be those of the checkpoint without the LoRA.")
    work.report.phase("hash", "Reading the files' hashes")
    metadata = _metadata(job, source, loras)
    names = ", ".join(lora.path.stem for lora in loras)
    work.report.phase("merge", f"Merging {names} into a copy of {checkpoint.name}", len(entries))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_stream(path, entries, metadata, work.step)
    beside = checkpoint.with_suffix(".yaml")
    if beside.is_file() and not path.with_suffix(".yaml").exists():
        shutil.copyfile(beside, path.with_suffix(".yaml"))  # from this the webui detects the model type
    return path


def _plan(source: Source, family: Family, loras: Sequence[Lora], work: Work) -> Plan:
    """Plan the merge. Raises ``CheckpointError`` if a LoRA is for another family or does not fit."""
    places = Places(source.shapes, family)
    plan: dict[str, list[_Step]] = {}
    for lora in loras:
        check_fits(lora.path.name, lora.file.shapes, lora.file.metadata, source.path.name, family)
        steps, missing = _steps(lora, places)
        _check_fit(lora, steps, missing, source, work)
        without_bias = []
        for step in _without_half_attention(lora, steps, work):
            plan.setdefault(step.place.weight, []).append(step)
            if not {"diff_b", "b_norm"} & {*lora.layers[step.key]}:
                continue
            if step.place.bias is None:
                without_bias.append(step.key)
            else:
                plan.setdefault(step.place.bias, []).append(step)
        if without_bias:
            work.report.warning(f"{lora.path.name} adds to the bias of {len(without_bias)} layers that have none of "
                              f"their own in {source.path.name}, such as {without_bias[0]}; those are skipped.")
    return plan


def _steps(lora: Lora, places: Places) -> tuple[list[_Step], list[str]]:
    found = {key: places.find(key) for key in lora.layers}
    steps = [_Step(lora, key, place) for key, place in found.items() if place is not None]
    return steps, [key for key, place in found.items() if place is None]


def _check_fit(lora: Lora, steps: Sequence[_Step], missing: Sequence[str], source: Source, work: Work) -> None:
    in_blocks = [key for key in missing if "unet" in key and any(part in key for part in _IN_UNET_BLOCK)]
    wrong = [f"{step.key} ({problem})" for step in steps
             if (problem := misfit(lora.layers[step.key], step.place.shape))]
    if wrong or in_blocks or not steps:
        why = (f"{len(wrong)} of its layers have other shapes, such as {_some(wrong)}" if wrong else
               f"{len(in_blocks or missing)} of its {len(lora.layers)} layers are not in the checkpoint, such as "
               f"{_some(in_blocks or list(missing))}")
        raise CheckpointError(f"{lora.path.name} does not fit {source.path.name}: {why}. Choose a LoRA of the "
                              "checkpoint's family.")
    if missing:
        work.report.warning(f"{len(missing)} layers of {lora.path.name} are not in {source.path.name} and are skipped, "
                          f"as in the webui: {_some(list(missing))}.")


def _without_half_attention(lora: Lora, steps: Sequence[_Step], work: Work) -> list[_Step]:
    """``steps`` without those of incomplete OpenCLIP attention (fewer than four matrices), which the webui skips."""
    counts: dict[str, int] = {}
    for step in steps:
        if step.place.attention:
            counts[step.place.attention] = counts.get(step.place.attention, 0) + 1
    partial = {attention for attention, count in counts.items() if count < 4}
    if partial:
        work.report.warning(f"{lora.path.name} has only some of the matrices of {len(partial)} attention layers of a "
                          "text encoder. The webui leaves such layers out, and so does the merge.")
    return [step for step in steps if step.place.attention not in partial]


def _entries(source: Source, family: Family, plan: Plan, dtype: torch.dtype | None) -> dict[str, Entry]:
    """Every tensor of the new file, the widest dtypes first, as the format requires."""
    weights = (UNET, VAE, *(kind.prefix for kind in family.text_encoders))

    def saved_as(name: str) -> torch.dtype:
        stored = source.dtype(name)
        return dtype if dtype is not None and stored.is_floating_point and name.startswith(weights) else stored

    names = sorted((name for name in source.shapes if not name.startswith(_AVERAGED)),
                   key=lambda name: (-saved_as(name).itemsize, name))
    makers = {name: _Maker(source, name, plan.get(name, ()), saved_as(name)) for name in names}
    return {name: Entry(maker.dtype, tuple(source.shapes[name]), maker) for name, maker in makers.items()}


@dataclass(frozen=True)
class _Maker:
    """Computes one tensor of the new file when called."""

    source: Source
    name: str
    steps: Sequence[_Step]
    dtype: torch.dtype

    def __call__(self) -> Tensor:
        tensor = self.source.read(self.name)
        if self.steps:
            tensor = self._changed(tensor.float())
        tensor = tensor.to(self.dtype)
        if self.steps and not torch.isfinite(tensor.float()).all():
            kind = str(self.dtype).removeprefix("torch.")
            raise CheckpointError(f"{self.name} cannot be saved as {kind}: its values become too large with these "
                                  "strengths. Use save_precision=float, or less strength.")
        return tensor

    def _changed(self, tensor: Tensor) -> Tensor:
        for step in self.steps:
            if self.name == step.place.bias:
                tensor = tensor + self._bias_change(step)
            elif step.place.third is not None:
                rows = tensor.chunk(3)[step.place.third]
                rows += step.change(rows).weight
            else:
                change = step.change(tensor).weight
                kept = tensor if step.place.attention else tensor.to(change.dtype)  # as the webui rounds, or does not
                tensor = (kept + change).float()
        return tensor

    def _bias_change(self, step: _Step) -> Tensor:
        tensors = step.lora.layers[step.key]
        bias = tensors["diff_b" if "diff_b" in tensors else "b_norm"]
        return bias * step.lora.strength.of(step.place.layer, text_encoder=step.place.text_encoder)


def _metadata(job: MergeJob, source: Source, loras: Sequence[Lora]) -> dict[str, str]:
    """The metadata of the new file: the checkpoint's own, the recipe, and the hashes of all files in it."""
    kept = {key: value for key, value in source.metadata.items() if not key.startswith(("modelspec.hash", "sshs_"))}
    recipe = {"type": "train-lora", "checkpoint": source.path.name, "checkpoint_sha256": file_sha256(source.path),
              "loras": [{"name": lora.path.name, "sha256": file_sha256(lora.path), "strength": lora.strength.in_words}
                        for lora in loras],
              "save_precision": job.save_precision or "as the checkpoint"}
    now = datetime.now(timezone.utc).replace(microsecond=0).isoformat()
    return kept | {"sd_merge_recipe": json.dumps(recipe, ensure_ascii=False), "modelspec.title": job.output_name,
                   "modelspec.date": now, "format": "pt"}


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:_SHOWN]) + (" …" if len(texts) > _SHOWN else "")
