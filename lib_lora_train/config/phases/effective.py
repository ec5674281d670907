"""The settings of each training phase as a job of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...blocks.lists import read_blocks
from ...blocks.names import FULL_SD1
from ..change import changed
from ..groups.network import NetworkSettings
from ..job import Job
from .read import changes_of
from .rules import BLOCK_RATES, RATES


@dataclass(frozen=True)
class PhaseSettings:
    """A training phase. ``job`` are its settings, length included, without phases; ``changes`` those that it names.

    ``number`` counts from 1, the phase that the job itself is.
    """

    number: int
    name: str
    job: Job
    changes: Mapping[str, Any]

    @property
    def title(self) -> str:
        """Its name, else its number."""
        return self.name or f"phase {self.number}"

    @property
    def starts_curve(self) -> bool:
        """Whether it has a rate curve of its own, rather than the rest of that of the phase before."""
        return self.number == 1 or any(key in RATES or key.startswith("scheduler.") for key in self.changes)


def phases_of(job: Job) -> tuple[PhaseSettings, ...]:
    """The phases of ``job``, of which there is at least one. Each has the changes of those before it, and its own."""
    settings = changed(job, {"training.phases": [], "training.first_phase_name": ""}) if job.training.phases else job
    found = [PhaseSettings(1, job.training.first_phase_name.strip(), settings, {})]
    for number, phase in enumerate(job.training.phases, start=2):
        changes = changes_of(phase)
        settings = changed(settings, {**changes, "training.max_train_epochs": phase.get("epochs"),
                                      "training.max_train_steps": phase.get("steps")})
        found.append(PhaseSettings(number, str(phase.get("name", "")), settings, changes))
    return tuple(found)


def network_of_all(job: Job) -> NetworkSettings:
    """The network with everything that any phase of ``job`` trains.

    The rate of a block is the first one that is not 0. Raises ``ValueError`` if block rates are invalid.
    """
    if not job.training.phases:
        return job.network
    phases = [phase.job.network for phase in phases_of(job)]
    return dataclasses.replace(
        job.network, block_lr_weight=_rates_of_all([network.block_lr_weight for network in phases]),
        network_train_unet_only=all(network.network_train_unet_only for network in phases),
        network_train_text_encoder_only=all(network.network_train_text_encoder_only for network in phases))


def _rates_of_all(texts: Sequence[str]) -> str:
    """The rates ``texts`` as one list, empty if all of them are."""
    lists = [read_blocks(text) for text in texts]
    if not any(lists):
        return ""
    rates = [[1.0 if one is None else one[block] for one in lists] for block in FULL_SD1]
    return ",".join(repr(next((rate for rate in of_block if rate), 0.0)) for of_block in rates)


def with_each_network(job: Job, change: Callable[[NetworkSettings], NetworkSettings]) -> Job:
    """``job`` with ``change`` applied to its network settings, and to the block rates that its phases name."""
    group, name = BLOCK_RATES.split(".")
    phases = []
    for phase in job.training.phases:
        named = phase.get(group, {})
        if name in named:
            text = change(dataclasses.replace(job.network, block_lr_weight=named[name])).block_lr_weight
            phase = {**phase, group: {**named, name: text}}
        phases.append(phase)
    job = dataclasses.replace(job, network=change(job.network))
    return changed(job, {"training.phases": phases}) if phases else job
