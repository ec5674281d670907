"""What a training step costs on the CPU, and what the switches of the CPU save: SD 1.5, batch 1, rank 32.

    python benchmarks/cpu.py [PART …] [--checkpoint FILE] [--size 256] [--repeats 4]

Parts: ``step`` a step against bare forward and backward of UNet and text encoder; ``kept`` weights kept in 16 bits and
widened for each layer, in float32; ``layout`` channels_last; ``threads`` 1 and more; ``busy`` a step beside a program
that keeps a core busy; ``precision`` the held-out loss after 200 steps of the demo's checkpoint in bf16 and in float32,
for which --steps takes another number. Without --checkpoint random weights in full size are made.

Each number is the least of --repeats. Busy seconds are those for which a core worked for this process: other programs
hardly change them, so compare these if the machine does anything else. ``busy`` needs a machine that is quiet.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lib_lora_train.environment import ensure_worker_interpreter

ensure_worker_interpreter(program=Path(__file__))  # what follows needs the worker's packages

import torch
from accelerate.state import AcceleratorState

from benchmarks.comparing.held_out import held_out_losses
from benchmarks.comparing.watching import proportional_bytes
from benchmarks.measuring.cases import Bench, Case, steps_of
from benchmarks.weights import SD15, write_random
from lib_lora_train.config.job import Job
from lib_lora_train.config.load import job_from
from lib_lora_train.models.load import BaseModel, load_base
from lib_lora_train.runs.events import EventWriter
from lib_lora_train.runs.folder import create_run
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.run import run_training

CPU = torch.device("cpu")
RANK = 32
TOKENS = 77


@dataclass(frozen=True)
class Seconds:
    """By the clock, and those for which a core was busy."""

    clock: float
    busy: float

    def __str__(self) -> str:
        return f"{self.clock:7.3f} s {self.busy:7.3f} s busy"


def least(work: Callable[[], object], repeats: int) -> Seconds:
    """The least seconds of ``repeats`` calls, after one that does not count."""
    return least_in_turns([work], repeats)[0]


def least_in_turns(works: Sequence[Callable[[], object]], repeats: int) -> list[Seconds]:
    """``least`` of each, A B A B, so that all of them meet the same load."""
    found: list[list[tuple[float, float]]] = [[] for _ in works]
    for number in range(repeats + 1):
        for work, seconds in zip(works, found, strict=True):
            clock, busy = time.perf_counter(), time.process_time()
            work()
            if number:
                seconds.append((time.perf_counter() - clock, time.process_time() - busy))
    return [Seconds(min(clock for clock, _ in seconds), min(busy for _, busy in seconds)) for seconds in found]


def show(what: str, seconds: Seconds, against: Seconds | None = None, more: str = "") -> None:
    """One line of the table, with ratios to ``against``."""
    ratio = "" if against is None else f"  ratio {seconds.clock / against.clock:.2f}, " \
                                       f"busy {seconds.busy / against.busy:.2f}"
    print(f"{what:52} {seconds}{ratio}{more}", flush=True)


def bare_pass(base: BaseModel, size: int, dtype: torch.dtype) -> Callable[[], None]:
    """Forward and backward through every layer of the text encoder and the UNet, by nothing but the libraries.

    The weights are frozen, so the gradient is that of the embedded tokens, and of the latents.
    """
    tokens = torch.zeros(1, TOKENS, dtype=torch.long)
    latents = torch.randn(1, 4, size // 8, size // 8).to(dtype).requires_grad_()
    base.text_encoder.get_input_embeddings().register_forward_hook(lambda *given: given[2].requires_grad_())

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            hidden = base.text_encoder(tokens)[0]
            prediction = base.unet(latents, torch.tensor([500]), hidden.to(dtype), return_dict=False)[0]
        prediction.float().square().mean().backward()

    return run


@contextmanager
def loaded(checkpoint: Path, dtype: torch.dtype, *, as_kept: bool = False) -> Iterator[BaseModel]:
    """The base model without a network, and its memory given back afterwards."""
    base = load_base(checkpoint, None, dtype=dtype, device=CPU, as_kept=as_kept)
    try:
        yield base
    finally:
        del base
        gc.collect()


def step(checkpoint: Path, size: int, repeats: int) -> None:
    """A step of a run against bare forward and backward."""
    for precision, dtype in (("bf16", torch.bfloat16), ("no", torch.float32)):
        bench = Bench({SD15: checkpoint}, {SD15: size}, CPU, 0.0, images=1)
        case = Case("step", SD15, settings={"network": {"network_dim": RANK},
                                            "training": {"mixed_precision": precision}})
        with bench.prepared(case) as (prepared, _):
            network, steps = prepared.learner.model.network, steps_of(prepared)
            run = bare_pass(prepared.learner.model.base, size, dtype)

            def bare(network: Any = network, run: Callable[[], None] = run) -> None:
                network.multiplier = 0
                run()
                network.multiplier = 1

            def with_lora(network: Any = network, run: Callable[[], None] = run) -> None:
                run()
                network.zero_grad(set_to_none=True)

            works = [bare, with_lora, lambda steps=steps: next(steps)]  # type: ignore[misc]
            first, lora, whole = least_in_turns(works, repeats)
            show(f"{precision}: bare forward and backward", first)
            show(f"{precision}: the same with the LoRA", lora, first)
            show(f"{precision}: a step", whole, first)
            del network, steps, run, bare, with_lora, works


def kept(checkpoint: Path, size: int, repeats: int) -> None:
    """Weights kept as the file has them and widened for each layer, against converted ones, in float32."""
    found = []
    for as_kept in (False, True):
        with loaded(checkpoint, torch.float32, as_kept=as_kept) as base:
            found.append(least(bare_pass(base, size, torch.float32), repeats))
            memory = f", {proportional_bytes(os.getpid())[0] / 2 ** 30:.2f} GB"
        show("widened for each layer" if as_kept else "converted once", found[-1], found[0], memory)


def layout(checkpoint: Path, size: int, repeats: int) -> None:
    """channels_last for the UNet's convolutions."""
    for name, dtype in (("bf16", torch.bfloat16), ("float32", torch.float32)):
        with loaded(checkpoint, dtype) as base:
            plain = least(bare_pass(base, size, dtype), repeats)
            show(f"{name}: as it is", plain)
            base.unet.to(memory_format=torch.channels_last)
            show(f"{name}: channels_last", least(bare_pass(base, size, dtype), repeats), plain)


