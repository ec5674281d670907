"""The settings of a job as TypeScript, for checking the page; ``python -m tests.ui.settings_types`` writes the file."""

from __future__ import annotations

import json
from pathlib import Path

from lib_lora_train.config.job import GROUPS
from lib_lora_train.config.setting import SettingField, fields_of

FILE = Path(__file__).resolve().parents[2] / "javascript" / "modules" / "train" / "job.d.ts"
_TYPES = {"int": "number", "float": "number", "bool": "boolean", "str": "string", "List[str]": "string[]",
          "List[float]": "number[]", "List[Dict[str, Any]]": "import(\"./values\").Phase[]"}
_WIDTH = 120


def settings_types() -> str:
    """An interface for each group of settings and one for the whole job, in which every group may be left out."""
    lines = ["/** The settings of a job; made by tests/ui/settings_types.py from lib_lora_train/config. */", ""]
    for group, group_type in GROUPS.items():
        lines += [f"export interface {group_type.__name__} {{"]
        for field in fields_of(group, group_type):
            lines += _field(field)
        lines += ["}", ""]
    groups = [f"    {group}?: Partial<{group_type.__name__}>;" for group, group_type in GROUPS.items()]
    return "\n".join([*lines, "export interface Job {", *groups, "}", ""])


def _field(field: SettingField) -> list[str]:
    optional = field.type_name.startswith("Optional[")
    inner = field.type_name[len("Optional["):-1] if optional else field.type_name
    choices = [json.dumps(choice) for choice in field.info.choices]
    kind = "|".join(choices) if choices and inner == "str" else _TYPES[inner]
    line = f"    {field.name}: {kind}{'|null' if optional else ''};"
    if len(line) <= _WIDTH:
        return [line]
    several = [*choices, "null"] if optional else choices
    return [f"    {field.name}:", *(f"        |{choice}" for choice in several), "    ;"]


if __name__ == "__main__":
    FILE.write_text(settings_types(), encoding="utf-8")
