"""How much memory the frozen weights of a network take."""

from __future__ import annotations

from torch import nn

from lib_lora_train.models.stored_weights import _stored, stored_layers


def weight_bytes(network: nn.Module, *, on_device: bool) -> int:
    """Bytes of all frozen tensors of ``network``; only of those not kept in main memory with ``on_device``."""
    plain = sum(tensor.numel() * tensor.element_size() for tensor in (*network.parameters(), *network.buffers()))
    stored = (_stored(layer) for layer in stored_layers(network))
    return plain + sum(weight.packed.bytes for weight in stored if not (on_device and weight.away))
