"""Download of a known tagger or mask model from huggingface.co: on request only, with progress and resumable."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..config.taggers import files_by_hand
from ..errors import TaggerError, WriteError
from ..files.writing import cannot_write
from .provenance import check_and_note, read_provenance, trusted

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

_POLL_SECONDS = 0.3
_TIMEOUT_SECONDS = 20.0
_PIECE_BYTES = 1 << 20
"""The client's default of 10 MB is lost with each broken connection, and shows no progress on a slow one."""


class Download(Protocol):
    """What can be downloaded: a tagger, or a mask model. ``kind`` is what messages call it."""

    @property
    def name(self) -> str:
        """Its name, and that of its folder."""

    @property
    def kind(self) -> str:
        """The word for it."""

    @property
    def repository(self) -> str:
        """Its repository on huggingface.co."""

    @property
    def revision(self) -> str | None:
        """The commit to download, ``None`` for the newest one."""

    @property
    def repository_files(self) -> Sequence[str]:
        """The names of its files in the repository."""

    @property
    def in_own_folder(self) -> bool:
        """Whether the repository keeps its files in a folder of its name."""

    @property
    def known_hashes(self) -> Mapping[str, str]:
        """The SHA-256 of its files, as far as known before the first download."""


class _Fetching(threading.Thread):
    """Downloads one file in a thread, so that a stop need not wait for the network."""

    def __init__(self, repository: str, file: str, root: Path, revision: str | None) -> None:
        super().__init__(name="tagger-download", daemon=True)
        self._repository, self._file, self._root, self._revision = repository, file, root, revision
        self.problem: Exception | None = None

    def run(self) -> None:
        from huggingface_hub import constants, hf_hub_download

        constants.DOWNLOAD_CHUNK_SIZE = _PIECE_BYTES
        try:
            hf_hub_download(self._repository, self._file, revision=self._revision, local_dir=self._root)
        except Exception as problem:  # noqa: BLE001 - raised again by the waiting thread
            self.problem = problem


def allow_downloads() -> None:
    """Let huggingface_hub use the network. Call before its first import, since the worker starts offline."""
    os.environ["HF_HUB_OFFLINE"] = "0"


def download_tagger(tagger: Download, models_dir: Path, *, progress: Callable[[str, int, int], None],
                    stopped: Callable[[], bool], note: Callable[[str], None]) -> bool:
    """Download the missing files of ``tagger``; returns ``False`` if ``stopped()`` before all were complete.

    ``progress(file, done, total)`` takes bytes; ``note`` takes a message if there were no hashes to compare with.
    Partial downloads are kept and resumed the next time.
    All files are from one revision, and match the hashes that the hub announces and an earlier download recorded.
    Raises ``TaggerError`` if one differs, or, if the download fails, with instructions for a manual one.
    """
    root, folder = models_dir if tagger.in_own_folder else models_dir / tagger.name, models_dir / tagger.name
    noted = before = read_provenance(folder, tagger.repository)
    for file in reversed(tagger.repository_files):  # the small one first, to fail early
        if (root / file).is_file() or (folder / Path(file).name).is_file():
            continue
        try:
            offered = _offered(tagger.repository, file, noted.revision or tagger.revision)
            total, revision = offered.size or 0, noted.revision or offered.commit_hash
            root.mkdir(parents=True, exist_ok=True)
            fetching = _Fetching(tagger.repository, file, root, revision)
            fetching.start()
            while fetching.is_alive():
                progress(file, min(_fetched(root, file), total), total)
                if stopped():
                    return False
                fetching.join(_POLL_SECONDS)
            if fetching.problem is not None:
                raise fetching.problem
            noted = check_and_note(noted, folder, root / file, file, revision,
                                   tagger.known_hashes.get(file, offered.etag))
            progress(file, total, total)
        except TaggerError:
            raise
        except Exception as problem:  # the hub's client, requests and the disk raise many kinds
            raise TaggerError(_explained(problem, tagger, file, folder)) from problem
    if set(noted.sha256) - set(before.sha256) - set(tagger.known_hashes):
        note(trusted(noted, folder))
    return True


def _offered(repository: str, file: str, revision: str | None) -> HfFileMetadata:
    """The hub's metadata of a file: commit, size, and ETag, which is the SHA-256 of files in LFS."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    return get_hf_file_metadata(hf_hub_url(repository, file, revision=revision), timeout=_TIMEOUT_SECONDS)


def _fetched(root: Path, file: str) -> int:
    """The number of downloaded bytes of ``file``; the client keeps partial files under ``.cache``."""
    if (root / file).is_file():
        return (root / file).stat().st_size
    parts = (root / ".cache" / "huggingface" / "download").rglob(f"*{Path(file).stem}*.incomplete")
    now = time.time()
    sizes = [(now - part.stat().st_mtime, part.stat().st_size) for part in parts]
    return min(sizes)[1] if sizes else 0


def _explained(problem: Exception, tagger: Download, file: str, folder: Path) -> str:
    from huggingface_hub.utils import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    by_hand = "With a browser, you can " + files_by_hand(tagger.repository_files, tagger.repository, tagger.revision,
                                                         folder)
    if isinstance(problem, OSError) and problem.errno is not None and not isinstance(problem, ConnectionError) \
            and (type(problem).__module__ == "builtins" or isinstance(problem, WriteError)):
        return (f"The {tagger.kind} {tagger.name} was not downloaded. "
                f"{cannot_write(folder / Path(file).name, problem)} What has been downloaded is kept.")
    if isinstance(problem, (GatedRepoError, RepositoryNotFoundError)):
        return f"huggingface.co does not provide {tagger.repository} ({problem}). {by_hand}"
    if isinstance(problem, HfHubHTTPError):
        return f"huggingface.co refused {file} of {tagger.repository}: {problem}. Try again later. {by_hand}"
    return (f"{file} of the {tagger.kind} {tagger.name} could not be downloaded: huggingface.co could not be "
            f"reached, or the connection was lost ({_root_of(problem)}). The part that was "
            f"downloaded is kept: try again when you are online. {by_hand}")


def _root_of(problem: BaseException) -> str:
    """A description of the first error in a chain, since the last one repeats every attempt."""
    while problem.__cause__ is not None or problem.__context__ is not None:
        problem = problem.__cause__ or problem.__context__ or problem
    return problem.strerror if isinstance(problem, OSError) and problem.strerror else type(problem).__name__
