"""What share of a training step each optimizer takes: a full-size SD 1.5 with a LoRA of rank 32.

    python benchmarks/optimizers.py [--device cpu|cuda] [--precision bf16|fp32] [--size 256] [--repeats 5]
                                    [--only OPTIMIZER …]

The weights are random and made on the spot, so no checkpoint is needed: about 5 GB of memory in bf16, 9 in fp32. All
else of a step is the forward and backward pass of text encoder and UNet for one image, and the clipping of gradients.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib_lora_train.environment import ensure_worker_interpreter

ensure_worker_interpreter(program=Path(__file__))  # what follows needs the worker's packages

import torch
from diffusers import UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from benchmarks.activations import TEXT, UNETS
from benchmarks.measuring.device import seconds_of as timed
from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.config.groups.optimizer import OptimizerSettings
from lib_lora_train.config.optimizer_facts import OPTIMIZERS
from lib_lora_train.errors import ConfigError
from lib_lora_train.networks.create import Network, create_network
from lib_lora_train.training.optimizers.create import JOINED, RatedParameters, make_optimizer


def full_size(device: torch.device, dtype: torch.dtype) -> tuple[UNet2DConditionModel, CLIPTextModel, Network]:
    """SD 1.5's UNet and text encoder with random weights, and a LoRA of rank 32 on both."""
    width, inner, layers, heads = TEXT["CLIP-L"]
    torch.set_default_dtype(dtype)
    with torch.device(device):
        unet = UNet2DConditionModel(**UNETS["SD1"])
        encoder = CLIPTextModel(CLIPTextConfig(hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
                                               num_attention_heads=heads, attn_implementation="sdpa"))
    torch.set_default_dtype(torch.float32)
    network = create_network(NetworkSettings(network_dim=32), unet, encoder, 0).float().to(device)
    return unet, encoder, network.train()


def pass_of(unet: nn.Module, encoder: nn.Module, network: Network, size: int, device: torch.device,
            dtype: torch.dtype) -> Callable[[], None]:
    """Forward, backward and clipping, which leave a gradient in every parameter of ``network``."""
    latents = torch.randn(1, 4, size // 8, size // 8, device=device).to(dtype)
    tokens = torch.zeros(1, 77, dtype=torch.long, device=device)
    moment = torch.zeros(1, dtype=torch.long, device=device)

    def forward_and_backward() -> None:
        network.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            answer = unet(latents, moment, encoder(tokens)[0], return_dict=False)[0]
        answer.float().square().mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)

    return forward_and_backward


def optimizer_on(name: str, network: Network, *, joins: bool) -> torch.optim.Optimizer:
    """``name`` with its usual rate, as a run makes it; without ``joins`` each tensor is stepped alone."""
    groups = [RatedParameters(group.part, list(group.parameters), OPTIMIZERS[name].usual_rate)
              for group in network.parameter_groups()]
    return make_optimizer(groups, OptimizerSettings(optimizer_type=name), print, joins=joins)


def seconds_of(optimizer: torch.optim.Optimizer, run_pass: Callable[[], None], repeats: int,
               device: torch.device) -> tuple[float, float]:
    """Medians of the pass and of the optimizer's step after it; the first round makes its state and does not count."""
    times = [(timed(run_pass, device), timed(optimizer.step, device)) for _ in range(repeats + 1)][1:]
    return statistics.median(rest for rest, _ in times), statistics.median(own for _, own in times)


def cases(names: Sequence[str], device: torch.device) -> Iterator[tuple[str, bool]]:
    """Each optimizer as a run has it, and on a GPU also with each tensor alone where a run puts them end to end."""
    for name in names:
        yield name, True
        if device.type != "cpu" and name in JOINED:
            yield name, False


def main() -> None:
    """Print the share of each optimizer in the steps that it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--size", type=int, default=256, help="pixels of a side")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=list(OPTIMIZERS), choices=list(OPTIMIZERS), metavar="OPTIMIZER")
    given = parser.parse_args()
    device, dtype = torch.device(given.device), {"bf16": torch.bfloat16, "fp32": torch.float32}[given.precision]
    unet, encoder, network = full_size(device, dtype)
    run_pass = pass_of(unet, encoder, network, given.size, device, dtype)
    trained = sum(parameter.numel() for parameter in network.parameters())
    print(f"SD 1.5, {given.size} px, batch 1, rank 32 ({trained / 1e6:.1f} M values), {given.precision}, {device}, "
          f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{'':18} {'optimizer':>12} {'all else':>10}  share of a step")
    start = [parameter.detach().clone() for parameter in network.parameters()]
    for name, joins in cases(given.only, device):
        try:
            rest, own = seconds_of(optimizer_on(name, network, joins=joins), run_pass, given.repeats, device)
        except ConfigError as problem:
            print(f"{name:18} {problem}")
            continue
        print(f"{name:18} {1000 * own:9.1f} ms {rest:8.3f} s  {100 * own / (rest + own):5.1f} %"
              f"{'' if joins else '  each tensor alone'}", flush=True)
        with torch.no_grad():
            for parameter, begin in zip(network.parameters(), start, strict=True):
                parameter.copy_(begin)


if __name__ == "__main__":
    main()
