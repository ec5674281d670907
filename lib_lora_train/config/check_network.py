"""Network settings that contradict each other or have no effect."""

from __future__ import annotations

from ..blocks.lists import named_numbers, read_blocks
from .groups.network import DYLORA, IA3, LIERLA, LOKR, NETWORK_TYPES, WITH_UP_AND_DOWN, NetworkSettings
from .groups.optimizer import OptimizerSettings
from .optimizer_args import has_one_rate

_EMPTY = NetworkSettings()
_ONLY_FOR: dict[str, tuple[str, ...]] = {
    "conv_dim": tuple(name for name in NETWORK_TYPES if name not in (LIERLA, IA3)),
    "conv_alpha": tuple(name for name in NETWORK_TYPES if name not in (LIERLA, IA3)),
    "lokr_factor": (LOKR,),
    "decompose_both": (LOKR,),
    "dylora_unit": (DYLORA,),
    "dora_wd": tuple(name for name in NETWORK_TYPES if name not in (IA3, DYLORA)),
    "rs_lora": tuple(name for name in NETWORK_TYPES if name != IA3),
    "network_dropout": WITH_UP_AND_DOWN,
    "loraplus_lr_ratio": WITH_UP_AND_DOWN,
    "block_dims": tuple(name for name in NETWORK_TYPES if name != IA3),
    "block_alphas": tuple(name for name in NETWORK_TYPES if name != IA3),
}
"""Settings that apply to these network types only; all others apply to every type."""


def without_use(network_type: str) -> dict[str, str]:
    """The settings of ``network`` that ``network_type`` does not use, each with the types that do, in words."""
    return {name: _either(kinds) for name, kinds in _ONLY_FOR.items() if network_type not in kinds}


def network_problems(network: NetworkSettings, optimizer: OptimizerSettings) -> list[str]:
    """Every conflict between the network settings, and with the optimizer, one sentence each."""
    problems = [f"network.{name} is {getattr(network, name)}, but {network.network_type} does not use it. Leave it "
                f"{_as_it_was(name)}, or choose {users}."
                for name, users in without_use(network.network_type).items()
                if getattr(network, name) != getattr(_EMPTY, name)]
    problems += [f"network.{name} is {getattr(network, name)!r}, but the sizes are those of the LoRA file in "
                 "network.network_weights. Leave one of the two empty."
                 for name in ("block_dims", "block_alphas") if network.network_weights and getattr(network, name)]
    block_problems = _block_list_problems(network)
    problems += block_problems or _size_problems(network) + _one_rate_problems(network, optimizer)
    if network.lokr_factor == 0:
        problems.append("network.lokr_factor is 0. Write -1 to split as evenly as it can, or 2 or more.")
    if network.dora_wd and network.network_dropout:
        problems.append(f"network.network_dropout is {network.network_dropout:g}, but with DoRA there is nothing to "
                        "drop between up and down. Use rank_dropout or module_dropout, or switch dora_wd off.")
    return problems


def _block_list_problems(network: NetworkSettings) -> list[str]:
    problems = []
    for name in ("block_lr_weight", "block_dims", "block_alphas"):
        try:
            values = read_blocks(getattr(network, name))
        except ValueError as problem:
            problems.append(f"network.{name} is {getattr(network, name)!r}. {problem}")
            continue
        below = [f"{block} {value:g}" for block, value in named_numbers(getattr(network, name)).items() if value < 0]
        if below and name != "block_lr_weight":
            problems.append(f"network.{name} has {', '.join(below)}. Write numbers from 0 up.")
        if name == "block_dims" and values and (wrong := [v for v in values.values() if v % 1 or v > 768]):
            problems.append(f"network.block_dims has {wrong[0]:g}. A dim is a whole number up to 768.")
        if name != "block_alphas" and values and not any(values.values()):
            problems.append(f"network.{name} is 0 for every block, so nothing would be trained. Give some more than 0.")
    return problems


def _size_problems(network: NetworkSettings) -> list[str]:
    """Alphas above their dim, and dims that DyLoRA cannot divide. Skipped when continuing from a LoRA file."""
    if network.network_type == IA3 or network.network_weights:
        return []
    if network.alpha > network.network_dim:
        return [f"network.network_alpha is {network.network_alpha:g}, higher than network_dim {network.network_dim}: "
                f"that burns the LoRA. Use {network.network_dim} or less."]
    problems: list[str] = []
    blocks: list[str | None] = [None, *(read_blocks(network.block_dims or network.block_alphas) or ())]
    for block in blocks[1:] or blocks:
        for spatial in (False, True) if network.network_type in _ONLY_FOR["conv_dim"] else (False,):
            problems += _problems_of_size(network, block, spatial)
    return list(dict.fromkeys(problems))


def _problems_of_size(network: NetworkSettings, block: str | None, spatial: bool) -> list[str]:
    size = network.size_of(block, spatial=spatial)
    if size is None:
        return []
    dim, alpha = size
    name = "conv_" if spatial and (network.conv_dim or network.conv_alpha is not None) else "network_"
    where = f" of block {block}" if block and (network.block_dims or network.block_alphas) else ""
    problems = []
    if alpha > dim * (1 + 1e-6):
        problems.append(f"network: the alpha {alpha:g}{where} is higher than its {name}dim {dim}, which burns the "
                        f"LoRA. Use {dim} or less.")
    if network.network_type == DYLORA and dim % network.dylora_unit:
        problems.append(f"network.dylora_unit is {network.dylora_unit}, which does not divide the {name}dim "
                        f"{dim}{where}. Choose dims that are a multiple of it.")
    return problems


def _one_rate_problems(network: NetworkSettings, optimizer: OptimizerSettings) -> list[str]:
    optimizer_type = optimizer.optimizer_type
    if not has_one_rate(optimizer):
        return []
    problems = []
    if (network.loraplus_lr_ratio or 1) != 1:
        problems.append(f"network.loraplus_lr_ratio is {network.loraplus_lr_ratio:g}, but {optimizer_type} supports "
                        f"only one learning rate. Leave it empty, or choose an optimizer such as AdamW.")
    factors = {factor for factor in (read_blocks(network.block_lr_weight) or {}).values() if factor}
    if factors - {1.0} and network.network_type == IA3:
        problems.append(f"network.block_lr_weight gives blocks different rates, but {optimizer_type} supports only "
                        f"one, "
                        f"and {IA3} has no alpha to scale instead. Use 0 and 1 only, or choose an optimizer such as "
                        "AdamW.")
    return problems


def _as_it_was(name: str) -> str:
    default = getattr(_EMPTY, name)
    if default is False:
        return "off"
    return "empty" if default in (None, "") else f"at {default:g}"


def _either(kinds: tuple[str, ...]) -> str:
    return kinds[0] if len(kinds) == 1 else f"{', '.join(kinds[:-1])} or {kinds[-1]}"
