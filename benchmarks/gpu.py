"""All figures of a GPU in one command of less than 9 minutes, as JSON on standard output.

    python benchmarks/gpu.py [--seconds 500] [--only TEXT] [--json FILE]
    python benchmarks/gpu.py --device cpu --mini        the same code on miniature weights, in about a minute

It needs nothing but Python and CUDA: the worker's environment is installed if it is not there, and checkpoints with
random weights, as large as SD 1.5 and SDXL, are made on the GPU and written once. What matters most comes first; when
the time is over, what was left out is named. Progress goes to standard error. A part that fails says why, and the next
one begins.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

_BEGAN = "LORA_TRAIN_GPU_BEGAN"
os.environ.setdefault(_BEGAN, str(time.time()))  # a Python without torch starts this file again in another one

from lib_lora_train.environment import ensure_worker_interpreter

ensure_worker_interpreter(program=Path(__file__))  # what follows needs the worker's packages

import torch

from benchmarks.measuring.cases import CACHED, FP8, NF4, SMALLEST, Bench, Case, switches
from benchmarks.measuring.correctness import against_float32
from benchmarks.measuring.device import clear, describe, matmul_ceiling
from benchmarks.measuring.optimizers import optimizer_seconds
from benchmarks.measuring.turns import turns
from benchmarks.weights import KINDS, SD15, SDXL, write_random
from lib_lora_train.config.optimizer_facts import OPTIMIZERS
from lib_lora_train.errors import TrainLoraError
from lib_lora_train.training.precision import resolve_device

_PIXELS = {SD15: 512, SDXL: 1024}
_MINI_PIXELS = {SD15: 64, SDXL: 64}
_CEILING_SIDE, _MINI_CEILING_SIDE = 8192, 128
_CASE_SECONDS = 4.0


@dataclass(frozen=True)
class Part:
    """One thing to measure, and about how many seconds it takes on a GPU."""

    name: str
    seconds: float
    work: Callable[[], Any]


@dataclass
class Figures:
    """What was measured by the parts' names, and what was not, with the reason."""

    parts: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print. Raises ``SystemExit`` with a sentence if something given cannot be used."""
    options = read_options(arguments)
    device = resolve(options.device)
    with tempfile.TemporaryDirectory(prefix="gpu-") as folder:
        checkpoints = {kind: Path(folder) / f"{kind}.safetensors" for kind in KINDS}
        report("Making checkpoints with random weights.")
        for kind, path in checkpoints.items():
            write_random(kind, path, device, mini=options.mini)
        clear(device)
        proofs = Path(folder) / "bf16_agrees.json"
        bench = Bench(checkpoints, _MINI_PIXELS, device, 0, 1, 1, 2, proofs) if options.mini else \
            Bench(checkpoints, _PIXELS, device, _CASE_SECONDS, proofs=proofs)
        parts = [part for part in parts_of(bench, mini=options.mini) if options.only in part.name]
        if not parts:
            raise SystemExit(f"--only is {options.only!r}, which is in the name of no part. The parts are: "
                             f"{'; '.join(part.name for part in parts_of(bench, mini=options.mini))}.")
        with redirect_stdout(sys.stderr):  # some optimizers print what they do
            figures = measure(parts, options.seconds - (time.time() - float(os.environ[_BEGAN])),
                              lambda found: write(options.json, result(device, bench, found)))
    print(json.dumps(result(device, bench, figures), indent=1))


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What is given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu (default: %(default)s)")
    parser.add_argument("--mini", action="store_true", help="miniature weights and one step of each case")
    parser.add_argument("--seconds", type=float, default=500, help="no part begins that would end later than so many "
                        "seconds after the start (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the parts with TEXT in their names")
    parser.add_argument("--json", type=Path, help="also write the figures into this file, after each part")
    options = parser.parse_args(arguments)
    if options.json and not options.json.absolute().parent.is_dir():
        raise SystemExit(f"--json is {options.json}, but there is no folder {options.json.absolute().parent}. "
                         "Make it first.")
    return options


def resolve(wanted: str) -> torch.device:
    """The device ``wanted``. Raises ``SystemExit`` if this machine does not have it."""
    try:
        return resolve_device(wanted)
    except (TrainLoraError, RuntimeError) as problem:
        raise SystemExit(f"--device is {wanted!r}: {str(problem).splitlines()[0]} To try the code without a GPU: "
                         "--device cpu --mini.") from None


def parts_of(bench: Bench, *, mini: bool) -> Iterator[Part]:
    """Everything there is to measure, what matters most first."""
    def case(case: Case, seconds: float) -> Part:
        return Part(case.name, seconds, lambda: bench.measure(case))

    side = _MINI_CEILING_SIDE if mini else _CEILING_SIDE
    yield Part("matmul ceiling", 4, lambda: matmul_ceiling(bench.device, side))
    yield case(Case("sd15 b1", SD15), 12)
    yield case(Case("sdxl b1", SDXL), 20)
    yield case(Case("sd15 b8", SD15, 8), 14)
    yield case(Case("sdxl b1, all that save memory", SDXL, settings=SMALLEST), 25)
    yield Part("turns of the lent model, sd15", 25, lambda: turns(bench.checkpoints[SD15], bench.device))
    yield Part("correctness, sd15", 30, lambda: against_float32(bench, SD15))
    yield case(Case("sdxl b1, base_weights fp8", SDXL, settings=FP8), 22)
    yield case(Case("sdxl b1, weights_on_cpu 100", SDXL, settings={"training": {"weights_on_cpu": 100}}), 30)
    yield case(Case("sdxl b1, base_weights nf4", SDXL, settings=NF4), 30)
    yield case(Case("sdxl b1, cache_text_encoder_outputs", SDXL, settings=CACHED), 22)
    above = {"all that save memory", "base_weights fp8", "base_weights nf4", "weights_on_cpu 100",
             "cache_text_encoder_outputs"}
    for switch in switches(SD15, 1):
        if mini and switch.name.partition(", ")[2] in above:
            continue  # the same code as above, with other weights
        yield case(switch, 60 if "compiled" in switch.name else 12)
    yield Part("optimizers, sd15", 40, lambda: optimizer_seconds(bench, SD15, list(OPTIMIZERS)[:2] if mini else None))
    if mini:
        return  # from here on it is the same code with other weights
    yield Part("turns of the lent model, sdxl", 45, lambda: turns(bench.checkpoints[SDXL], bench.device))
    yield Part("correctness, sdxl", 60, lambda: against_float32(bench, SDXL))
    for switch in (*switches(SD15, 8), *switches(SDXL, 1)):
        if switch.kind == SD15 or switch.name.partition(", ")[2] not in above:
            yield case(switch, 100 if "compiled" in switch.name else 22)


def measure(parts: Sequence[Part], seconds: float, after_each: Callable[[Figures], None]) -> Figures:
    """Do ``parts`` in their order as long as each is expected to end within ``seconds`` from now."""
    figures, until = Figures(), time.monotonic() + seconds
    for part in parts:
        left = until - time.monotonic()
        if part.seconds > left:
            figures.left_out[part.name] = f"It takes about {part.seconds:.0f} s, and {max(left, 0):.0f} s were left."
            continue
        report(f"{left:4.0f} s left: {part.name}")
        began = time.monotonic()
        try:
            figures.parts[part.name] = part.work()
        except Exception as problem:  # noqa: BLE001 - whatever fails, the figures of the others are wanted
            figures.left_out[part.name] = f"{type(problem).__name__}: {problem}".strip()
            report(f"     failed: {figures.left_out[part.name].splitlines()[0][:200]}")
        if part.name in figures.parts and isinstance(figures.parts[part.name], dict):
            figures.parts[part.name]["took_seconds"] = time.monotonic() - began
        after_each(figures)
    return figures


def result(device: torch.device, bench: Bench, figures: Figures) -> dict[str, Any]:
    """All as plain values: the parts, the price of each switch, and the share of the ceiling that each case reaches."""
    return {"machine": describe(device), "pixels": dict(bench.pixels), "parts": figures.parts,
            "prices": prices(figures.parts), "ceiling_shares": ceiling_shares(figures.parts),
            "left_out": figures.left_out, "seconds": round(time.time() - float(os.environ[_BEGAN]), 1)}


def prices(parts: dict[str, Any]) -> dict[str, dict[str, float]]:
    """For each case with a switch, time and memory against the case without any."""
    found = {}
    for name, case in parts.items():
        plain = parts.get(name.partition(", ")[0])
        if plain is None or plain is case or "seconds_per_step" not in case:
            continue
        found[name] = {"time": case["seconds_per_step"] / plain["seconds_per_step"]}
        if "reserved_bytes" in plain:
            found[name]["memory"] = case["reserved_bytes"] / plain["reserved_bytes"]
    return found


def ceiling_shares(parts: dict[str, Any]) -> dict[str, float]:
    """The operations a second of each case as a share of those of matrix products in its number format."""
    ceiling = parts.get("matmul ceiling", {})
    formats = {"bf16": "bfloat16", "fp16": "float16", "no": "float32"}
    return {name: case["operations_per_second"] / ceiling[formats[case["precision"]]]
            for name, case in parts.items() if ceiling and "operations_per_second" in case}


def write(path: Path | None, found: dict[str, Any]) -> None:
    """Write what was found so far into ``path``, if one is given."""
    if path is not None:
        path.write_text(json.dumps(found, indent=1), encoding="utf-8")


def report(sentence: str) -> None:
    """Progress goes to standard error."""
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
