"""Metadata about a file's network, under sd-scripts' keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..config.groups.network import C3LIER, DYLORA, IA3, LIERLA, LOCON, LOHA, LOKR, NetworkSettings

# sd-scripts' module for each network type; the webui shows it as "Kohya module"
_NETWORK_MODULES = {LIERLA: "networks.lora", C3LIER: "networks.lora"}
_LYCORIS_MODULE = "lycoris.kohya"
_ALGORITHMS = {LOCON: "locon", LOHA: "loha", LOKR: "lokr", IA3: "ia3", DYLORA: "dylora"}


def network_metadata(network: NetworkSettings) -> dict[str, str]:
    """The ``ss_network_`` keys of a file with ``network``."""
    return as_texts({
        "ss_network_module": _NETWORK_MODULES.get(network.network_type, _LYCORIS_MODULE),
        "ss_network_args": _network_arguments(network) or None,
        "ss_network_dim": network.network_dim,
        "ss_network_alpha": network.alpha,
        "ss_network_dropout": network.network_dropout or None,
        "ss_scale_weight_norms": network.scale_weight_norms,
    })


def _network_arguments(network: NetworkSettings) -> dict[str, Any]:
    """Differences from a plain LoRA, under the names of sd-scripts' and LyCORIS' network_args."""
    arguments = {"algo": _ALGORITHMS.get(network.network_type), "conv_dim": network.conv_dim,
                 "conv_alpha": network.conv_alpha, "dora_wd": network.dora_wd, "rs_lora": network.rs_lora,
                 "rank_dropout": network.rank_dropout, "module_dropout": network.module_dropout,
                 "loraplus_lr_ratio": network.loraplus_lr_ratio, "block_lr_weight": network.block_lr_weight,
                 "block_dims": network.block_dims, "block_alphas": network.block_alphas}
    if network.network_type == LOKR:
        arguments |= {"factor": network.lokr_factor, "decompose_both": network.decompose_both}
    if network.network_type == DYLORA:
        arguments["unit"] = network.dylora_unit
    return {name: value for name, value in arguments.items() if value}


def as_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Metadata values as strings, as safetensors requires: mappings as JSON, ``None`` omitted."""
    return {key: json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else str(value)
            for key, value in values.items() if value is not None}
