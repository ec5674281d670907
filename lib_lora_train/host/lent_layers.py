"""The layers of the webui's model whose tensors a worker reads: restores them, or moves the model to other memory.

The built-in Lora extension adds a LoRA to the weights in place and keeps the originals in ``network_weights_backup``
and ``network_bias_backup``; it restores them when the layer is next used with other LoRAs, which may be never.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Any

import torch
from torch import Tensor, nn

from ..models.checksum import same, spots
from .sharing import shared_copy

_PREFIXES = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.", "conditioner.embedders.")
_WRAPPER = "wrapped"


def checkpoint_key(name: str) -> str | None:
    """The checkpoint's key for a parameter of the webui's model; ``None`` if it belongs to none of the three networks.

    The webui wraps text encoders and their token embeddings, for textual inversion; the names then contain
    ``wrapped``.
    """
    key = ".".join(part for part in name.split(".") if part != _WRAPPER)
    return key if key.startswith(_PREFIXES) else None


class LentLayers:
    """The lent tensors of ``model``, by the parameter that each was when it was lent."""

    def __init__(self, model: nn.Module, withheld: tuple[str, ...] = ()) -> None:
        """``withheld`` are key prefixes that are not lent. Restores the base values first."""
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
        """Whether any parameter that a LoRA changes in ``layer`` is still a lent tensor."""
        return any(self._shares(module, field) for module, field in _fields(layer))

    def note_change(self, layer: nn.Module) -> None:
        """Record that a LoRA was applied to ``layer``, or removed, so that it is restored later."""
        for module, field, backup in _backups(layer):
            if self._shares(module, field):
                self._altered[id(module), field] = backup
                self._loras[id(layer)] = layer

    def restore(self) -> None:
        """Restore the base value of every lent tensor, bit for bit, whatever has happened to its layer since."""
        with torch.no_grad():
            for place, backup in self._altered.items():
                self._lent[place].copy_(backup)
        for layer in self._loras.values():
            if self.is_lent(layer):
                self._mark_as_base(layer)
        self._altered.clear()
        self._loras.clear()

    def take_own(self, module: nn.Module) -> None:
        """Give ``module`` its own memory with the base values, before it is written to."""
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
        """Give the whole model its own memory; from now on only the worker uses the lent tensors."""
        self.restore()
        for module in self._modules.values():
            self.take_own(module)

    def before_load(self, module: nn.Module) -> None:
        """A checkpoint or VAE is about to be loaded into ``module``: give it its own memory."""
        self.take_own(module)

    def close(self) -> None:
        """Forget the lent tensors; the worker no longer needs them."""
        for hook in self._hooks:
            hook.remove()
        self._lent.clear()
        self._altered.clear()
        self._loras.clear()
        self._modules.clear()
        self.by_key.clear()

    def _mark_as_base(self, layer: nn.Module) -> None:
        """Tell the Lora extension that no LoRA is applied to ``layer``, whose weights are the base's again."""
        layer.network_current_names = ()  # type: ignore[assignment]
        owner = layer.out_proj if isinstance(layer, nn.MultiheadAttention) else layer
        if getattr(owner, "bias", None) is not None and (id(owner), "bias") not in self._lent \
                and getattr(layer, "network_bias_backup", None) is None and (id(owner), "weight") in self._lent:
            owner.bias = None  # type: ignore[assignment]  # it came with the LoRA

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


class MemoryLayers(LentLayers):
    """Lent tensors in shared main memory; the model's parameters are copies of them while it is on a GPU.

    LoRAs are applied only to the GPU's copies, so that the lent tensors are never written to.
    """

    def copy_to_main_memory(self) -> None:
        """Copy what is on a GPU, with the base values, to shared memory; the model stays on the GPU."""
        places = {id(tensor): place for place, tensor in self._lent.items()}
        for key, tensor in self.by_key.items():
            self.by_key[key] = self._lent[places[id(tensor)]] = shared_copy(tensor)

    def leave_gpu(self, stays: Set[int] = frozenset()) -> None:
        """Point the model's parameters at the lent tensors. Their copies are dropped, nothing is copied.

        Parameters whose ids are in ``stays`` are unchanged, and so are those modified by anything other than a LoRA:
        from now on they are the webui's own.
        """
        for place in self._changed():
            del self._lent[place]
        for (module, field), tensor in self._places():
            parameter = getattr(module, field)
            if id(parameter) not in stays:
                parameter.data = tensor
        for layer in self._model.modules():
            if getattr(layer, "network_current_names", ()) and self.is_lent(layer):
                self._mark_as_base(layer)

    def before_load(self, module: nn.Module) -> None:
        """After loading, ``module`` is no longer a copy of lent tensors."""
        super().before_load(module)
        for field, _ in module.named_parameters(recurse=False):
            self._lent.pop((id(module), field), None)

    def _changed(self) -> set[tuple[int, str]]:
        """The places of parameters that are neither lent tensors nor these plus a LoRA; compares a few values."""
        layers = [layer for layer in self._model.modules() if getattr(layer, "network_current_names", ())]
        with_lora = {(id(module), field): backup for layer in layers for module, field, backup in _backups(layer)}
        changed, compared = set[tuple[int, str]](), []
        for (module, field), tensor in self._places():
            place = (id(module), field)
            parameter = with_lora.get(place, getattr(module, field, None))
            if parameter is None or parameter.is_meta or parameter.shape != tensor.shape or \
                    parameter.dtype != tensor.dtype:
                changed.add(place)
            elif not self._shares(module, field):
                compared.append((place, spots(parameter)))
        changed |= {place for place, values in _in_main_memory(compared) if not same(values, spots(self._lent[place]))}
        for layer in layers:  # whose LoRA can only be removed from all of it or none
            places = {(id(module), field) for module, field in _fields(layer)}
            changed |= places & self._lent.keys() if places & changed else set()
        return changed

    def _places(self) -> Iterator[tuple[tuple[nn.Module, str], Tensor]]:
        for (module_id, field), tensor in list(self._lent.items()):
            yield (self._modules[module_id], field), tensor


def _in_main_memory(found: Sequence[tuple[tuple[int, str], Tensor]]) -> Iterator[tuple[tuple[int, str], Tensor]]:
    """The tensors of ``found``, which are small and one-dimensional, copied from a GPU together."""
    groups: dict[tuple[torch.device, torch.dtype], list[tuple[tuple[int, str], Tensor]]] = {}
    for place, values in found:
        groups.setdefault((values.device, values.dtype), []).append((place, values))
    for group in groups.values():
        together = torch.cat([values for _, values in group]).cpu()
        yield from zip((place for place, _ in group), together.split([len(values) for _, values in group]), strict=True)


def _fields(layer: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """The parameters of ``layer`` that the Lora extension changes."""
    if isinstance(layer, nn.MultiheadAttention):
        yield from ((layer, "in_proj_weight"), (layer.out_proj, "weight"), (layer.out_proj, "bias"))
    else:
        yield from ((layer, "weight"), (layer, "bias"))


def _backups(layer: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor]]:
    """The values that the Lora extension would restore in ``layer``."""
    weights = getattr(layer, "network_weights_backup", None)
    kept = [*weights] if isinstance(weights, tuple) else [weights]
    kept.append(getattr(layer, "network_bias_backup", None))
    if weights is None and isinstance(layer, nn.MultiheadAttention):
        return
    for (module, field), backup in zip(_fields(layer), kept, strict=True):
        if backup is not None:
            yield module, field, backup


def _before_load(module: nn.Module, layers: LentLayers) -> Any:
    return module._register_load_state_dict_pre_hook(lambda *_: layers.before_load(module))
