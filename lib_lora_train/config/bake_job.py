"""A bake job: a finished LoRA file, and the block weights that a copy of it is to have for good."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..blocks.presets import parse_entries, weights_of
from ..errors import ConfigError
from .load import read_file


@dataclass(frozen=True)
class BakeJob:
    """``lora`` is the file; ``blocks`` 12, 17, 20 or 26 numbers with commas; ``output_name`` without ending."""

    lora: str
    blocks: str
    output_name: str

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each of the 26 blocks. Raises ``ConfigError`` with a sentence if ``blocks`` is no list."""
        try:
            entries = parse_entries(self.blocks)
        except ValueError as problem:
            raise ConfigError(f"blocks is {self.blocks[:60]!r}. {problem}") from problem
        if any(entry.startswith("X") for entry in entries):
            raise ConfigError(f"blocks is {self.blocks[:60]!r}. Write a number in place of X.")
        return weights_of(entries, 1.0)


def load_bake_job(path: Path) -> BakeJob:
    """Read the bake job file ``path``. Raises ``ConfigError`` if it cannot be used."""
    values: Any = read_file(path)
    names = ("lora", "blocks", "output_name")
    missing = [name for name in names if not isinstance(values, dict) or not str(values.get(name) or "").strip()]
    if missing:
        raise ConfigError([f"{name} is missing in {path}." for name in missing])
    job = BakeJob(*(str(values[name]).strip() for name in names))
    _ = job.weights
    if Path(job.output_name).name != job.output_name:
        raise ConfigError(f"output_name is {job.output_name!r}. Give a name without folders.")
    return job
