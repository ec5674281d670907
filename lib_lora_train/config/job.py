"""A job: all settings of one training run, as one YAML file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .groups.base import BaseSettings
from .groups.dataset import DatasetSettings
from .groups.diagnosis import DiagnosisSettings
from .groups.loss import LossSettings
from .groups.network import NetworkSettings
from .groups.optimizer import OptimizerSettings
from .groups.sample import SampleSettings
from .groups.save import SaveSettings
from .groups.scheduler import SchedulerSettings
from .groups.training import TrainingSettings
from .setting import SettingField, fields_of, groups_of


@dataclass(frozen=True)
class Job:
    """The settings of one training run, by group."""

    base: BaseSettings = field(default_factory=BaseSettings)
    dataset: DatasetSettings = field(default_factory=DatasetSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    save: SaveSettings = field(default_factory=SaveSettings)
    sample: SampleSettings = field(default_factory=SampleSettings)
    diagnosis: DiagnosisSettings = field(default_factory=DiagnosisSettings)


GROUPS: dict[str, type] = groups_of(Job)


def all_settings() -> Iterator[SettingField]:
    """Every setting of a job, group by group."""
    for group, group_type in GROUPS.items():
        yield from fields_of(group, group_type)


def setting_named(key: str) -> SettingField:
    """The setting ``group.name``. Raises ``KeyError`` if there is none."""
    for candidate in all_settings():
        if candidate.key == key:
            return candidate
    raise KeyError(key)
