"""How much memory a training step's activations take, counted on full-size models without running them.

    python benchmarks/activations.py

PyTorch's FakeTensorMode computes shapes and dtypes only, so SDXL at 1024 pixels is counted in seconds on any machine.
``lib_lora_train/advice/memory.py`` has the printed numbers. Norms are computed in float32, as CUDA's autocast does.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib_lora_train.environment import ensure_worker_interpreter

ensure_worker_interpreter(program=Path(__file__))  # what follows needs the worker's packages

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import CLIPTextConfig, CLIPTextModel

from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.networks.create import create_network
from lib_lora_train.training.memory import checkpoint_unet

SD = {"block_out_channels": (320, 640, 1280, 1280)}
UNETS: dict[str, dict[str, Any]] = {
    "SD1": {**SD, "cross_attention_dim": 768, "attention_head_dim": 8},
    "SD2": {**SD, "cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True},
    "SDXL": {"block_out_channels": (320, 640, 1280), "cross_attention_dim": 2048, "attention_head_dim": (5, 10, 20),
             "use_linear_projection": True, "transformer_layers_per_block": (1, 2, 10),
             "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
             "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
             "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
             "projection_class_embeddings_input_dim": 2816}}
TEXT = {"CLIP-L": (768, 3072, 12, 12), "OpenCLIP-H": (1024, 4096, 23, 16), "OpenCLIP-bigG": (1280, 5120, 32, 20)}
SIZES = {"SD1": (512, 768), "SD2": (512, 768), "SDXL": (768, 1024)}


class LiveBytes(TorchDispatchMode):
    """Bytes of the tensors that were made under it and are still alive, and the most there ever were."""

    def __init__(self, *networks: nn.Module) -> None:
        super().__init__()
        self.live = self.peak = 0
        weights = (tensor for network in networks for tensor in (*network.parameters(), *network.buffers()))
        self._known = {tensor.untyped_storage()._cdata for tensor in weights}  # a view of one is no new memory

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known:
            self._known.add(key)
            self.live += size
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


@contextmanager
def norms_in_float32() -> Iterator[None]:
    """What CUDA's autocast does with norms, and the CPU's does not."""
    group, layer = functional.group_norm, functional.layer_norm

    def group_norm(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float = 1e-5) -> Tensor:
        return group(x.float(), groups, weight.float(), bias.float(), eps)

    def layer_norm(x: Tensor, shape: list[int], weight: Tensor, bias: Tensor, eps: float = 1e-5) -> Tensor:
        return layer(x.float(), shape, weight.float(), bias.float(), eps)

    functional.group_norm, functional.layer_norm = group_norm, layer_norm
    try:
        yield
    finally:
        functional.group_norm, functional.layer_norm = group, layer


def make_fake(network: nn.Module, dtype: torch.dtype, *, trained: bool = False) -> None:
    """Give ``network``, on the meta device, fake tensors that say they are on the CPU."""
    for module in network.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                module._parameters[name] = nn.Parameter(torch.empty(parameter.shape, dtype=dtype), trained)
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)


def unet_peak(family: str, pixels: int, *, checkpointing: str, batch: int = 1, network: str = "LoRA-LierLa") -> int:
    """The most bytes that a step through a UNet of ``family`` holds beside weights, gradients and optimizer."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(**UNETS[family])
    lora = create_network(NetworkSettings(network_type=network, network_dim=16, network_train_unet_only=True), unet,
                          None, 0).train()
    with FakeTensorMode(allow_non_fake_inputs=True):
        make_fake(unet, torch.bfloat16)
        make_fake(lora, torch.float32, trained=True)
        if checkpointing != "off":
            checkpoint_unet(unet, checkpointing)
        latents = torch.empty(batch, 4, pixels // 8, pixels // 8, dtype=torch.bfloat16)
        states = torch.empty(batch, 77, UNETS[family]["cross_attention_dim"], dtype=torch.bfloat16)
        more = {"text_embeds": torch.empty(batch, 1280, dtype=torch.bfloat16), "time_ids": torch.empty(batch, 6)}
        more = more if family == "SDXL" else None
        with LiveBytes(unet, lora) as count, norms_in_float32():
            with torch.autocast("cpu", torch.bfloat16):
                answer = unet(latents, torch.zeros(batch, dtype=torch.long), states, added_cond_kwargs=more,
                              return_dict=False)[0]
            answer.float().square().mean().backward()
        gradients = sum(parameter.numel() * 4 for parameter in lora.parameters())
    return count.peak - gradients


def text_peak(name: str, *, checkpointing: bool, batch: int = 1) -> int:
    """The same for a text encoder and 77 tokens."""
    width, inner, layers, heads = TEXT[name]
    with torch.device("meta"):
        encoder = CLIPTextModel(CLIPTextConfig(hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
                                               num_attention_heads=heads, attn_implementation="sdpa"))
    lora = create_network(NetworkSettings(network_dim=16, network_train_text_encoder_only=True), None, encoder,
                          0).train()
    with FakeTensorMode(allow_non_fake_inputs=True):
        make_fake(encoder, torch.bfloat16)
        make_fake(lora, torch.float32, trained=True)
        if checkpointing:
            encoder.train()
            encoder.gradient_checkpointing_enable({"use_reentrant": False})
        with LiveBytes(encoder, lora) as count, norms_in_float32():
            with torch.autocast("cpu", torch.bfloat16):
                states = encoder(torch.zeros(batch, 77, dtype=torch.long))[0]
            states.float().square().mean().backward()
        gradients = sum(parameter.numel() * 4 for parameter in lora.parameters())
    return count.peak - gradients


def main() -> None:
    """Print the line through two sizes for each family: bytes for each latent pixel, and what does not depend on it."""
    for family, (small, large) in SIZES.items():
        for checkpointing in ("off", "outer", "all"):
            peaks = [unet_peak(family, pixels, checkpointing=checkpointing) for pixels in (small, large)]
            slope = (peaks[1] - peaks[0]) / ((large // 8) ** 2 - (small // 8) ** 2)
            rest = peaks[0] - slope * (small // 8) ** 2
            shown = ", ".join(f"{pixels} px {peak / 2**30:.2f} GB"
                              for pixels, peak in zip((small, large), peaks, strict=True))
            print(f"{family:5} checkpointing {checkpointing:5}: {shown}; "
                  f"{slope:9.0f} bytes a latent pixel + {rest / 2**20:.0f} MB", flush=True)
    for name in TEXT:
        peaks = [text_peak(name, checkpointing=checkpointing) / 2**20 for checkpointing in (False, True)]
        print(f"{name:13} 77 tokens: {peaks[0]:.0f} MB, with checkpointing {peaks[1]:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
