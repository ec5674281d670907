"""The form of the Train tab as JSON, generated from the settings' fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...config.importing.option_table import LEFT_OUT, NOT_NEEDED
from ...config.job import GROUPS, all_settings
from ...config.optimizer_facts import OPTIMIZERS
from ...config.phases.read import PHASES
from ...config.phases.rules import changeable_settings
from ...config.setting import SettingField, fields_of

_SECTION_OF_GROUP = {"base": "Model", "dataset": "Dataset", "network": "Network", "optimizer": "Optimizer",
                     "scheduler": "Schedule", "loss": "Loss", "training": "Memory", "save": "Saving",
                     "sample": "Samples", "diagnosis": "Diagnosis"}


def form_schema() -> dict[str, Any]:
    """Return every group and setting of a training job as ``schema_of`` does, and the optimizers' usual rates.

    ``phase_settings`` are the keys that a training phase can change.
    """
    optimizers = {name: {"rate": facts.usual_rate, "adaptive": facts.adaptive} for name, facts in OPTIMIZERS.items()}
    return {**schema_of(GROUPS), "optimizers": optimizers, "options": _without_setting(),
            "phase_settings": changeable_settings()}


def _without_setting() -> dict[str, str]:
    """Return sd-scripts' options without a setting here, with the reason; the form's search finds them."""
    own = {field.name for field in all_settings()}
    return {name: why for name, why in sorted({**NOT_NEEDED, **LEFT_OUT}.items()) if name not in own}


def schema_of(groups: Mapping[str, type]) -> dict[str, Any]:
    """Return every group and setting of a kind of job: ``{"groups": [{"name", "text", "settings": [...]}]}``."""
    return {"groups": [{"name": group, "text": (group_type.__doc__ or "").strip(),
                        "settings": [_control(field) for field in fields_of(group, group_type)]}
                       for group, group_type in groups.items()]}


def _control(field: SettingField) -> dict[str, Any]:
    kind, optional = _kind(field.type_name)
    info = field.info
    return {"key": field.key, "group": field.group, "name": field.name, "label": field.label, "type": kind,
            "optional": optional, "default": field.default, "help": info.help, "advice": info.advice,
            "unit": info.unit, "minimum": info.minimum, "maximum": info.maximum, "choices": list(info.choices),
            "view": info.view, "section": info.section or _SECTION_OF_GROUP.get(field.group, ""),
            "sd_scripts": field.sd_scripts_name, "path": info.path}


def _kind(type_name: str) -> tuple[str, bool]:
    optional = type_name.startswith("Optional[")
    inner = type_name[len("Optional["):-1] if optional else type_name
    return {"List[str]": "texts", "List[float]": "numbers", PHASES: "phases"}.get(inner, inner), optional
