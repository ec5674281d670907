"""Derives training advice from the strengths, or the epoch, at which a LoRA looks best.

After the guide (sections "Strength" and "If you have the additional-networks extension"): a LoRA should work at 1. If
the UNet is best at 0.5, halve its learning rate; if the text encoder is best at 2, double its own. Having to lower it
means overfit or poorly trained, having to raise it means there is room for more training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..config.groups.optimizer import OptimizerSettings
from ..config.groups.scheduler import SchedulerSettings
from ..config.optimizer_args import finds_own_rate

_CONSTANT = ("constant", "constant_with_warmup")
_FLEXIBLE = 0.8  # a faithful LoRA is often lowered this far for more freedom, which is not a fault


@dataclass(frozen=True)
class StrengthAdvice:
    """``changes`` are settings of the next run by ``group.name``; ``sentences`` say why."""

    changes: dict[str, Any]
    sentences: tuple[str, ...]


def strength_advice(unet: float, text_encoder: float, optimizer: OptimizerSettings, epochs: int | None,
                    best_epochs: int | None = None) -> StrengthAdvice:
    """Advice from the strengths of the best image.

    ``epochs`` is the length of the run, ``best_epochs`` the epochs of the tried file, if it is not the last. If the
    optimizer finds its rate by itself, the number of epochs is changed instead of the rates.
    """
    sentences = [_reading("UNet", unet), _reading("text encoder", text_encoder)]
    if unet == 1 and text_encoder == 1:
        return StrengthAdvice({}, ("It works best at 1 and 1: keep it as it is.",))
    if finds_own_rate(optimizer):
        changes, why = _epochs(unet, best_epochs or epochs)
    else:
        changes, why = _rates(unet, text_encoder, optimizer)
    return StrengthAdvice(changes, (*(sentence for sentence in sentences if sentence), why))


def _reading(part: str, strength: float) -> str:
    if strength == 1:
        return ""
    if strength == 0:
        return f"Best without the {part}: what it learned only does harm."
    if strength < _FLEXIBLE:
        return f"The {part} has to be lowered to {strength:g}, so it is overfit or was trained too hard."
    if strength < 1:
        return f"The {part} is best at {strength:g}, a little below 1: faithful, with some freedom lost."
    return f"The {part} has to be raised to {strength:g}, so there is room for more training."


def _rates(unet: float, text_encoder: float, optimizer: OptimizerSettings) -> tuple[dict[str, Any], str]:
    changes: dict[str, Any] = {}
    parts = []
    for key, label, now, factor in (("optimizer.unet_lr", "UNet", optimizer.unet_rate, unet),
                                    ("optimizer.text_encoder_lr", "text encoder", optimizer.text_encoder_rate,
                                     text_encoder)):
        if factor != 1:
            changes[key] = float(f"{now * factor:.3g}")
            parts.append(f"{label} {now:g} × {factor:g} = {changes[key]:g}")
    return changes, f"Scale the learning rates by the same factors: {', '.join(parts)}."


def _epochs(unet: float, epochs: int | None) -> tuple[dict[str, Any], str]:
    if epochs is None or unet in (0, 1):
        return {}, ("The optimizer finds one rate for both parts by itself, so there is none to change. Check the "
                    "captions, or try other block weights.")
    wanted = max(1, round(epochs * unet))
    return {"training.max_train_epochs": wanted}, (
        f"The optimizer finds its rate by itself, so the training time changes instead: {epochs} epochs × {unet:g} = "
        f"{wanted}.")


def epoch_advice(epoch: int | None, steps: int | None, epochs: int | None,
                 scheduler: SchedulerSettings) -> StrengthAdvice:
    """Settings for a next run that stops where the best file was saved: after ``epoch``, or after ``steps``.

    ``steps`` is given for a file saved between two epochs, ``epochs`` is the length of the run.
    """
    changes: dict[str, int | None]
    if steps is not None:
        changes, where = {"training.max_train_steps": steps}, f"{steps:,} steps"
    elif epoch:
        changes = {"training.max_train_epochs": epoch, "training.max_train_steps": None}
        where = f"{epoch} {'epoch' if epoch == 1 else 'epochs'}"
    else:
        return StrengthAdvice({}, ())
    sentences = [f"Best after {where}: the next run can stop there."]
    if steps is None and epochs is not None and epoch is not None and epoch >= epochs:
        sentences = [f"Best at the end, after {where}: more epochs may be better still."]
    elif scheduler.lr_scheduler not in _CONSTANT:
        sentences.append(f"With {scheduler.lr_scheduler} the learning rate then falls within these {where.split()[1]}, "
                         "so the result is a little less trained than this file.")
    return StrengthAdvice(changes, tuple(sentences))
