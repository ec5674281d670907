"""The three supported shells, and how they continue lines, quote and name variables."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """``escape`` makes the next character literal; at the end of a line it continues the line."""

    name: str
    escape: str
    single_quotes: bool = True


JOINED = "\v"
"""Marks a joined line, so that line numbers stay correct."""

BASH = Dialect("bash", "\\")
POWERSHELL = Dialect("PowerShell", "`")
BATCH = Dialect("batch", "^", single_quotes=False)

_POWERSHELL = re.compile(r"^[ \t]*(?:\[\w+\][ \t]*)?\$(?:env:)?\w+[ \t]*\+?=(?!=)|`[ \t]*$|\$env:|"
                         r"^[ \t]*(?:param[ \t]*\(|Set-Location)", re.MULTILINE | re.IGNORECASE)
_BATCH = re.compile(r"^[ \t]*@echo|^[ \t]*set[ \t]+(?:/a[ \t]+)?\"?\w+=|\^[ \t]*$|%\w+%|^[ \t]*rem\s",
                    re.MULTILINE | re.IGNORECASE)
_BASH = re.compile(r"^#!.*sh|\\[ \t]*$|^[ \t]*(?:export|local|declare)\s", re.MULTILINE)


def dialect_of(text: str) -> Dialect:
    """The shell that ``text`` is written for, detected from its syntax; bash if undecided."""
    counts = {dialect: len(sign.findall(text)) for dialect, sign in (
        (BASH, _BASH), (POWERSHELL, _POWERSHELL), (BATCH, _BATCH))}
    return max(counts, key=lambda dialect: counts[dialect])


def joined(text: str, dialect: Dialect) -> str:
    """``text`` with continued lines joined, also where spaces follow the continuation character."""
    return re.sub(re.escape(dialect.escape) + r"[ \t]*(?:\n|\Z)", f" {JOINED}", text.replace("\r\n", "\n"))
