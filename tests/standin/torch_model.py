"""A model as the webui holds it: torch layers under the webui's names, hijacked text encoder included.

It cannot compute pictures; its layers are there to be patched, restored, replaced and lent.
"""

import torch
from torch import nn

_TOKENS = "transformer.text_model.embeddings.token_embedding"


class Node(nn.Module):
    """A part of the tree that has no weights of its own."""


class WebuiModel(Node):
    """``state`` under the webui's names, as ``dtype``; ``info`` is the checkpoint it was loaded from."""

    def __init__(self, state, info, dtype):
        super().__init__()
        self.sd_checkpoint_info = info
        self.lowvram = False
        layers = {}
        for key, tensor in state.items():
            if tensor.is_floating_point() and "." in key:
                layers.setdefault(webui_name(key).rpartition(".")[0], {})[key.rpartition(".")[2]] = tensor.to(dtype)
        for name, tensors in layers.items():
            place(self, name, layer_of(name, tensors))

    def load(self, state):
        """Load another checkpoint into the layers that are there, as the webui does: in place."""
        import networks

        for module in self.modules():
            networks.network_reset_cached_weight(module)
        self.load_state_dict({webui_name(key): tensor for key, tensor in state.items()}, strict=False)


def webui_name(key):
    """Where the hijacked model has the checkpoint's ``key``."""
    name = key.replace("cond_stage_model.transformer", "cond_stage_model.wrapped.transformer")
    return name.replace(_TOKENS, _TOKENS + ".wrapped")


def layer_of(name, tensors):
    weight = tensors["weight"]
    if "embedding" in name:
        layer = nn.Embedding(*weight.shape, device="meta")
    elif weight.ndim == 4:
        layer = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2:], bias="bias" in tensors, device="meta")
    elif weight.ndim == 2:
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias="bias" in tensors, device="meta")
    else:
        layer = nn.LayerNorm(weight.shape, device="meta")
    for field, tensor in tensors.items():
        setattr(layer, field, nn.Parameter(tensor.clone()))
    if not isinstance(layer, nn.Embedding) and not name.startswith("first_stage_model"):
        # as the webui names it: within the diffusion model, or within the text encoder that is wrapped
        layer.network_layer_name = name.removeprefix("model.").removeprefix("cond_stage_model.wrapped.").replace(
            ".", "_")
    return layer


def place(root, name, layer):
    *path, last = name.split(".")
    for part in path:
        if not hasattr(root, part):
            root.add_module(part, Node())
        root = getattr(root, part)
    root.add_module(last, layer)


def digest(model):
    """A number that changes with any weight of ``model``."""
    with torch.no_grad():
        return float(sum(parameter.double().sum() for parameter in model.parameters()))
