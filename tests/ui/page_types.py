"""Compares real answers with the page's types of them, by letting TypeScript look at the answers as literals."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_ROUTES = ROOT / "javascript" / "modules" / "core" / "routes"
_TYPESCRIPT = ROOT / "node_modules" / "typescript" / "bin" / "tsc"
_OPTIONS = ("--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "es2022",
            "--moduleResolution", "bundler", "--lib", "es2022,dom,dom.iterable")


def type_errors(folder: Path, answers: Sequence[tuple[str, bool, Any]]) -> list[str]:
    """What is wrong with ``answers`` (route, whether it was asked with a body, JSON); ``folder`` is written to.

    A field that is missing, of another kind, or not in the type is wrong.
    """
    lines = [f"import type {{Answer}} from {json.dumps(_ROUTES.as_posix())};"]
    for number, (route, posted, answer) in enumerate(answers):
        options = "{body: {}}" if posted else "{}"
        lines.append(f"export const answer{number}: Answer<{json.dumps(route)}, {options}> = {json.dumps(answer)};")
    file = folder / "answers.ts"
    file.write_text("\n".join(lines), encoding="utf-8")
    node = Path(sys.executable).with_name("node.exe" if sys.platform == "win32" else "node")
    done = subprocess.run([node, _TYPESCRIPT, *_OPTIONS, file], capture_output=True, text=True, check=False, cwd=folder)
    assert "error TS6053" not in done.stdout, "TypeScript is missing. Run: python tests/run.py lint"
    assert done.returncode == 0 or done.stdout, done.stderr
    return [_named(line, answers) for line in done.stdout.splitlines() if line.strip()]


def _named(line: str, answers: Sequence[tuple[str, bool, Any]]) -> str:
    """``line`` with the route that it is about in place of the file's line."""
    place, bracket, rest = line.partition("(")
    number = rest.partition(",")[0]
    return f"{answers[int(number) - 2][0]}: {rest}" if bracket and place.endswith(".ts") and number.isdigit() else line
