"""Converts ``network_module`` and its arguments to a network type, sizes and block lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..groups.network import C3LIER, DYLORA, IA3, LIERLA, LOCON, LOHA, LOKR
from .block_weights import take_block_lists
from .taking import Option, Options, Taking

NAMES = ("network_module", "network_args", "network_dim", "network_alpha", "dim_from_weights")
_MODULES = {"networks.lora": LIERLA, "networks.dylora": DYLORA, "networks.lora_fa": LIERLA, "networks.loha": LOHA,
            "networks.lokr": LOKR, "lycoris.kohya": LOCON, "lycoris.locon_kohya": LOCON, "locon.locon_kohya": LOCON,
            "lycoris.locon": LOCON}
_ALGORITHMS = {"lora": LOCON, "locon": LOCON, "loha": LOHA, "lokr": LOKR, "ia3": IA3, "dylora": DYLORA}
_DEFAULT_DIM = 4
_DIRECT = {"rank_dropout": "rank_dropout", "module_dropout": "module_dropout", "dropout": "network_dropout"}
_OF_KIND = {"factor": (LOKR, "lokr_factor"), "decompose_both": (LOKR, "decompose_both"),
            "unit": (DYLORA, "dylora_unit"), "block_size": (DYLORA, "dylora_unit")}
_SWITCHED_OFF = {
    "use_tucker": "Tucker decomposition", "use_cp": "Tucker decomposition", "use_conv_cp": "Tucker decomposition",
    "use_scalar": "a trained scale of each layer", "train_norm": "training norm layers",
    "rank_dropout_scale": "rescaling after rank dropout", "full_matrix": "whole matrices in LoKR",
    "bypass_mode": "bypass mode", "unbalanced_factorization": "unbalanced factors in LoKR", "rescaled": "rescaled OFT",
    "constraint": "a constraint of OFT", "constrain": "a constraint of OFT", "train_t5xxl": "a T5 text encoder",
    "wd_on_output": "", "train_on_input": ""}
_LORAPLUS = ("loraplus_lr_ratio", "loraplus_unet_lr_ratio", "loraplus_text_encoder_lr_ratio")


def take(options: Options, taking: Taking, sdxl: bool) -> frozenset[str]:
    """Import the network options; returns their names."""
    arguments = _arguments(options.get("network_args"), taking)
    given = {name: argument.value for name, argument in arguments.items()}
    kind = _take_kind(options, given, taking)
    _take_sizes(options, kind, taking)
    _take_conv(kind, arguments, taking)
    lists = take_block_lists(arguments, taking, sdxl)
    for name, argument in arguments.items():
        if name not in ("algo", "preset", "conv_dim", "conv_alpha", *_LORAPLUS, *lists):
            _take_argument(name, argument, kind, taking)
    _take_loraplus(arguments, taking)
    return frozenset(NAMES)


def _arguments(option: Option | None, taking: Taking) -> dict[str, Option]:
    """The arguments by name; those that are not name=value are reported."""
    if option is None:
        return {}
    value: Any = option.value
    if isinstance(value, Mapping):
        value = [f"{name}={_text(item)}" for name, item in value.items()]
    items = value if isinstance(value, (list, tuple)) else str(value or "").split()
    found: dict[str, Option] = {}
    for item in items:
        name, equals, text = str(item).strip().strip("\"'").partition("=")
        shown = f"{option.shown} {name}".strip()
        if not equals:
            taking.not_known(Option(shown, item, option.given))
        else:
            found[name.strip()] = Option(shown, text.strip().strip("\"'"), option.given)
    return found


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _take_kind(options: Options, given: Mapping[str, Any], taking: Taking) -> str:
    option = options.get("network_module")
    module = "networks.lora" if option is None or option.is_off else str(option.value).strip()
    algorithm, preset = str(given.get("algo") or "lora").lower(), str(given.get("preset") or "full")
    kind, why = _MODULES.get(module), ""
    if kind is None:
        kind, why = LIERLA, f"{module} is not available here."
    if module == "networks.lora_fa":
        why = "LoRA-FA, which trains one of the two matrices only, is not available here."
    if kind == LOCON and (module == "lycoris.kohya" or "algo" in given):
        kind = _ALGORITHMS.get(algorithm, LOCON)
        if algorithm not in _ALGORITHMS:
            why = f"{algorithm} is not available here; LoCon is the nearest."
    elif kind == LIERLA and _has_conv(given):
        kind = C3LIER
    if kind == LOCON and "attn" in preset:
        kind, why = LIERLA, f"The preset {preset} leaves the convolutions out, as LoRA-LierLa does."
    elif kind not in (LIERLA, C3LIER) and preset not in ("full", "ia3"):
        why = f"{why} The preset {preset} is not available here; every layer of the type is trained.".strip()
    shown = [f"{name}={given[name]}" for name in ("algo", "preset") if name in given]
    name = option.shown if option is not None else "network_module"
    taking.take(Option(name, " ".join([module, *shown])), {"network.network_type": kind}, why)
    return kind


def _has_conv(given: Mapping[str, Any]) -> bool:
    return any(str(given.get(name) or "0").strip() not in ("", "0", "None") for name in ("conv_dim", "conv_block_dims"))


def _take_sizes(options: Options, kind: str, taking: Taking) -> None:
    dim, alpha, from_file = (options.get(name) for name in ("network_dim", "network_alpha", "dim_from_weights"))
    if from_file is not None:
        taking.not_needed(from_file, "A LoRA that is trained further always keeps its type and sizes.")
    if dim is not None and not dim.is_off:
        taking.take(dim, {"network.network_dim": dim.value})
    else:
        taking.take_default("network_dim", "network.network_dim", _DEFAULT_DIM, "By default, sd-scripts uses rank 4.")
    if alpha is not None and alpha.value not in (None, ""):
        taking.take(alpha, {"network.network_alpha": alpha.value})
    else:
        taking.take_default("network_alpha", "network.network_alpha", 1.0, "By default, sd-scripts uses alpha 1.")


def _take_conv(kind: str, arguments: Mapping[str, Option], taking: Taking) -> None:
    """LyCORIS treats 0 and missing as network_dim and network_alpha; networks.lora treats a missing alpha as 1."""
    dim, alpha = arguments.get("conv_dim"), arguments.get("conv_alpha")
    if kind in (LIERLA, IA3):
        for option in (dim, alpha):
            if option is not None:
                taking.not_needed(option, f"{kind} has no 3x3 convolutions.")
        return
    if dim is not None:
        taking.take(dim, {"network.conv_dim": None if dim.is_off else dim.value})
    plain = kind == C3LIER or (kind == DYLORA and dim is None)
    if alpha is not None:
        value: Any = alpha.value if not alpha.is_off else (1.0 if plain else None)
        taking.take(alpha, {"network.conv_alpha": value})
    if taking.values.get("network.conv_alpha") is None and taking.values.get("network.conv_dim") is not None:
        value = 1.0 if kind == C3LIER else taking.values.get("network.network_alpha", 1.0)
        taking.take_default("conv_alpha", "network.conv_alpha", value, f"The default there is {value:g}.")


def _take_argument(name: str, argument: Option, kind: str, taking: Taking) -> None:
    if name in _DIRECT:
        taking.take(argument, {f"network.{_DIRECT[name]}": argument.value or 0})
    elif name in _OF_KIND:
        needed, setting = _OF_KIND[name]
        if kind == needed:
            taking.take(argument, {f"network.{setting}": argument.value})
        else:
            taking.not_needed(argument, f"{kind} has no use for it.")
    elif name in ("dora_wd", "weight_decompose", "rs_lora"):
        taking.take(argument, {"network.rs_lora" if name == "rs_lora" else "network.dora_wd": argument.value})
    elif name in ("disable_conv_cp",):
        taking.not_needed(argument, "Convolutions are never decomposed further here.")
    elif name in _SWITCHED_OFF:
        if argument.is_off or not _SWITCHED_OFF[name]:
            taking.not_needed(argument, "It is not used there either." if argument.is_off else
                              "It is so here too where it applies.")
        else:
            taking.drop(argument, f"{_SWITCHED_OFF[name][0].upper()}{_SWITCHED_OFF[name][1:]} is not available here.")
    else:
        taking.not_known(argument, (*_DIRECT, *_OF_KIND, *_SWITCHED_OFF, *_LORAPLUS, "algo", "preset", "conv_dim",
                                    "conv_alpha", "dora_wd", "rs_lora"))


def _take_loraplus(arguments: Mapping[str, Option], taking: Taking) -> None:
    """A single ratio for both parts; the UNet's where they differ."""
    given = [arguments[name] for name in _LORAPLUS if name in arguments]
    used = [option for option in given if not option.is_off]
    if not used:
        for option in given:
            taking.not_needed(option, "It is not used there either.")
        return
    best = next((arguments[name] for name in ("loraplus_unet_lr_ratio", "loraplus_lr_ratio") if arguments.get(
        name) in used), used[0])
    alone = "" if best.shown.endswith(" loraplus_lr_ratio") else "The ratio holds for the text encoder too here."
    for option in given:
        if option is best:
            taking.take(option, {"network.loraplus_lr_ratio": option.value}, alone)
        elif str(option.value) == str(best.value):
            taking.not_needed(option, "It is the same as for the other part.")
        else:
            taking.drop(option, "There is one ratio for UNet and text encoder here.")
