"""The group of runs that a run was queued with: they differ in one setting. In ``group.json`` of each run folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ...files.atomic import write_atomically
from ...files.json_file import DamagedFileError, flag, number, read_object, text
from ...files.reading import reason
from ..folder import RunFolder

GROUP_FILE = "group.json"
_VERSION = 1


@dataclass(frozen=True)
class RunGroup:
    """A run's place in its group.

    ``id`` is the same for all runs of the group, ``title`` names the setting and its values, ``key`` is the setting
    (``group.name``) and ``value`` this run's, as text; ``position`` counts from 0. ``grid``: whether the webui
    generates a grid of the group once all its runs have ended. ``problem`` is a sentence if the file cannot be read;
    the other fields are then empty.
    """

    id: str
    title: str
    key: str
    value: str
    position: int
    grid: bool = False
    problem: str = ""


def write_group(run: RunFolder, group: RunGroup) -> None:
    """Store the group of ``run``. Raises ``WriteError``."""
    facts = {name: value for name, value in asdict(group).items() if name != "problem"}
    write_atomically(run.path / GROUP_FILE, json.dumps({"version": _VERSION, **facts}, ensure_ascii=False))


def read_group(run: RunFolder) -> RunGroup | None:
    """Return the group of ``run``, ``None`` if it was queued alone."""
    file = run.path / GROUP_FILE
    try:
        values = read_object(file)
        position = number(values, "position")
        if not isinstance(position, int) or not text(values, "id"):
            raise DamagedFileError("“position” is not a whole number, or “id” is empty")
        return RunGroup(text(values, "id"), text(values, "title"), text(values, "key"), text(values, "value"),
                        position, "grid" in values and flag(values, "grid"))
    except FileNotFoundError:
        return None
    except (DamagedFileError, OSError) as problem:
        return RunGroup("", "", "", "", 0, problem=(
            f"The group of this run cannot be read: {file} is damaged, {reason(problem)}. Tick the runs of the group "
            "in the list to compare them."))
