"""The three shells that scripts are written for, and how they join lines, quote and name variables."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """``escape`` takes the next sign as it is; before the end of a line it joins the next one to it."""

    name: str
    escape: str
    single_quotes: bool = True


JOINED = "\v"
"""Stands where two lines were joined, so that lines can still be counted."""

BASH = Dialect("bash", "\\")
POWERSHELL = Dialect("PowerShell", "`")
BATCH = Dialect("batch", "^", single_quotes=False)

_POWERSHELL = re.compile(r"^\s*(?:\[\w+\]\s*)?\$(?:env:)?\w+\s*\+?=(?!=)|`[ \t]*$|\$env:|"
                         r"^\s*(?:param\s*\(|Set-Location)", re.MULTILINE | re.IGNORECASE)
_BATCH = re.compile(r"^\s*@echo|^\s*set\s+(?:/a\s+)?\"?\w+=|\^[ \t]*$|%\w+%|^\s*rem\s", re.MULTILINE | re.IGNORECASE)
_BASH = re.compile(r"^#!.*sh|\\[ \t]*$|^\s*(?:export|local|declare)\s", re.MULTILINE)


def dialect_of(text: str) -> Dialect:
    """The shell that ``text`` is written for, by the signs that only it has; bash if nothing tells."""
    counts = {dialect: len(sign.findall(text)) for dialect, sign in (
        (BASH, _BASH), (POWERSHELL, _POWERSHELL), (BATCH, _BATCH))}
    return max(counts, key=lambda dialect: counts[dialect])


def joined(text: str, dialect: Dialect) -> str:
    """``text`` with lines joined where the shell would join them, also where spaces stand after the sign."""
    return re.sub(re.escape(dialect.escape) + r"[ \t]*(?:\n|\Z)", f" {JOINED}", text.replace("\r\n", "\n"))
