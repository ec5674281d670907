"""Gets a run's base weights, lent by the webui or read from the file, and reports which."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from ..config.job import Job
from ..models.agreement import TOLERANCE, Remembered, difference_to_float32
from ..models.lent import PART_NAMES, LentWeights, NotLent, open_lent
from ..models.load import BaseModel, load_base
from ..runs.folder import RunFolder
from ..runs.lend_ticket import COPY, FILE, LENT, LENT_MEMORY, PENDING, LendTicket, read_ticket, take_handles
from .encoding import StoppedEarly
from .holding import Boundary
from .precision import Computing
from .reporting.report import Reporter

_POLL_SECONDS = 0.02
_REPORT_AFTER_SECONDS = 1.0


def load_weights(job: Job, run: RunFolder, computing: Computing, boundary: Boundary, reporter: Reporter) -> BaseModel:
    """The base model of ``job``, in the webui's memory if it is lent to ``run``, else from the file.

    A ``weights`` event reports which, and why, if there is a webui. Raises ``CheckpointError`` as ``load_base`` does,
    ``StoppedEarly`` if a stop is requested while the webui is too busy to lend its model.
    """
    ticket = read_ticket(run.path) if job.training.webui_model == FILE else _settled_ticket(run, reporter)
    if ticket is None:
        return _load(job, computing, None, aligned=False)
    if job.training.webui_model == FILE:
        return _load(job, computing, None, aligned=True)
    reason = ticket.reason
    if ticket.way != FILE:
        handles = take_handles(run.path)
        boundary.wait()  # only now: a run that took the handles must answer holds, others are not waited for
        try:
            if handles is None:
                raise NotLent("they were lent when this run started, but not since")
            base = _load(job, computing, open_lent(ticket, handles, computing.device), aligned=True)
            _report_lent(base, boundary, reporter)
            return base
        except NotLent as problem:
            reason = str(problem)
    _report(reporter, FILE, f"The model is read from the file, because {reason}.", 0)
    return _load(job, computing, None, aligned=True)


def _settled_ticket(run: RunFolder, reporter: Reporter) -> LendTicket | None:
    """The webui's answer, waiting for it if one is due; ``None`` if there is no webui."""
    began, reported = time.monotonic(), False
    while (ticket := read_ticket(run.path)) is not None and ticket.way == PENDING:
        if run.control.asked("stop"):
            raise StoppedEarly
        if not ticket.lender.alive:
            return dataclasses.replace(ticket, way=FILE, reason="the webui ended before it could lend it")
        if not reported and time.monotonic() - began > _REPORT_AFTER_SECONDS:
            reporter.phase("model", "Waiting for the webui's image, to train on the model that it holds")
            reported = True
        time.sleep(_POLL_SECONDS)
    return ticket


def proven(job: Job, run: RunFolder, base: BaseModel, computing: Computing, boundary: Boundary,
           reporter: Reporter, remembered: Remembered) -> tuple[Computing, BaseModel]:
    """``computing`` and ``base`` if a step in bf16 agrees with float32, else both without mixed precision.

    A ``precision`` event reports which, and the error of bf16. Both are unchanged if there is nothing to test. Raises
    as ``load_base``.
    """
    if not computing.unproven:
        return computing, base
    boundary.wait()
    known = remembered.of(base.checkpoint)
    off = difference_to_float32(base) if known is None else known
    if off <= TOLERANCE:
        if known is None:
            remembered.remember(base.checkpoint, off)
        text = (f"Trains in bf16: this processor has it in hardware, and a step on fixed noise "
                f"{'agrees' if known is None else 'agreed before'} with full precision to {off:.1%}.")
        reporter.say(text)
    else:
        text = (f"Trains in full precision, which takes about twice as long: in bf16, a step on fixed noise was "
                f"{off:.0%} off, and at most {TOLERANCE:.0%} is rounding. To train in bf16 all the same, set "
                "training.mixed_precision to bf16.")
        reporter.warning(text)
        computing = computing.in_full_precision()
        lent = base.lent
        base = _load(job, computing, lent, aligned=read_ticket(run.path) is not None)
        if lent is not None and lent.shared_bytes(_networks(base)):
            boundary.watch(lent)
    reporter.event("precision", {"precision": computing.precision, "difference": off, "text": text})
    return computing, base


def _networks(base: BaseModel) -> tuple[nn.Module, ...]:
    return (base.unet, *base.text_encoders, base.vae)


def _load(job: Job, computing: Computing, lent: LentWeights | None, *, aligned: bool) -> BaseModel:
    """``aligned`` is for runs started by a webui, so that all ways to its weights give the same LoRA, bit for bit."""
    return load_base(Path(job.base.checkpoint), Path(job.base.vae) if job.base.vae else None,
                     dtype=computing.weight_dtype, device="cpu", lent=lent,
                     aligned=aligned and computing.device.type == "cpu", as_kept=computing.device.type == "cpu")


def _report_lent(base: BaseModel, boundary: Boundary, reporter: Reporter) -> None:
    lent = base.lent
    if lent is None:
        raise TypeError("nothing is lent to this model")
    if set(PART_NAMES) <= set(lent.refused):
        raise NotLent(_reasons(lent.refused))
    shared = lent.shared_bytes(_networks(base))
    besides = f" {_reasons(lent.refused).capitalize()}." if lent.refused else ""
    if shared:
        boundary.watch(lent)
        how = "uploaded from the main memory that it shares" if lent.uploaded else "shared with it"
        saved = f"The webui's loaded model, {how}, which saves {_size(shared)} of memory."
        _report(reporter, LENT_MEMORY if lent.uploaded else LENT, f"{saved}{besides}", shared)
    else:
        _report(reporter, COPY, f"A copy of the webui's loaded model, made without reading the file.{besides}", 0)


def _reasons(refused: Mapping[str, str]) -> str:
    """Why parts are read from their files; a shared reason is given once."""
    by_reason: dict[str, list[str]] = {}
    for part, reason in refused.items():
        by_reason.setdefault(reason, []).append(PART_NAMES[part])
    if len(by_reason) == 1 and len(refused) == len(PART_NAMES):
        return next(iter(by_reason))
    return "; ".join(f"{' and '.join(parts)} {'is' if len(parts) == 1 else 'are'} from the file, because {reason}"
                     for reason, parts in by_reason.items())


def _report(reporter: Reporter, way: str, text: str, shared_bytes: int) -> None:
    reporter.event("weights", {"way": way, "text": text, "bytes": shared_bytes})
    reporter.say(text)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
