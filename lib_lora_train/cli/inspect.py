"""``inspect``: shows the content of a LoRA file."""

from __future__ import annotations

import json
import time
from pathlib import Path

from ..config.groups.tools import InspectJob
from ..errors import TrainLoraError
from ..runs.events import EventWriter
from ..runs.folder import INSPECT, RESULT_FILE, RunFolder
from ..runs.process import only_worker
from .tools import job_and_run, write_result
from .usage import options_of


def inspect_command(arguments: list[str]) -> int:
    """Print the content of a LoRA file, or write it into the run folder of the job.

    Raises ``TrainLoraError`` if the file cannot be used.
    """
    from ..tools.inspect import inspect

    options = options_of(INSPECT, arguments)
    job, run = job_and_run(INSPECT, options)
    assert isinstance(job, InspectJob)
    if run is not None:
        with only_worker(run):
            _in_run(Path(job.lora), run)
        return 0
    found = inspect(Path(job.lora))
    if options.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return 0
    print("\n".join(found["sentences"]))
    if found["job"]:
        print(f"\n# Its settings as a job\n{found['job']}", end="")
    return 0


def _in_run(path: Path, run: RunFolder) -> None:
    from ..tools.inspect import inspect

    started = time.monotonic()
    with EventWriter(run.events_file) as events:
        events.write("phase", {"name": "inspect", "text": f"Reading {path.name}"})
        try:
            write_result(run, inspect(path))
        except TrainLoraError as problem:
            events.write("error", {"text": str(problem), "detail": type(problem).__name__})
            raise
        events.write("result", {"path": RESULT_FILE})
        events.write("finished", {"steps": 0, "seconds": time.monotonic() - started})
