"""Rules of the machine: what fits into its memory."""

from __future__ import annotations

import math
from typing import Any

from ..families import SD1
from ..memory import GB, estimate_memory, fit, in_gb
from .rule import Case, Rule

_PRODIGY_NEEDS_GB = 6.1
"""The guide's measurement at 512 px and a batch size of 1, on SD 1.5."""
_SMALLEST_SIDE = 512
_UNET_ONLY_BELOW_GB = 11.0
_LEAST_RANK = 4
_LEAST_SIDE = 256


def _limited(case: Case) -> bool:
    return case.on_gpu and case.limit_gb is not None


def _tested_name(case: Case) -> str:
    return f"The test bake {case.facts.tested.name if case.facts.tested else ''}"


def _no_limit_to_lower(case: Case) -> bool:
    tested = case.facts.tested
    return tested is not None and tested.out_of_memory and not _limited(case)


def _too_large_side(case: Case) -> int | None:
    """The size at which a test bake ran out of memory, if the planned one is not smaller."""
    tested = case.facts.tested
    if tested is None or tested.too_big is None or _limited(case) or min(case.job().dataset.size) < tested.too_big:
        return None
    return tested.too_big


def _below(side: int) -> int:
    return max(_LEAST_SIDE, side - (128 if side > 768 else 64))


def fitted(case: Case, **changes: Any) -> tuple[int, int, float]:
    """How much the job has to give up to fit: share of weights in main memory, fp8 or not, and the GB it then needs."""
    job, _ = fit(case.facts.shapes, case.job(training__fit_in_gb=case.limit_gb, **changes))
    estimate = estimate_memory(case.facts.shapes, job)
    need = estimate.total / GB if estimate else math.nan
    return job.training.weights_on_cpu, int(job.training.base_weights != "full"), need


def _too_big(case: Case, **changes: Any) -> bool:
    return _limited(case) and bool(case.facts.shapes) and fitted(case, **changes)[2] > (case.limit_gb or 0)


def _needs_eight_bit(case: Case) -> bool:
    """Whether AdamW8bit avoids fp8 weights or offloading that Prodigy needs; by the guide's figure without shapes."""
    if not _limited(case) or case.facts.device == "mps":
        return False
    if not case.facts.shapes:
        return case.facts.family.resolution == SD1.resolution and (case.limit_gb or 0) < _PRODIGY_NEEDS_GB
    return fitted(case, optimizer__optimizer_type="AdamW8bit") [:2] < fitted(case)[:2] or (
        _too_big(case) and not _too_big(case, optimizer__optimizer_type="AdamW8bit"))


def _smaller_size(case: Case) -> int:
    """The largest training size that fits, in steps of 64 px; 512 if none does."""
    side = min(case.job().dataset.size)
    while side > _SMALLEST_SIDE and _too_big(case, dataset__resolution=str(side)):
        side -= 64
    return max(side, min(_SMALLEST_SIDE, min(case.job().dataset.size)))


def _smaller_rank(case: Case) -> int:
    dim: int = case.values["network.network_dim"]
    while dim > _LEAST_RANK and _too_big(case, network__network_dim=dim, network__network_alpha=1.0):
        dim = max(_LEAST_RANK, dim // 2)
    return dim


MACHINE = (
    Rule("vram-limit", "a VRAM limit, on a GPU", _limited,
         "The run uses no more: what it needs for that is switched on before the first step.",
         "this project: docs/memory.md", lambda case: {"training.fit_in_gb": case.goal.vram_gb or case.limit_gb}),
    Rule("test-memory", "a test bake that ran out of GPU memory", lambda case: _limited(case)
         and case.limit_gb != case.values["training.fit_in_gb"],
         lambda case: f"{_tested_name(case)} ran out of memory, so the limit is {case.limit_gb:g} GB.",
         "this project: docs/memory.md", lambda case: {"training.fit_in_gb": case.limit_gb}),
    Rule("test-memory-blocks", "a test bake that ran out of memory, without a limit", _no_limit_to_lower,
         lambda case: f"{_tested_name(case)} ran out of memory; gradient checkpointing saves the most, for about a "
                      "quarter more time.", "this project: docs/memory.md",
         lambda case: {"training.gradient_checkpointing": True, "training.checkpointing_blocks": "all"}),
    Rule("test-memory-size", "a test bake that ran out of memory despite gradient checkpointing, without a limit",
         lambda case: _too_large_side(case) is not None,
         lambda case: f"At {_too_large_side(case)} px a test bake ran out of memory despite gradient checkpointing.",
         "this project: docs/memory.md", lambda case: {"dataset.resolution": str(_below(_too_large_side(case) or 0))}),
    Rule("unet-only", "a model with two text encoders and less than 11 GB",
         lambda case: _limited(case) and case.facts.family.wider and (case.limit_gb or 0) < _UNET_ONLY_BELOW_GB,
         "Training SDXL's text encoders takes memory that is short here, and most of a subject is learned by the UNet.",
         "sd-scripts: docs/sdxl_train_network.md; advice: SDXL",
         lambda case: {"network.network_train_unet_only": True}),
    Rule("eight-bit", "a VRAM limit that Prodigy does not fit into", _needs_eight_bit,
         "Prodigy keeps sixteen bytes for each trained value, AdamW8bit two; its rates are fixed.",
         "advice: DAdaptation (6.1 GB at 512 px); this project: docs/memory.md",
         lambda case: {"optimizer.optimizer_type": "AdamW8bit"}),
    Rule("smaller-size", "a VRAM limit that the size does not fit into",
         lambda case: _too_big(case) and min(case.job().dataset.size) > _SMALLEST_SIDE,
         lambda case: f"{_smaller_size(case)} px is the largest size that fits into {case.limit_gb:g} GB.",
         "this project: docs/memory.md", lambda case: {"dataset.resolution": str(_smaller_size(case))}),
    Rule("smaller-rank", "a VRAM limit that the rank does not fit into",
         lambda case: _too_big(case) and _smaller_rank(case) < case.values["network.network_dim"],
         lambda case: f"Rank {_smaller_rank(case)} fits into {case.limit_gb:g} GB.",
         "this project: docs/memory.md", lambda case: {"network.network_dim": _smaller_rank(case)}),
    Rule("does-not-fit", "a VRAM limit that nothing fits into", _too_big,
         lambda case: f"This needs about {in_gb(int(fitted(case)[2] * GB))} even with every switch on, more than "
                      f"{case.limit_gb:g} GB: it may run out of memory. Choose a smaller family.",
         "this project: docs/memory.md", todo=True),
)
