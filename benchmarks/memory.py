"""What each memory-saving switch saves and costs on this machine, as ratios against a run without it.

    python benchmarks/memory.py [CHECKPOINT] [--steps 4] [--size 256] [--device cpu|cuda]

Each switch runs in a process of its own, one after the other. On a GPU its peak is what PyTorch reserved; on the CPU
it is the growth of the process's resident memory (Linux), as a substitute. Without a CHECKPOINT the demo's is
taken, whose weights are small beside its activations: take a full-size one to see what the weights' switches do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lib_lora_train.environment import ensure_worker_interpreter

SWITCHES: dict[str, dict[str, Any]] = {
    "none": {},
    "gradient_checkpointing": {"gradient_checkpointing": True},
    "base_weights fp8": {"base_weights": "fp8"},
    "base_weights nf4": {"base_weights": "nf4"},
    "weights_on_cpu 100": {"weights_on_cpu": 100},
    "fused_backward_pass": {"fused_backward_pass": True},
    "checkpointing, fp8, fused": {"gradient_checkpointing": True, "base_weights": "fp8", "fused_backward_pass": True}}


def resident_bytes() -> int:
    """What this process holds in memory that is its own (anonymous pages; mapped files are not counted)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("This benchmark needs Linux or a GPU.")


class Peak:
    """The most memory in use between its beginning and its end."""

    def __init__(self, measure: Callable[[], int]) -> None:
        self._measure, self._going = measure, True
        self.start = self.peak = measure()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while self._going:
            self.peak = max(self.peak, self._measure())
            time.sleep(0.002)

    def end(self) -> int:
        """Bytes above the start."""
        self._going = False
        self._thread.join()
        return self.peak - self.start


def one(checkpoint: Path, switch: str, steps: int, size: int, device_name: str) -> dict[str, float]:
    """Peak bytes (weights, network, optimizer and activations) and seconds a step with one switch."""
    import torch
    from accelerate import Accelerator

    from lib_lora_train.config.groups.network import NetworkSettings
    from lib_lora_train.config.groups.training import TrainingSettings
    from lib_lora_train.models.load import load_base
    from lib_lora_train.models.noise import noise_schedule
    from lib_lora_train.models.tokenizer import Tokenizer, find_vocabulary
    from lib_lora_train.networks.create import create_network
    from lib_lora_train.training.memory import checkpoint_gradients, frozen_networks, store_base
    from lib_lora_train.training.model import TrainedModel
    from lib_lora_train.training.optimizers.fused import FusedSteps

    settings = TrainingSettings(**SWITCHES[switch])
    device = torch.device(device_name)
    measure = torch.cuda.max_memory_reserved if device.type == "cuda" else resident_bytes
    peak = Peak(measure)
    base = load_base(checkpoint, None, dtype=torch.bfloat16, device="cpu")
    store_base(base, settings, device)
    for part in frozen_networks(base):
        part._apply(torch.clone)  # weights that are still mapped from the file would not be counted
    network = create_network(NetworkSettings(network_dim=32), base.unet, base.text_encoder, 0)
    model = TrainedModel(base, network, Tokenizer(find_vocabulary()),
                         Accelerator(mixed_precision="bf16", cpu=device.type == "cpu"), noise_schedule("epsilon"),
                         clip_skip=1, max_token_length=75, trains_text_encoder=True)
    model.bring()
    if settings.gradient_checkpointing:
        checkpoint_gradients(model)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4)
    if settings.fused_backward_pass:
        FusedSteps(optimizer, scaled=False)
    network.train()
    times = []
    for _ in range(steps):
        began = time.perf_counter()
        latents = torch.randn(1, 4, size // 8, size // 8, device=device)
        timestep = torch.zeros(1, dtype=torch.long, device=device)
        model.predict(latents, timestep, ["a picture"]).float().square().mean().backward()
        if not settings.fused_backward_pass:
            optimizer.step()
            optimizer.zero_grad()
        times.append(time.perf_counter() - began)
    return {"bytes": peak.end(), "seconds": sorted(times)[len(times) // 2]}


def main() -> None:
    """Run every switch and print the table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, nargs="?", default=ROOT / "demo" / "mini_sd15.safetensors")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--size", type=int, default=256, help="pixels of a side")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--switch", help="only this one, printed as JSON")
    given = parser.parse_args()
    ensure_worker_interpreter(program=Path(__file__))
    if given.switch:
        print(json.dumps(one(given.checkpoint, given.switch, given.steps, given.size, given.device)))
        return
    plain: dict[str, float] = {}
    print(f"{given.checkpoint.name}, {given.size} px, batch 1, dim 32, bf16, {given.device}")
    print(f"{'switch':28} {'memory':>9} {'ratio':>6} {'s/step':>8} {'ratio':>6}")
    for switch in SWITCHES:
        command = [sys.executable, __file__, str(given.checkpoint), "--switch", switch, "--steps", str(given.steps),
                   "--size", str(given.size), "--device", given.device]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = json.loads(printed.splitlines()[-1])
        plain = plain or found
        print(f"{switch:28} {found['bytes'] / 2**20:6.0f} MB {found['bytes'] / plain['bytes']:6.2f} "
              f"{found['seconds']:8.2f} {found['seconds'] / plain['seconds']:6.2f}", flush=True)


if __name__ == "__main__":
    main()
