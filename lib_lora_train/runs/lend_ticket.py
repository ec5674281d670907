"""The webui's message to a run about its base weights: that it lends them, or why not.

    lend.json       the ticket            lend.handles    where the lent tensors lie, pickled; taken once
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
"""The ways to the base weights: computing on the webui's own memory (CPU), uploading to a GPU from main memory that
both share, on a copy, from the file."""
PENDING = "pending"
"""The webui is about to lend its model, as soon as it has time for that."""


@dataclass(frozen=True)
class LendTicket:
    """The webui's offer to one run.

    ``way`` is ``lent``, ``lent_memory`` or ``copy``, ``pending`` until that is so, or ``file`` if nothing is lent; then
    ``reason`` says why, as a clause that follows "because". ``withheld`` gives such a reason for each part (``vae``)
    that alone is not lent. The tensors are in main memory; ``torch`` is the version that made the handles.
    """

    way: str
    lender: ProcessMark
    reason: str = ""
    torch: str = ""
    withheld: Mapping[str, str] = field(default_factory=dict)


def write_ticket(run: Path, ticket: LendTicket, handles: bytes | None = None) -> None:
    """Put the ticket into the run's folder, the handles before it. Raises ``OSError`` if that cannot be written."""
    (run / HANDLES_FILE).unlink(missing_ok=True)
    if handles is not None:
        write_atomically(run / HANDLES_FILE, handles)
    write_atomically(run / TICKET_FILE, json.dumps(asdict(ticket)))


def read_ticket(run: Path) -> LendTicket | None:
    """The ticket in the run's folder; ``None`` if no webui has said anything, or it is not understood."""
    try:
        note = read_object(run / TICKET_FILE)
        return LendTicket(**{**note, "lender": mark_from(dict(note["lender"]))})
    except (FileNotFoundError, DamagedFileError, ValueError, KeyError, TypeError):
        return None


def take_handles(run: Path) -> bytes | None:
    """The handles, which are gone afterwards: each counts as one opening of the memory that it names."""
    try:
        handles = (run / HANDLES_FILE).read_bytes()
        (run / HANDLES_FILE).unlink()
    except FileNotFoundError:
        return None
    return handles
