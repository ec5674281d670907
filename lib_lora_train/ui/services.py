"""The objects that the routes work with, built once for each start of the webui's UI."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from ..host.interface import DATA_FOLDER, Host
from ..pictures.thumbnails import remove_old_thumbnails
from ..runs.folder import MERGE, RunFolder
from ..runs.process import start_worker
from ..runs.summary import RunIndex, RunSummary
from ..runs.supervisor import Lease, Supervisor
from .captions.describing import DescribingDesk
from .captions.grow.candidates import FOLDER, CandidateDesk
from .drawing import DrawingService
from .runs.compare.grid import GridDesk
from .runs.finished.desk import FinishedDesk
from .runs.finished.tensorboard import TensorBoard
from .runs.strip import StripDesk
from .testing.plots import PlotDesk
from .train.dataset_cache import DatasetCache
from .train.dataset_store import DatasetStore
from .train.knows.desk import KnowsDesk
from .train.regularization_desk import RegularizationDesk
from .train.trigger_words import TriggerWords

THUMBNAILS = "thumbnails"
DATASETS_FILE = "datasets.json"


class WorkerEnvironment(Protocol):
    """The worker's Python environment, as the tab shows it."""

    def state(self) -> dict[str, Any]:
        """``{"state": ready | missing | half-done | outdated | installing, "text", "lines"}``."""
        ...

    def install(self) -> None:
        """Install what is missing in the background; does nothing while an installation is running."""
        ...

    def command(self, arguments: Sequence[str]) -> tuple[Sequence[str], Mapping[str, str]]:
        """Return the command line and environment variables of ``python -m lib_lora_train`` with ``arguments``.

        Raises ``WorkerEnvironmentError`` if the environment is not ready.
        """
        ...


@dataclass(frozen=True)
class Services:
    """The host, the folders and the background threads."""

    host: Host
    environment: WorkerEnvironment
    runs_dir: Path
    cache_dir: Path
    index: RunIndex
    supervisor: Supervisor
    drawings: DrawingService
    strips: StripDesk
    plots: PlotDesk
    grids: GridDesk
    regularization: RegularizationDesk
    candidates: CandidateDesk
    datasets: DatasetCache
    trigger_words: TriggerWords
    describing: DescribingDesk
    knows: KnowsDesk
    finished: FinishedDesk
    tensorboard: TensorBoard

    @property
    def alive(self) -> bool:
        """Whether its threads exist and are not closing."""
        return all(thread.is_alive() and not thread.closing for thread in (self.supervisor, self.drawings))


_REGISTRY: dict[Path, Services] = {}
"""The services of each runs folder.

A reload of the webui's UI executes the scripts again, but modules stay loaded, so background threads are found here and
not started twice.
"""
_REGISTERING = threading.Lock()


def build_services(host: Host, environment: WorkerEnvironment) -> Services:
    """Return the services for the webui ``host``, reusing those from before a UI reload."""
    data = host.data_dir / DATA_FOLDER
    runs_dir = data / "runs"
    with _REGISTERING:
        services = _REGISTRY.get(runs_dir)
        if services is None or not services.alive:
            if services is not None:
                services.finished.close()  # nobody could cancel it any more
                services.tensorboard.close()
            services = _REGISTRY[runs_dir] = _new_services(host, environment, runs_dir, data / "cache")
    return replace(services, host=host, environment=environment)


def _new_services(host: Host, environment: WorkerEnvironment, runs_dir: Path, cache: Path) -> Services:
    index, describing = RunIndex(runs_dir), DescribingDesk(host)
    drawings = DrawingService(host.plot_drawer)
    strips = StripDesk(host, index, drawings)
    supervisor = _supervisor(host, environment, index, drawings)
    supervisor.start()
    drawings.start()
    threading.Thread(target=remove_old_thumbnails, args=(cache / THUMBNAILS,), name="train-lora-thumbnails",
                     daemon=True).start()
    return Services(host, environment, runs_dir, cache, index, supervisor, drawings, strips,
                    PlotDesk(drawings), GridDesk(host, index, drawings), RegularizationDesk(drawings),
                    CandidateDesk(drawings, runs_dir.parent / FOLDER), DatasetCache(),
                    TriggerWords(DatasetStore(runs_dir.parent / DATASETS_FILE), runs_dir), describing,
                    KnowsDesk(drawings), FinishedDesk(host, index, drawings, describing, runs_dir.parent),
                    TensorBoard(runs_dir))


def _supervisor(host: Host, environment: WorkerEnvironment, index: RunIndex, drawings: DrawingService) -> Supervisor:
    def start(run: RunFolder) -> None:
        start_worker(run, *environment.command([run.command, str(run.job_file)]))

    def saved(runs: list[RunSummary]) -> None:
        host.refresh_loras()
        merged = [Path(event["path"]) for run in runs if run.command == MERGE for event in run.saved]
        if merged:
            host.refresh_checkpoints(merged)
        drawings.wake()

    def lease(device: str) -> Lease | None:
        return host.lend_gpu(device, supervisor.wake)

    supervisor = Supervisor(index, start, lease, saved, host.lend_model, host.gpu_is_wanted, host.gpus)
    return supervisor
