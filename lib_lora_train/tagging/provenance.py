"""The revision of a downloaded tagger and the SHA-256 of its files, so that a later download cannot differ unnoticed.

The list of known taggers has no hashes. So the first download records them (trust on first use) in ``download.json``
next to the model; every later download has to match.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..errors import TaggerError
from ..files.atomic import write_atomically
from ..files.json_file import DamagedFileError, read_object

RECORD_FILE = "download.json"
_CHUNK_BYTES = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LONGEST_RECORD_BYTES = 100_000


@dataclass(frozen=True)
class Provenance:
    """The origin of a tagger: ``revision`` is the commit, if known; ``sha256`` is by file name."""

    repository: str
    revision: str | None = None
    sha256: dict[str, str] = field(default_factory=dict)


def read_provenance(folder: Path, repository: str) -> Provenance:
    """The record of an earlier download of ``repository`` into ``folder``; empty if there was none.

    Raises ``TaggerError`` if the record is damaged.
    """
    file = folder / RECORD_FILE
    try:
        found = read_object(file, _LONGEST_RECORD_BYTES)
    except FileNotFoundError:
        return Provenance(repository)
    except (OSError, DamagedFileError) as problem:
        raise _damaged(file, str(problem)) from problem
    revision, hashes = found.get("revision"), found.get("sha256")
    if found.get("repository") != repository or not isinstance(hashes, dict) \
            or not (revision is None or (isinstance(revision, str) and _COMMIT.fullmatch(revision))) \
            or not all(isinstance(value, str) and _SHA256.fullmatch(value) for value in hashes.values()):
        raise _damaged(file, f"it does not name a revision of {repository} and the hashes of its files")
    return Provenance(repository, revision, hashes)


def check_and_note(noted: Provenance, folder: Path, path: Path, file: str, revision: str | None,
                   announced: str | None) -> Provenance:
    """Check ``path``, the downloaded ``file``, and record it in ``folder``.

    ``announced`` is its ETag from the hub, a SHA-256 for files in LFS. If the file matches neither record nor hub, it
    is deleted and ``TaggerError`` raised with both hashes.
    """
    got = _sha256_of(path)
    expected = noted.sha256.get(file)
    by = f"noted in {folder / RECORD_FILE} when it was first downloaded"
    if expected is None and announced is not None and _SHA256.fullmatch(announced):
        expected, by = announced, "announced by the hub"
    if expected is not None and got != expected:
        path.unlink()
        way_out = f"If the repository has a new version that you trust, delete {folder / RECORD_FILE} and fetch the " \
                  "tagger again." if file in noted.sha256 else "Try again."
        raise TaggerError(f"{path} from {noted.repository} is not the file that was expected, so it was deleted: its "
                          f"SHA-256 is {got}, and {expected} was {by}. {way_out}")
    kept = noted.revision or (revision if revision and _COMMIT.fullmatch(revision) else None)
    new = Provenance(noted.repository, kept, {**noted.sha256, file: got})
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / RECORD_FILE, json.dumps(asdict(new), indent=1))
    return new


def trusted(noted: Provenance, folder: Path) -> str:
    """The message to the user about a first download, for which there were no hashes to compare with."""
    of = f", revision {noted.revision[:12]}" if noted.revision else ""
    return (f"{folder.name} was downloaded from huggingface.co/{noted.repository}{of} for the first time. The "
            "SHA-256 of its files was not known, so they are trusted as downloaded. It is recorded in "
            f"{folder / RECORD_FILE}, and later downloads must match it.")


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _damaged(file: Path, why: str) -> TaggerError:
    return TaggerError(f"{file}, which holds the hashes of the tagger beside it, is damaged ({why}). Delete it, and "
                       "the tagger's files if you do not trust them, and download the tagger again.")
