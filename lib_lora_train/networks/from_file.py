"""Creates a network from a LoRA file to continue training: same layers, types, ranks, alphas and values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ..blocks.lists import read_blocks
from ..blocks.names import block_of
from ..config.groups.network import DYLORA, IA3, LOHA, LOKR, NetworkSettings
from ..config.groups.optimizer import OptimizerSettings
from ..config.optimizer_args import has_one_rate
from ..config.optimizer_facts import OPTIMIZERS
from ..errors import CheckpointError, RunError
from ..models.family import SD1, SD2, SD2_V, SDXL, SSD
from .create import options_of, rates_of, scale_alphas
from .keys import UNET_PREFIX, is_unet_key, key_table, text_encoder_prefixes
from .lora import DyLoraModule, LoraModule
from .lora_facts import LoraFacts, from_json
from .module import Layer, ModuleOptions, NetworkModule
from .network import Network
from .save import LoraFile

_SHOWN = 4
_FAMILIES = {family.model_version: family.name for family in (SD1, SD2, SD2_V, SDXL, SSD)}


def network_from_file(file: LoraFile, settings: NetworkSettings, unet: nn.Module,
                      text_encoders: nn.Module | Sequence[nn.Module], checkpoint: Path, *,
                      scaled_alphas: bool = False) -> Network:
    """A network on ``unet`` and ``text_encoders`` that equals ``file``; it has only the file's layers.

    Of ``settings`` only dropout, rates and the choice of trained parts apply: untrained parts stay in the network
    unchanged. ``scaled_alphas`` moves block rates into the alphas, on top of any that the file's alphas already
    contain. Freezes the base model. Raises ``CheckpointError`` if the file is of an unsupported kind or was made for
    another model than ``checkpoint``, naming the keys; ``RunError`` if nothing would be trained.
    """
    if file.facts.problem:
        raise CheckpointError(f"{file.path} cannot be trained further: it {file.facts.problem}. Choose another LoRA.")
    broken = [name for name, tensor in file.tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(f"{file.path} cannot be trained further: {len(broken)} of its {len(file.tensors)} "
                              f"tensors hold values that are not numbers (NaN or infinity), such as {_some(broken)}. "
                              "Choose an earlier epoch of it, or another LoRA.")
    encoders = [text_encoders] if isinstance(text_encoders, nn.Module) else list(text_encoders)
    layers: dict[str, Layer] = {}
    for prefix, part in zip((UNET_PREFIX, *text_encoder_prefixes(len(encoders))), (unet, *encoders), strict=True):
        part.requires_grad_(False)
        layers |= _layers(prefix, part)
    missing = [key for key in file.facts.layers if key not in layers]
    if missing:
        raise _does_not_fit(file, checkpoint, f"{len(missing)} of its {len(file.facts.layers)} layers are not in the "
                                              f"model, such as {_some(missing)}")
    made = {key: _module_like(file, key, layers[key], settings) for key in layers if key in file.facts.layers}
    wrong = [problem for key, module in made.items() for problem in _shape_problems(key, module, file.of_layer(key))]
    if wrong:
        raise _does_not_fit(file, checkpoint, f"{len(wrong)} of its tensors have another shape than the model's "
                                              f"layers, such as {_some(wrong)}")
    for key, module in made.items():
        assert module is not None
        module.load_state_dict(_with_alpha(module, file.of_layer(key)))
        module.to(layers[key].weight.device).requires_grad_(_is_trained(key, settings))
    modules = {key: module for key, module in made.items() if module is not None}
    if not any(_is_trained(key, settings) for key in modules):
        raise RunError(f"Nothing of {file.path.name} would be trained: the settings leave out the parts that it has. "
                       "Switch off network_train_unet_only or network_train_text_encoder_only, and give some block in "
                       "block_lr_weight more than 0.")
    rates = _rates_beside(scaled_rates(file.metadata), settings.block_rates)
    if scaled_alphas:
        scale_alphas(modules, rates or {}, keep_change=True)
    return Network({key: module for key, module in modules.items() if is_unet_key(key)},
                   {key: module for key, module in modules.items() if not is_unet_key(key)},
                   rates_of(settings, None if scaled_alphas else rates))


def scaled_rates(metadata: Mapping[str, str]) -> dict[str, float] | None:
    """The block rates that a file's alphas already contain; ``None`` if there are none."""
    job = from_json(metadata.get("train_lora_job"))
    if not isinstance(job, dict) or not all(isinstance(job.get(group), dict) for group in ("network", "optimizer")):
        return None
    optimizer = OptimizerSettings(optimizer_type=str(job["optimizer"].get("optimizer_type")),
                                  optimizer_args=[str(one) for one in job["optimizer"].get("optimizer_args") or ()])
    if optimizer.optimizer_type not in OPTIMIZERS or not has_one_rate(optimizer):
        return None
    try:
        return read_blocks(str(job["network"].get("block_lr_weight") or ""))
    except ValueError:
        return None  # not a file of this version


def _rates_beside(there: Mapping[str, float] | None, wanted: Mapping[str, float] | None) -> Mapping[str, float] | None:
    """The block rates still to be applied, given those ``there`` already in the alphas."""
    if there is None:
        return wanted
    return {block: (1.0 if wanted is None else wanted[block]) / (rate or 1.0) for block, rate in there.items()}