def threads(checkpoint: Path, size: int, repeats: int) -> None:
    """As many threads as PyTorch chooses, and fewer and more."""
    usual = torch.get_num_threads()
    with loaded(checkpoint, torch.bfloat16) as base:
        run, first = bare_pass(base, size, torch.bfloat16), None
        for count in sorted({usual, 1, max(1, usual // 2), 2 * usual}, key=lambda count: count != usual):
            torch.set_num_threads(count)
            found = least(run, repeats)
            first = first or found
            show(f"{count} threads{', as PyTorch chooses' if count == usual else ''}", found, first)
    torch.set_num_threads(usual)


def busy(checkpoint: Path, size: int, repeats: int) -> None:
    """A step alone, and beside one program that keeps a core busy."""
    bench = Bench({SD15: checkpoint}, {SD15: size}, CPU, 0.0, images=1)
    with bench.prepared(Case("step", SD15, settings={"network": {"network_dim": RANK}})) as (prepared, _):
        steps = steps_of(prepared)
        alone = least(lambda: next(steps), repeats)
        show("a step alone", alone)
        program = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
        try:
            show("a step beside a busy program", least(lambda: next(steps), repeats), alone)
        finally:
            program.kill()
            program.wait()


def precision(steps: int) -> None:
    """Held-out loss after ``steps`` steps of the demo, in bf16 and in float32."""
    with tempfile.TemporaryDirectory() as name:
        folder, files = Path(name), []
        for kind in ("bf16", "no"):
            AcceleratorState._reset_state(reset_partial_state=True)  # it keeps one precision for a whole process
            job = demo_job(folder, kind, steps)
            run = create_run(folder / "runs", kind, "")
            with EventWriter(run.events_file) as events:
                if not run_training(job, run, Reporter(events, terminal=False)):
                    raise SystemExit(f"The run in {kind} failed: {run.events_file.read_text()[-2000:]}")
            files.append(folder / "loras" / f"{kind}.safetensors")
        base, half, full = held_out_losses(demo_job(folder, "no", steps), ROOT / "demo" / "held_out", [None, *files])
    print(f"held-out loss {base:.5f} without a LoRA; after {steps} steps {half:.5f} in bf16, {full:.5f} in float32: "
          f"{half / full - 1:+.2%}, where {full / base - 1:+.2%} was learned", flush=True)


def demo_job(folder: Path, kind: str, steps: int) -> Job:
    """The demo's images and checkpoint, in the precision ``kind``."""
    return job_from({
        "base": {"checkpoint": str(ROOT / "demo" / "mini_sd15.safetensors"), "max_token_length": 75},
        "dataset": {"train_data_dir": str(ROOT / "demo" / "pictures"), "resolution": "128"},
        "network": {"network_dim": 16, "network_alpha": 16},
        "optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-3},
        "scheduler": {"lr_scheduler": "constant"},
        "training": {"max_train_epochs": None, "max_train_steps": steps, "device": "cpu", "mixed_precision": kind,
                     "webui_model": "file"},
        "save": {"output_name": kind, "output_dir": str(folder / "loras")}})


PARTS: dict[str, Callable[[Path, int, int], None]] = {
    "step": step, "kept": kept, "layout": layout, "threads": threads, "busy": busy}


def main() -> None:
    """Measure the parts and print a line for each number."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, "precision"], metavar="PART", default=list(PARTS))
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--size", type=int, default=256, help="pixels of a side")
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--steps", type=int, default=200, help="of the part precision")
    given = parser.parse_args()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {os.cpu_count()} cores, "
          f"{given.size} px{load}")
    with tempfile.TemporaryDirectory() as folder:
        if given.checkpoint is None and set(given.parts) - {"precision"}:
            given.checkpoint = write_random(SD15, Path(folder) / "sd15.safetensors")
        for part in given.parts:
            print(f"{part}:", flush=True)
            if part == "precision":
                precision(given.steps)
            else:
                PARTS[part](given.checkpoint, given.size, given.repeats)


if __name__ == "__main__":
    main()
