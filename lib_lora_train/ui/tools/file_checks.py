"""Checks the headers of a tool's input files before it starts: damage, other families, invalid strengths.

The worker repeats these checks and adds those that need the tensors. Legacy files (.ckpt, .pt) are left to it.
"""

from __future__ import annotations

from pathlib import Path

from ...blocks.lora_strength import read_strength
from ...blocks.of_file import blocks_of_keys
from ...blocks.presets import DEFAULT_TEXT, parse_presets, read_text
from ...config.groups.tools import ExtractJob, InspectJob, MergeJob, MixJob, ResizeJob
from ...config.tool_jobs import ToolJob
from ...errors import CheckpointError, ConfigError, TrainLoraError
from ...files.safetensors_header import SafetensorsHeader
from ...models.family import Family
from ...models.header import read_checkpoint_header
from ...models.prediction import Prediction, detect_base, surely_differ, two_families
from ...networks.lora_facts import read_lora_header
from ...networks.lora_family import check_fits, one_family, refuse_names

_READ_HERE = ".safetensors"
_Detected = tuple[Family, Prediction | None]


def file_problems(job: ToolJob) -> list[str]:
    """Return every problem found in the headers of the files of ``job``, each starting with the setting's key."""
    problems: list[str] = []
    if isinstance(job, ExtractJob):
        org, tuned = _detected("org", job.org, problems), _detected("tuned", job.tuned, problems)
        if org is not None and tuned is not None and surely_differ(org, tuned):
            problems.append(f"tuned: {two_families(Path(job.org).name, org[0], Path(job.tuned).name, tuned[0])}")
        return problems
    if isinstance(job, InspectJob):
        _lora("lora", job.lora, problems)  # files of other programs can be inspected too
        return problems
    names = job.loras if isinstance(job, (MergeJob, MixJob)) else [job.lora]
    key = "lora" if isinstance(job, ResizeJob) else "loras"
    headers = [_usable_lora(key, name, problems) for name in names]
    if isinstance(job, (MergeJob, MixJob)):
        problems += _strength_problems(job, headers)
    found = [header for header in headers if header is not None]
    base = _detected("checkpoint", job.checkpoint, problems) if job.checkpoint else None
    problems += _family_problems(key, found, Path(job.checkpoint).name, base)
    return problems


def _family_problems(key: str, headers: list[SafetensorsHeader], checkpoint: str, base: _Detected | None) -> list[str]:
    try:
        if base is None:
            one_family([(header.path.name, header.shapes, header.metadata) for header in headers])
        else:
            for header in headers:
                check_fits(header.path.name, header.shapes, header.metadata, checkpoint, base[0])
    except CheckpointError as problem:
        return [f"{key}: {problem}"]
    return []


def _strength_problems(job: MergeJob | MixJob, headers: list[SafetensorsHeader | None]) -> list[str]:
    """Check strengths in the prompt grammar against the blocks of each file."""
    try:
        text = read_text(Path(job.block_presets)) if job.block_presets else DEFAULT_TEXT
        presets = parse_presets(text)[0]
    except (OSError, ConfigError) as problem:
        return [f"block_presets: {problem}"]
    problems: list[str] = []
    for header, strength in zip(headers, job.strengths, strict=False):  # their number was checked with the job
        if header is not None:
            try:
                read_strength(header.path.stem, strength, presets, blocks_of_keys(header.tensors, header.metadata))
            except ConfigError as problem:
                problems += [f"strengths: {sentence}" for sentence in problem.problems]
    return problems


def _detected(key: str, path: str, problems: list[str]) -> _Detected | None:
    """Return the family of the checkpoint ``path``; ``None`` if not detected, which may add a problem."""
    if Path(path).suffix.lower() != _READ_HERE:
        return None
    try:
        header = read_checkpoint_header(Path(path))
        return detect_base(header.path, header.shapes, header.metadata)
    except CheckpointError as problem:
        problems.append(f"{key}: {problem}")
        return None


def _usable_lora(key: str, path: str, problems: list[str]) -> SafetensorsHeader | None:
    header = _lora(key, path, problems)
    if header is not None:
        try:
            refuse_names(header.path, header.shapes)
        except CheckpointError as problem:
            problems.append(f"{key}: {problem}")
            return None
    return header


def _lora(key: str, path: str, problems: list[str]) -> SafetensorsHeader | None:
    if Path(path).suffix.lower() != _READ_HERE:
        return None
    try:
        return read_lora_header(Path(path))
    except TrainLoraError as problem:
        problems.append(f"{key}: {problem}")
        return None
