"""A bake job: a finished LoRA file, and the block weights that a copy of it is to have for good."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..blocks.entries import has_x, numbers_of, parse_entries
from ..blocks.fit import Fitted, fit
from ..blocks.of_file import BlockSet
from ..errors import ConfigError
from .load import read_file


@dataclass(frozen=True)
class BakeJob:
    """``lora`` is the file; ``blocks`` a number for each of its blocks, or 12, 17, 20 or 26 of them, with commas.

    ``output_name`` is without ending.
    """

    lora: str
    blocks: str
    output_name: str

    def fitted(self, blocks: BlockSet) -> Fitted:
        """The weight of each of the file's ``blocks``, and what was done if the list was written for another file.

        Raises ``ConfigError`` with a sentence if it is not a list.
        """
        try:
            entries = parse_entries(self.blocks, (len(blocks.names),))
        except ValueError as problem:
            raise ConfigError(f"blocks is {self.blocks[:60]!r}. {problem} {Path(self.lora).name} has the blocks "
                              f"{', '.join(blocks.names)}.") from problem
        if has_x(entries):
            raise ConfigError(f"blocks is {self.blocks[:60]!r}. Write a number in place of X.")
        return fit(numbers_of(entries, 1.0), blocks)


def load_bake_job(path: Path) -> BakeJob:
    """Read the bake job file ``path``. Raises ``ConfigError`` if it cannot be used."""
    values: Any = read_file(path)
    names = ("lora", "blocks", "output_name")
    missing = [name for name in names if not isinstance(values, dict) or not str(values.get(name) or "").strip()]
    if missing:
        raise ConfigError([f"{name} is missing in {path}." for name in missing])
    job = BakeJob(*(str(values[name]).strip() for name in names))
    if Path(job.output_name).name != job.output_name:
        raise ConfigError(f"output_name is {job.output_name!r}. Give a name without folders.")
    return job
