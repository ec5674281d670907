"""What to do about an overfit or underfit LoRA, in the order of the guide: an earlier file and less strength first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...config.groups.network import IA3
from ...config.job import Job
from ...config.optimizer_args import finds_own_rate
from ...config.optimizer_facts import OPTIMIZERS
from ...config.phases.effective import phases_of
from .epochs import EpochMeasures
from .phase_changes import at_rates, ending_at, longer, without_own_rates
from .proposal import GUESS, Proposal, named
from .signs import OVERFIT, UNDERFIT, Sign, always_overfit

_LOWER, _HIGHER = 0.5, 1.5
_LEAST_DIM = 8
_MORE_EPOCHS = 1.5
HELD_OUT_SHARE = 0.1


@dataclass(frozen=True)
class Remedy:
    """One thing to do and its ``reason``.

    ``changes`` are settings of the next run by ``group.name``. With ``file``, the LoRA file of that path is tried in
    txt2img at ``strength`` instead. With neither it is advice to follow by hand.
    """

    title: str
    reason: str
    changes: dict[str, Any] = field(default_factory=dict)
    file: str = ""
    strength: float | None = None


def remedies_for(measures: EpochMeasures, proposal: Proposal, signs: Sequence[Sign], job: Job) -> list[Remedy]:
    """What helps against ``signs`` in a run of ``job``, the first one first, and what makes a guess surer next time."""
    kinds = {sign.kind for sign in signs}
    found = _to_know_next_time(proposal, job)
    if OVERFIT in kinds:
        return [*_without_training(measures, proposal), *_less_training(measures, proposal, job),
                *_gentler(measures, job), *_smaller(job), *_dampened(job), *_by_hand(job), *found]
    if UNDERFIT in kinds:
        return [*_stronger(proposal), *_more_training(signs, job), *_larger(job), *found]
    return found


def _to_know_next_time(proposal: Proposal, job: Job) -> list[Remedy]:
    if proposal.sure != GUESS or job.dataset.validation_split or job.dataset.validation_data_dir:
        return []
    return [Remedy("Hold out one image in ten next time", "The loss on images that are not trained on shows which "
                   "epoch is best, and where single images begin to be learned by heart.",
                   {"dataset.validation_split": HELD_OUT_SHARE})]


def _without_training(measures: EpochMeasures, proposal: Proposal) -> list[Remedy]:
    file = proposal.file
    if file is None:
        return []
    strength = 1.0 if proposal.strength is None else proposal.strength
    found = []
    if file != measures.files[-1]:
        found.append(Remedy(f"Use {named(file, measures.files)} instead of the last", "It needs no new training: this "
                            "file was saved before the signs appeared.", file=file.path, strength=1.0))
    if strength < 1:
        found.append(Remedy(f"Lower the strength to {strength:g}", proposal.strength_reason, file=file.path,
                            strength=strength))
    return found


def _less_training(measures: EpochMeasures, proposal: Proposal, job: Job) -> list[Remedy]:
    file = proposal.file
    if file is None or file == measures.files[-1] or always_overfit(measures):
        return []
    by_steps = job.training.max_train_steps is not None or named(file, measures.files).startswith("step")
    title = f"Stop after {file.step:,} steps" if by_steps else \
        f"Stop after {file.epoch} {'epoch' if file.epoch == 1 else 'epochs'}"
    if by_steps and not job.training.phases:
        changes: dict[str, Any] = {"training.max_train_steps": file.step}
    else:
        changes = ending_at(job, file)
    return [Remedy(title, "The best file of this run was saved there.", changes)]


def _gentler(measures: EpochMeasures, job: Job) -> list[Remedy]:
    why = ("Even the first saved file is past the best point, so the rate is too high." if always_overfit(measures)
           else "Half the rate passes the best point more slowly, so that a saved file meets it.")
    if finds_own_rate(job.optimizer):
        return _lower_coefficient(job)
    rates = at_rates(job, _LOWER)
    adaptive = Remedy("Let the optimizer find the rate: Prodigy", "If it is overfit from the start at any rate, an "
                      "adaptive optimizer takes the guess out of it.",
                      {"optimizer.optimizer_type": "Prodigy", "optimizer.learning_rate": 1.0, "optimizer.unet_lr": None,
                       "optimizer.text_encoder_lr": None, "scheduler.lr_scheduler": "constant",
                       **without_own_rates(job)})
    lower = Remedy("Halve the learning rates", why, rates)
    return [lower, adaptive] if always_overfit(measures) else [lower]


def _lower_coefficient(job: Job) -> list[Remedy]:
    """Some optimizers multiply the rate that they find; the others that find their rate have no such number."""
    name = job.optimizer.optimizer_type
    facts = OPTIMIZERS[name]
    if facts.usual_d_coef is None:
        return []
    now = job.optimizer.d_coef or facts.usual_d_coef
    lower = max(facts.least_d_coef, now * _LOWER)
    return [Remedy(f"Lower the D coefficient to {lower:g}", f"{name} finds its rate by "
                   f"itself; this halves it (now {now:g}).", {"optimizer.d_coef": lower})] if lower < now else []


def _smaller(job: Job) -> list[Remedy]:
    network = job.network
    if network.network_type == IA3 or network.network_dim <= _LEAST_DIM:
        return []
    dim = max(_LEAST_DIM, network.network_dim // 2)
    changes: dict[str, Any] = {"network.network_dim": dim}
    if network.network_alpha > 1:
        changes["network.network_alpha"] = min(float(dim), network.network_alpha / 2)
    return [Remedy(f"Lower the rank to {dim}", "A smaller network has less room to learn single images by heart.",
                   changes)]


def _dampened(job: Job) -> list[Remedy]:
    if job.network.scale_weight_norms or job.network.network_type == IA3:
        return []
    return [Remedy("Limit the weight norms to 1", "Large weights are scaled down after each step, which keeps the UNet "
                   "from burning.", {"network.scale_weight_norms": 1.0})]


def _by_hand(job: Job) -> list[Remedy]:
    return [Remedy("Train on the base of the family", "If it overfits in spite of all that, the checkpoint may be a "
                   "mix that does not train well: try the original model of the family."),
            Remedy("Check the images", "Single images can drag the set down, and very many can need a higher rank. "
                   "Diagnosis lists suspicious images.")]


def _stronger(proposal: Proposal) -> list[Remedy]:
    if proposal.file is None or proposal.strength is None or proposal.strength <= 1:
        return []
    return [Remedy(f"Raise the strength to {proposal.strength:g}", proposal.strength_reason, file=proposal.file.path,
                   strength=proposal.strength)]


def _more_training(signs: Sequence[Sign], job: Job) -> list[Remedy]:
    falling = any(sign.name == "falling" for sign in signs)
    why = "The loss was still falling." if falling else "What was learned so far is weak."
    found, last = [], phases_of(job)[-1]
    if last.job.training.max_train_steps or last.job.training.max_train_epochs:
        length, unit, changes = longer(job, _MORE_EPOCHS)
        where = f" in the last phase ({last.title})" if last.number > 1 else ""
        more = " A few more epochs can also be added to this run." if unit == "epochs" else ""
        found.append(Remedy(f"Train for {length:,} {unit}{where}", f"{why}{more}", changes))
    if not finds_own_rate(job.optimizer):
        found.append(Remedy("Raise the learning rates by half", "With a higher rate the same time goes further.",
                            at_rates(job, _HIGHER)))
    return found


def _larger(job: Job) -> list[Remedy]:
    if job.network.network_type == IA3 or job.network.network_dim >= 2 * _LEAST_DIM:
        return []
    dim = 2 * job.network.network_dim
    return [Remedy(f"Raise the rank to {dim}", f"Rank {job.network.network_dim} may be too low to hold everything in "
                   "the images.", {"network.network_dim": dim})]

