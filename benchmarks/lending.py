"""A run on lent weights against one that reads the file: memory of both processes, and the time to the first step.

    python benchmarks/lending.py [--checkpoint FILE.safetensors | --full] [--rounds 3] [--precision float32]

A stand-in of the webui holds the checkpoint in ``--precision`` and a real worker trains on the demo's pictures; both
ways take turns in one run, and what is printed are medians and their ratio. Memory is the sum of the proportional set
sizes (Linux), so a page that both processes map counts once. ``--full`` makes a checkpoint with the shapes of SD 1.5
and random weights (2 GB as half precision).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lib_lora_train.environment import ensure_worker_interpreter, worker_command, worker_environ

ensure_worker_interpreter(program=Path(__file__))  # what follows needs the worker's packages

from benchmarks.weights import SD15, write_random
from lib_lora_train.config.load import job_from, job_to_yaml
from lib_lora_train.runs.control import RunControl
from lib_lora_train.runs.events import read_events
from lib_lora_train.runs.folder import create_run

SECONDS = 1800.0


class Measured(NamedTuple):
    """One run: seconds from the click to the end of the first step, and bytes of both processes then."""

    seconds: float
    memory: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "demo" / "mini_sd15.safetensors")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--precision", choices=("float32", "float16"), default="float32")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint = write_random(SD15, folder / "full.safetensors") if options.full else options.checkpoint.absolute()
        found: dict[str, list[Measured]] = {"file": [], "lent": []}
        for number in range(options.rounds):
            for way, measured in found.items():
                measured.append(measure(folder / f"{way}{number}", checkpoint, way, options.precision))
    report("seconds to the first step", {way: [one.seconds for one in measured] for way, measured in found.items()})
    report("MB of both processes", {way: [one.memory / 1e6 for one in measured] for way, measured in found.items()})


def report(what: str, found: dict[str, list[float]]) -> None:
    """Print the medians and their ratio."""
    file, lent = statistics.median(found["file"]), statistics.median(found["lent"])
    print(f"{what}: file {file:.1f}, lent {lent:.1f}, ratio {lent / file:.2f}")


def measure(folder: Path, checkpoint: Path, way: str, precision: str) -> Measured:
    """Train until the first step is done."""
    words = [precision] if precision == "float16" else []
    # the stand-in imports the webui's names, so it runs outside of the worker's own imports
    webui = subprocess.Popen([sys.executable, "-m", "tests.standin.lender", str(checkpoint), *words], cwd=ROOT,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=webui_environ())
    assert webui.stdin and webui.stdout
    webui.stdin.write('["digest"]\n')
    webui.stdin.flush()
    webui.stdout.readline()  # it is up
    try:
        run = create_run(folder, way, job_to_yaml(job_from(settings(folder, checkpoint, way))))
        clicked = time.monotonic()
        webui.stdin.write(json.dumps(["begin to lend", str(run.path)]) + "\n")
        webui.stdin.flush()
        webui.stdout.readline()  # the tab starts the worker now
        with run.log_file.open("wb") as log:
            worker = subprocess.Popen(worker_command(["train", str(run.job_file)]), env=worker_environ(), stdout=log,
                                      stderr=log)
        wait(lambda: any(event["event"] == "step" for event in read_events(run.events_file)[0]), worker)
        seconds = time.monotonic() - clicked
        for event in read_events(run.events_file)[0]:
            assert event["event"] != "weights" or event["way"] == way, event["text"]
        memory = proportional_bytes(webui.pid) + proportional_bytes(worker.pid)
        RunControl(run.path / "control").request("stop")
        worker.wait()
        return Measured(seconds, memory)
    finally:
        webui.kill()
        webui.communicate()


def settings(folder: Path, checkpoint: Path, way: str) -> dict[str, dict[str, object]]:
    """A job whose pictures are few and small, so that it is the model that counts."""
    return {"base": {"checkpoint": str(checkpoint), "max_token_length": 75},
            "dataset": {"train_data_dir": str(ROOT / "demo" / "held_out"), "resolution": "64", "min_bucket_reso": 64,
                        "max_bucket_reso": 128},
            "network": {"network_dim": 4, "network_alpha": 4},
            "optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-4},
            "save": {"output_name": "measured", "output_dir": str(folder / "loras")},
            "training": {"webui_model": way, "device": "cpu", "max_train_epochs": None, "max_train_steps": 10000}}


def wait(condition: Callable[[], bool], worker: subprocess.Popen[bytes]) -> None:
    """Until ``condition`` holds; raises ``SystemExit`` if the worker ends before."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if worker.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("The worker made no step.")
        time.sleep(0.02)


def proportional_bytes(pid: int) -> int:
    """The proportional set size of a process (Linux)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def webui_environ() -> dict[str, str]:
    """Where the stand-in finds psutil and what else it needs of the worker's packages."""
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(filter(None, sys.path)))}


if __name__ == "__main__":
    main()
