"""Inspects a LoRA file of any origin: kind, ranks, alphas, norms, trained words, base model, settings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..blocks.names import FULL_SD1, block_of, layer_and_tensor
from ..config.importing.places import LocalPlaces
from ..config.importing.read import read_lora_metadata
from ..config.importing.report import NOT_KNOWN
from ..config.text_yaml import write_yaml
from ..errors import CheckpointError, ConfigError
from ..files.json_file import DamagedFileError, read_object
from ..models.checkpoint import Checkpoint, read_checkpoint
from ..networks.lora_facts import LoraFacts, facts_of, from_json, in_words, looks_like_lora, not_a_lora
from ..networks.lora_family import family_of_lora, foreign_model
from .change import PLAIN, Tensors, change_of, kind_of, needs_base, rank_of, scale_of
from .curve import ranks_in_words
from .summand import is_vector, matrix_shape

_NAMES = {"lora.up.weight": "lora_up.weight", "lora.down.weight": "lora_down.weight", "up.weight": "lora_up.weight",
          "down.weight": "lora_down.weight", "lora_A": "lora_A.weight", "lora_B": "lora_B.weight",
          "lora_A.default.weight": "lora_A.weight", "lora_B.default.weight": "lora_B.weight",
          "lora_magnitude_vector": "dora_scale", "lora_magnitude_vector.weight": "dora_scale",
          "lora_up": "lora_up.weight", "lora_down": "lora_down.weight"}
_MOST_TAGS = 100
_SHOWN = 3


@torch.no_grad()
def inspect(path: Path) -> dict[str, Any]:
    """All facts about the file ``path`` as plain values; ``sentences`` has them in words.

    Norms are Frobenius norms of each block's change at strength 1, without DoRA; ``None`` if that depends on the base
    model. Raises ``CheckpointError`` if the file is missing, damaged or not a LoRA.
    """
    file = read_checkpoint(path, "LoRA")
    layers = _layers(file)
    if not looks_like_lora(file.shapes) and not any(map(kind_of, layers.values())):
        raise CheckpointError(not_a_lora(path, file.shapes))
    facts = facts_of(file.shapes, _alphas(file), file.metadata)
    broken = [name for name, tensor in file.tensors.items()
              if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    found: dict[str, Any] = {"command": "inspect", "path": str(path), "name": path.stem, "bytes": path.stat().st_size}
    found |= _kinds(layers, facts, file) | _norms(layers, facts) | _words(file) | _base(file, facts)
    found |= _settings(file, facts) | {"broken": broken, "metadata": dict(file.metadata)}
    return found | {"sentences": _sentences(found)}


def _layers(file: Checkpoint) -> dict[str, dict[str, torch.Tensor]]:
    layers: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in file.tensors.items():
        layer, rest = layer_and_tensor(name)
        if not layer.startswith("bundle_emb"):
            layers.setdefault(layer, {})[_NAMES.get(rest, rest)] = tensor
    return layers


def _alphas(file: Checkpoint) -> dict[str, float]:
    alphas = {name.removesuffix(".alpha"): float(tensor) for name, tensor in file.tensors.items()
              if name.endswith(".alpha") and tensor.numel() == 1}
    return {layer: alpha for layer, alpha in alphas.items() if math.isfinite(alpha)}


def _kinds(layers: Mapping[str, Tensors], facts: LoraFacts, file: Checkpoint) -> dict[str, Any]:
    kinds = Counter(f"{kind_of(tensors) or 'unknown'}{' with DoRA' if 'dora_scale' in tensors else ''}"
                    for tensors in layers.values())
    ranks = Counter(rank for tensors in layers.values() if (rank := rank_of(tensors)) is not None)
    alphas = Counter(float(f"{float(tensors['alpha']):.6g}") for tensors in layers.values()
                     if "alpha" in tensors and tensors["alpha"].numel() == 1)
    text_layers = sum(block_of(layer) == "BASE" for layer in layers)
    return {"kind": in_words(facts) if facts.problem is None else ", ".join(kinds), "kinds": dict(kinds),
            "layers": len(layers), "text_encoder_layers": text_layers, "unet_layers": len(layers) - text_layers,
            "ranks": {str(rank): count for rank, count in sorted(ranks.items())},
            "alphas": {f"{alpha:g}": count for alpha, count in sorted(alphas.items())},
            "precisions": dict(Counter(str(tensor.dtype).removeprefix("torch.") for tensor in file.tensors.values())),
            "training_problem": facts.problem}


def _norms(layers: Mapping[str, Tensors], facts: LoraFacts) -> dict[str, Any]:
    squares: dict[str, float] = {}
    unknown = 0
    for layer, tensors in layers.items():
        square = _square(tensors, spatial=layer in facts.layers and facts.layers[layer].spatial)
        if square is None:
            unknown += 1
        else:
            block = block_of(layer) or "others"
            squares[block] = squares.get(block, 0.0) + square
    order = (*FULL_SD1, "others")
    norms = {block: math.sqrt(squares[block]) for block in order if block in squares and math.isfinite(squares[block])}
    return {"norms": norms, "norm": math.sqrt(sum(norm ** 2 for norm in norms.values())), "norms_unknown": unknown}


def _square(tensors: Tensors, *, spatial: bool) -> float | None:
    """‖ΔW‖² of a layer; ``None`` if it depends on the base model or the tensors do not fit each other."""
    tensors = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()
               if name != "dora_scale"}
    if kind_of(tensors) is None or needs_base(tensors):
        return None
    try:
        if is_vector(tensors):
            return float(tensors["w_norm" if "w_norm" in tensors else "diff"].double().square().sum())
        if kind_of(tensors) == PLAIN and "lora_mid.weight" not in tensors:
            up, down = (next(tensors[name] for name in names if name in tensors).flatten(1).double()
                        for names in (("lora_up.weight", "lora_B.weight"), ("lora_down.weight", "lora_A.weight")))
            return float(((up.T @ up) * (down @ down.T)).sum().clamp(min=0)) * scale_of(tensors) ** 2
        out, into, _ = matrix_shape(tensors, spatial=spatial)
        change = change_of(tensors, torch.empty((out, into), device="meta")).weight
        return float(change.double().square().sum())
    except (RuntimeError, ValueError, IndexError):
        return None


def _words(file: Checkpoint) -> dict[str, Any]:
    """The trigger word, from the metadata or the ``.json`` beside the file, and the caption tags with counts."""
    counted: Counter[str] = Counter()
    folders = from_json(file.metadata.get("ss_tag_frequency"))
    for tags in folders.values() if isinstance(folders, dict) else ():
        if isinstance(tags, dict):
            counted.update({str(tag).strip(): count for tag, count in tags.items() if isinstance(count, int)})
    try:
        beside = read_object(file.path.with_suffix(".json"))
    except (OSError, DamagedFileError):
        beside = {}
    trigger = file.metadata.get("modelspec.trigger_phrase") or str(beside.get("activation text") or "")
    return {"trigger": trigger, "tags": [[tag, count] for tag, count in counted.most_common(_MOST_TAGS)],
            "sidecar": {str(key): value for key, value in beside.items()}}


def _base(file: Checkpoint, facts: LoraFacts) -> dict[str, Any]:
    family = family_of_lora(file.shapes, file.metadata)
    said = {"name": file.metadata.get("ss_sd_model_name"), "hash": file.metadata.get("ss_new_sd_model_hash"),
            "old_hash": file.metadata.get("ss_sd_model_hash"), "version": file.metadata.get("ss_base_model_version"),
            "title": file.metadata.get("modelspec.title"), "date": file.metadata.get("modelspec.date")}
    return {"family": family.name if family is not None else foreign_model(file.shapes) or None,
            "base_model": {key: value for key, value in said.items() if value and value != "None"}}


def _settings(file: Checkpoint, facts: LoraFacts) -> dict[str, Any]:
    """The training settings as a partial job, as far as metadata and tensors reveal them, and their source."""
    tensors = facts.settings if facts.problem is None else {}
    try:
        imported = read_lora_metadata(file.path, tensors, LocalPlaces(file.path.parent))
    except ConfigError:  # a pickled file has no metadata
        values: dict[str, Any] = {"network": tensors} if tensors else {}
        return {"job": write_yaml(values) if values else "", "job_from": "its tensors" if values else "",
                "unread_settings": []}
    unread = [f"{answer.option}={answer.value}" for answer in imported.answers if answer.answer == NOT_KNOWN]
    said = bool(file.metadata.get("train_lora_job")) or any(key.startswith("ss_") for key in file.metadata)
    return {"job": write_yaml({group: dict(values) for group, values in imported.values.items()}),
            "job_from": "its metadata" if said else "its tensors", "unread_settings": unread}


def _sentences(found: Mapping[str, Any]) -> list[str]:
    ranks = [int(rank) for rank, count in found["ranks"].items() for _ in range(count)]
    lines = [f"{found['name']}: {found['kind']}, {found['bytes'] / 1e6:.1f} MB, {found['unet_layers']} layers of the "
             f"UNet and {found['text_encoder_layers']} of text encoders.",
             f"Base model: {found['base_model'].get('name') or 'not named'}, "
             f"{found['family'] or 'family not known'}."]
    if ranks:
        alphas = ", ".join(found["alphas"]) or "none, which counts as the rank"
        lines.append(f"{ranks_in_words(ranks).capitalize()}; alpha {alphas}.")
    if found["trigger"]:
        lines.append(f"Trigger word: {found['trigger']}.")
    if found["tags"]:
        shown: Sequence[Any] = found["tags"][:10]
        lines.append("Most frequent tags: " + ", ".join(f"{tag} ({count})" for tag, count in shown) + ".")
    if found["norms"]:
        lines.append("Norm of the change by block: " + ", ".join(f"{block} {norm:.3g}" for block, norm in
                                                                 found["norms"].items()) + ".")
    if found["norms_unknown"]:
        lines.append(f"{found['norms_unknown']} layers change by an amount that depends on the base model.")
    if found["broken"]:
        lines.append(f"Damaged: {len(found['broken'])} tensors hold values that are not numbers (NaN or infinity), "
                     f"such as {', '.join(found['broken'][:_SHOWN])}.")
    lines.append(f"Settings: from {found['job_from']}." if found["job_from"] else "Settings: none in the file.")
    if found["unread_settings"]:
        lines.append(f"Settings that are not known here: {', '.join(found['unread_settings'])}.")
    return lines
