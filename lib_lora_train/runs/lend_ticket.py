"""The webui's message to a run about its base weights: whether it lends them, and if not, why.

    lend.json       the ticket            lend.handles    pickled handles of the lent tensors; usable once
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..files.atomic import write_atomically
from ..files.json_file import DamagedFileError, read_object
from .process_mark import ProcessMark, mark_from

TICKET_FILE = "lend.json"
HANDLES_FILE = "lend.handles"

LENT, LENT_MEMORY, COPY, FILE = "lent", "lent_memory", "copy", "file"
"""The sources of base weights: the webui's own memory (CPU), main memory shared with the webui and uploaded to a GPU,
a copy, the file.
"""
PENDING = "pending"
"""The webui will lend its model as soon as it has time."""


@dataclass(frozen=True)
class LendTicket:
    """The webui's offer to one run.

    ``way`` is ``lent``, ``lent_memory`` or ``copy``, ``pending`` until then, or ``file`` if nothing is lent; then
    ``reason`` is a clause that follows "because". ``withheld`` has such a reason for each part (``vae``) that is not
    lent. The tensors are in main memory; ``torch`` is the version that made the handles.
    """

    way: str
    lender: ProcessMark
    reason: str = ""
    torch: str = ""
    withheld: Mapping[str, str] = field(default_factory=dict)


def write_ticket(run: Path, ticket: LendTicket, handles: bytes | None = None) -> None:
    """Write the ticket to the run's folder, after the handles. Raises ``OSError`` if writing fails."""
    (run / HANDLES_FILE).unlink(missing_ok=True)
    if handles is not None:
        write_atomically(run / HANDLES_FILE, handles)
    write_atomically(run / TICKET_FILE, json.dumps(asdict(ticket)))


def read_ticket(run: Path) -> LendTicket | None:
    """The ticket in the run's folder; ``None`` if there is none or it is unreadable."""
    try:
        note = read_object(run / TICKET_FILE)
        return LendTicket(**{**note, "lender": mark_from(dict(note["lender"]))})
    except (FileNotFoundError, DamagedFileError, ValueError, KeyError, TypeError):
        return None


def take_handles(run: Path) -> bytes | None:
    """Read and delete the handles: each can be opened once."""
    try:
        handles = (run / HANDLES_FILE).read_bytes()
        (run / HANDLES_FILE).unlink()
    except FileNotFoundError:
        return None
    return handles
