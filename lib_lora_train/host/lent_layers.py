"""The layers of the webui's model whose tensors a worker reads: putting them back, and moving out of them.

The built-in Lora extension adds a LoRA to the weights in place and keeps what was there in ``network_weights_backup``
and ``network_bias_backup``; it puts that back when the layer is next used with other LoRAs, which may be never.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

_PREFIXES = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.", "conditioner.embedders.")
_WRAPPER = "wrapped"


def checkpoint_key(name: str) -> str | None:
    """The checkpoint's key for a parameter of the webui's model; ``None`` if it is of none of the three networks.

    The webui wraps text encoders and their token embeddings, for textual inversion; the names then say ``wrapped``.
    """
    key = ".".join(part for part in name.split(".") if part != _WRAPPER)
    return key if key.startswith(_PREFIXES) else None


class LentLayers:
    """The lent tensors of ``model``, by the parameter that each was when it was lent."""

    def __init__(self, model: nn.Module, withheld: tuple[str, ...] = ()) -> None:
        """``withheld`` are beginnings of keys that are not lent. Puts the base values back first."""
        self._model = model
        self._lent: dict[tuple[int, str], Tensor] = {}
        self._altered: dict[tuple[int, str], Tensor] = {}
        self._loras: dict[int, nn.Module] = {}
        self._modules: dict[int, nn.Module] = {}
        self.by_key: dict[str, Tensor] = {}
        for module_name, module in model.named_modules():
            for field, parameter in module.named_parameters(recurse=False):
                key = checkpoint_key(f"{module_name}.{field}")
                if key is None or key.startswith(withheld):
                    continue
                tensor = parameter.detach()
                self._modules[id(module)] = module
                self._lent[id(module), field] = self.by_key[key] = tensor
        self._restore_all()
        self._hooks = [_before_load(module, self) for module in self._modules.values()]

    def is_lent(self, layer: nn.Module) -> bool:
        """Whether any parameter that a LoRA changes in ``layer`` still is a lent tensor."""
        return any(self._shares(module, field) for module, field in _fields(layer))

    def note_change(self, layer: nn.Module) -> None:
        """A LoRA was put into ``layer``, or taken out: remember what has to be put back."""
        for module, field, backup in _backups(layer):
            if self._shares(module, field):
                self._altered[id(module), field] = backup
                self._loras[id(layer)] = layer

    def restore(self) -> None:
        """Bring every lent tensor to its base value, bit for bit, whatever has become of its layer since."""
        with torch.no_grad():
            for place, backup in self._altered.items():
                self._lent[place].copy_(backup)
        for layer in self._loras.values():
            if self.is_lent(layer):
                layer.network_current_names = ()  # type: ignore[assignment]  # the extension's own mark for "base"
        self._altered.clear()
        self._loras.clear()
        if any(tensor.is_cuda for tensor in self._lent.values()):
            torch.cuda.synchronize()

    def take_own(self, module: nn.Module) -> None:
        """Give ``module`` memory of its own with the base values, before something is written into it."""
        with torch.no_grad():
            for owner, field in {*_fields(module), *((module, name) for name, _ in
                                                     module.named_parameters(recurse=False))}:
                if not self._shares(owner, field):
                    continue
                place = (id(owner), field)
                backup = self._altered.pop(place, None)
                if backup is not None:
                    self._lent[place].copy_(backup)
                parameter = getattr(owner, field)
                parameter.data = parameter.data.clone()

    def take_everything(self) -> None:
        """Give the whole model memory of its own; from now on the lent tensors are the worker's alone."""
        self.restore()
        for module in self._modules.values():
            self.take_own(module)

    def close(self) -> None:
        """Forget the lent tensors; the worker needs them no longer."""
        for hook in self._hooks:
            hook.remove()
        self._lent.clear()
        self._altered.clear()
        self._loras.clear()
        self._modules.clear()
        self.by_key.clear()

    def _restore_all(self) -> None:
        for module in self._model.modules():
            if getattr(module, "network_current_names", ()):
                self.note_change(module)
        self.restore()

    def _shares(self, module: nn.Module, field: str) -> bool:
        lent = self._lent.get((id(module), field))
        parameter = getattr(module, field, None)
        return lent is not None and parameter is not None and parameter.data_ptr() == lent.data_ptr() and \
            parameter.device == lent.device


def _fields(layer: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Where the Lora extension changes ``layer``."""
    if isinstance(layer, nn.MultiheadAttention):
        yield from ((layer, "in_proj_weight"), (layer.out_proj, "weight"), (layer.out_proj, "bias"))
    else:
        yield from ((layer, "weight"), (layer, "bias"))


def _backups(layer: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor]]:
    """What the Lora extension would put back into ``layer``."""
    weights = getattr(layer, "network_weights_backup", None)
    kept = [*weights] if isinstance(weights, tuple) else [weights]
    kept.append(getattr(layer, "network_bias_backup", None))
    if weights is None and isinstance(layer, nn.MultiheadAttention):
        return
    for (module, field), backup in zip(_fields(layer), kept, strict=True):
        if backup is not None:
            yield module, field, backup


def _before_load(module: nn.Module, layers: LentLayers) -> Any:
    """A checkpoint or VAE that is loaded is written into the module's own memory, not into the worker's weights."""
    return module._register_load_state_dict_pre_hook(lambda *_: layers.take_own(module))
