"""``settings``: prints a job file with every setting explained, as a starting point."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping

from ..config.groups.knows import KnowsJob
from ..config.job import GROUPS
from ..config.mask_job import MaskJob
from ..config.setting import SettingField, fields_of, groups_of
from ..config.tag_job import TagJob
from ..config.text_yaml import write_yaml
from ..config.tool_jobs import TOOL_JOBS
from .usage import options_of


def settings_command(arguments: list[str]) -> int:
    """Print the job file."""
    options = options_of("settings", arguments)
    if options.kind in TOOL_JOBS:
        for field in fields_of("", TOOL_JOBS[options.kind]):
            print(explained(field))
        return 0
    kinds = {"mask": MaskJob, "tag": TagJob, "knows": KnowsJob}
    groups = GROUPS if options.kind == "train" else groups_of(kinds[options.kind])
    if options.markdown:
        print(markdown_table(groups))
        return 0
    for group, group_type in groups.items():
        print(f"{group}:")
        for field in fields_of(group, group_type):
            print(textwrap.indent(explained(field), "  "))
    return 0


def explained(field: SettingField) -> str:
    """Return one setting as YAML, with its help, range and advice as comments above it."""
    info = field.info
    lines = textwrap.wrap(f"{info.help} {info.advice}".strip(), 106)
    if info.choices:
        lines.append(f"One of: {', '.join(info.choices)}")
    elif info.minimum is not None and info.maximum is not None:
        lines.append(f"From {info.minimum:g} to {info.maximum:g}{' ' + info.unit if info.unit else ''}")
    value = write_yaml({field.name: field.default}).rstrip()
    return "\n".join([*(f"# {line}" for line in lines), value])


def markdown_table(groups: Mapping[str, type] = GROUPS) -> str:
    """Return a Markdown table of every setting with its default, its name in sd-scripts and the advice."""
    rows = ["| setting | default | in sd-scripts | what it does, and advice |", "|---|---|---|---|"]
    for field in (field for group, group_type in groups.items() for field in fields_of(group, group_type)):
        default = "" if field.default in (None, "", []) else f"`{field.default}`"
        theirs = "same" if field.sd_scripts_name == field.name else f"`{field.sd_scripts_name}`"
        choices = f" One of: {', '.join(field.info.choices)}." if field.info.choices else ""
        words = f"{field.info.help} {field.info.advice}".strip() + choices
        rows.append(f"| `{field.key}` | {default} | {theirs} | {_in_cell(words)} |")
    return "\n".join(rows)


def _in_cell(text: str) -> str:
    """Escape ``text`` for a cell of a Markdown table."""
    return re.sub(r"([|*<\\])", r"\\\1", text)