def settings_like(facts: LoraFacts, settings: NetworkSettings) -> NetworkSettings:
    """``settings`` with the network type and sizes of the file."""
    return dataclasses.replace(settings, **facts.settings)


def _layers(prefix: str, root: nn.Module) -> dict[str, Layer]:
    modules = dict(root.named_modules())
    return {key: layer for key, path in key_table(prefix, modules).items()
            if isinstance(layer := modules[path], (nn.Linear, nn.Conv2d))}


def _module_like(file: LoraFile, key: str, layer: Layer, settings: NetworkSettings) -> NetworkModule | None:
    """A module on ``layer`` of the kind and size in ``file``; ``None`` if the layer does not support it."""
    tensors, size, kind = file.of_layer(key), file.facts.layers[key], file.facts.network_type
    options = dataclasses.replace(options_of(settings), dora="dora_scale" in tensors, rs_lora=False)
    generator = torch.Generator().manual_seed(0)  # every random initial value is replaced by the file's
    if kind == IA3:
        from .lycoris import Ia3Module
        return Ia3Module(layer, bool(tensors["on_input"]), options) if isinstance(layer, nn.Linear) else None
    assert size.dim is not None and size.alpha is not None
    if kind == LOHA:
        from .lycoris import LohaModule
        return LohaModule(layer, size.dim, size.alpha, generator, options)
    if kind == LOKR:
        return _lokr_like(tensors, layer, size.dim, size.alpha, options)
    if kind == DYLORA:
        unit = options.dylora_unit if size.dim % options.dylora_unit == 0 else file.facts.settings["dylora_unit"]
        return DyLoraModule(layer, size.dim, size.alpha, generator, dataclasses.replace(options, dylora_unit=unit))
    return LoraModule(layer, size.dim, size.alpha, generator, options)


def _lokr_like(tensors: Mapping[str, Tensor], layer: Layer, dim: int, alpha: float,
               options: ModuleOptions) -> NetworkModule | None:
    """A LoKr module whose factors are split as in ``tensors``; ``None`` if the layer cannot be split that way."""
    from lycoris.functional.general import factorization

    from .lycoris import LokrModule

    decomposed = "lokr_w1" not in tensors
    small = (len(tensors["lokr_w1_a"]), tensors["lokr_w1_b"].shape[1]) if decomposed else tensors["lokr_w1"].shape
    out, into = layer.weight.shape[:2]
    factor = next((factor for factor in (-1, *sorted(set(small), reverse=True))
                   if (factorization(out, factor)[0], factorization(into, factor)[0]) == tuple(small)), None)
    if factor is None:
        return None
    if "lokr_w2" in tensors:  # whole: any rank from half its longer side up does that
        dim = max(dim, math.ceil(max(tensors["lokr_w2"].shape[:2]) / 2))
    options = dataclasses.replace(options, lokr_factor=factor, decompose_both=decomposed)
    return LokrModule(layer, dim, alpha, torch.Generator().manual_seed(0), options)


def _shape_problems(key: str, module: NetworkModule | None, tensors: Mapping[str, Tensor]) -> list[str]:
    if module is None:
        return [f"{key} ({', '.join(_shape(tensor) for tensor in tensors.values() if tensor.ndim)})"]
    own = module.state_dict()
    problems = [f"{key}.{name} ({_shape(tensor)}; the layer needs {_shape(own[name])})"
                for name, tensor in tensors.items() if name in own and not _same_shape(name, tensor, own[name])]
    absent = {*own} - {*tensors} - {"alpha"}
    return problems + [f"{key}.{name} ({'missing' if name in absent else 'too much'})"
                       for name in sorted(absent | ({*tensors} - {*own}))]


def _same_shape(name: str, tensor: Tensor, own: Tensor) -> bool:
    if name == "dora_scale":  # (out, 1) is a different method from (1, in), even if both have the same length
        return tensor.shape == own.shape
    return tensor.squeeze().shape == own.squeeze().shape


def _with_alpha(module: NetworkModule, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A layer's tensors in the module's format: alpha always present and a scalar."""
    own = module.state_dict()
    alpha = {"alpha": own["alpha"]} if "alpha" in own else {}
    return alpha | {name: tensor.reshape(own[name].shape) for name, tensor in tensors.items()}


def _is_trained(key: str, settings: NetworkSettings) -> bool:
    if settings.network_train_text_encoder_only if is_unet_key(key) else settings.network_train_unet_only:
        return False
    block = block_of(key)
    return settings.block_rates is None or block is None or settings.block_rates[block] != 0


def _does_not_fit(file: LoraFile, checkpoint: Path, why: str) -> CheckpointError:
    version = file.metadata.get("ss_base_model_version", "")
    made_for = _FAMILIES.get(version, version) or file.metadata.get("ss_sd_model_name", "")
    known = f" The file says that it was made for {made_for}." if made_for else ""
    return CheckpointError(f"{file.path.name} does not fit {checkpoint.name}: {why}.{known} Choose a LoRA that was "
                           "trained on a model of the same family, or the checkpoint that it was trained on.")


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:_SHOWN]) + (" …" if len(texts) > _SHOWN else "")


def _shape(tensor: Tensor) -> str:
    return "x".join(str(side) for side in tensor.shape) or "a number"
