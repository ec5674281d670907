"""A bake job: writes a copy of a LoRA file with block weights applied permanently."""

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
    """``lora`` is the file; ``blocks`` is a list of 12, 17, 20 or 26 weights, or of one weight for each block of the
    file, separated by commas.

    ``output_name`` has no extension.
    """

    lora: str
    blocks: str
    output_name: str

    def fitted(self, blocks: BlockSet) -> Fitted:
        """The weight of each of the file's ``blocks``, and how the list was adapted if it was written for another
        file.

        Raises ``ConfigError`` if it is not a valid list.
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
    """Read the bake job file ``path``. Raises ``ConfigError`` if it is invalid."""
    values: Any = read_file(path)
    names = ("lora", "blocks", "output_name")
    missing = [name for name in names if not isinstance(values, dict) or not str(values.get(name) or "").strip()]
    if missing:
        raise ConfigError([f"{name} is missing in {path}." for name in missing])
    job = BakeJob(*(str(values[name]).strip() for name in names))
    if Path(job.output_name).name != job.output_name:
        raise ConfigError(f"output_name is {job.output_name!r}. Give a name without folders.")
    return job
