"""What the routes work with, put together once for each start of the webui's UI."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..host.interface import DATA_FOLDER, Host
from ..pictures.thumbnails import remove_old_thumbnails
from ..runs.folder import RunFolder
from ..runs.process import start_worker
from ..runs.summary import RunIndex
from ..runs.supervisor import Supervisor, running_supervisor
from .runs.strip import StripDesk, running_strip_desk
from .train.dataset_cache import DatasetCache

THUMBNAILS = "thumbnails"


class WorkerEnvironment(Protocol):
    """The worker's Python environment, as the tab shows it."""

    def state(self) -> dict[str, Any]:
        """``{"state": ready | missing | half-done | outdated | installing, "text", "lines"}``."""
        ...

    def install(self) -> None:
        """Begin to install what is missing, in the background; nothing happens if that is going on."""
        ...

    def command(self, arguments: Sequence[str]) -> tuple[Sequence[str], Mapping[str, str]]:
        """The command line and environment variables of ``python -m lib_lora_train`` with ``arguments``.

        Raises ``WorkerEnvironmentError`` if the environment is not ready.
        """
        ...


@dataclass(frozen=True)
class Services:
    """The host, the folders, and what runs in the background."""

    host: Host
    environment: WorkerEnvironment
    runs_dir: Path
    cache_dir: Path
    index: RunIndex
    supervisor: Supervisor
    strips: StripDesk
    datasets: DatasetCache


def build_services(host: Host, environment: WorkerEnvironment) -> Services:
    """The services of the webui that ``host`` stands for; a supervisor from before a UI reload is kept."""
    data = host.data_dir / DATA_FOLDER
    runs_dir = data / "runs"
    supervisor, strips = running_supervisor(runs_dir), running_strip_desk(runs_dir)
    if supervisor is None or strips is None:
        index = RunIndex(runs_dir)
        strips = StripDesk(host, index)
        supervisor = _supervisor(host, environment, index, strips)
        supervisor.start()
        strips.start()
        threading.Thread(target=remove_old_thumbnails, args=(data / "cache" / THUMBNAILS,),
                         name="train-lora-thumbnails", daemon=True).start()
    return Services(host, environment, runs_dir, data / "cache", supervisor.index, supervisor, strips,
                    DatasetCache())


def _supervisor(host: Host, environment: WorkerEnvironment, index: RunIndex, strips: StripDesk) -> Supervisor:
    def start(run: RunFolder) -> None:
        start_worker(run, *environment.command([run.command, str(run.job_file)]))

    def saved() -> None:
        host.refresh_loras()
        strips.wake()

    return Supervisor(index, start, host.lend_gpu, saved, host.lend_model, host.gpu_is_wanted)
