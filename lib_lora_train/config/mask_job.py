"""A mask job: all settings of one masking run, as one YAML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError
from .groups.masking import SUBJECT, MaskDatasetSettings, MaskMethodSettings, MaskWriteSettings
from .load import load_values, read_settings


@dataclass(frozen=True)
class MaskJob:
    """The settings of one masking run, by group."""

    dataset: MaskDatasetSettings = field(default_factory=MaskDatasetSettings)
    mask: MaskMethodSettings = field(default_factory=MaskMethodSettings)
    write: MaskWriteSettings = field(default_factory=MaskWriteSettings)


def load_mask_job(path: Path, overrides: Sequence[str] = ()) -> MaskJob:
    """Read the mask job file ``path``; each of ``overrides`` is ``group.name=value`` and wins over the file.

    Raises ``ConfigError`` that lists every problem.
    """
    job, problems = read_settings(MaskJob, load_values(path, overrides, MaskJob), source=str(path))
    problems = problems or mask_problems_of(job)
    if problems:
        raise ConfigError(problems)
    return job


def mask_problems_of(job: MaskJob) -> list[str]:
    """Every conflict between settings, one sentence each; empty if the job can run."""
    problems = []
    if not job.dataset.train_data_dir.strip():
        problems.append("dataset.train_data_dir is empty. Give the folder with the images.")
    if job.mask.method == SUBJECT and not job.mask.model.strip():
        problems.append("mask.model is empty. Give the name of a model, or the path of an ONNX file.")
    return problems
