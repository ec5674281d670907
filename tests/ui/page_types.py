"""Compares real answers with the page's types of them, by letting TypeScript look at the answers as literals."""

from __future__ import annotations

import atexit
import functools
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_ROUTES = ROOT / "javascript" / "modules" / "core" / "routes"
_TYPESCRIPT = ROOT / "node_modules" / "typescript"
_OPTIONS = ("--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "es2022",
            "--moduleResolution", "bundler", "--lib", "es2022,dom,dom.iterable")
_CHECKER = """
const [typescript, ...given] = process.argv.slice(1);
const ts = require(typescript), {options} = ts.parseCommandLine(given), host = ts.createCompilerHost(options);
const read = host.getSourceFile, known = new Map();  // TypeScript's own files and the page's are read once
require("readline").createInterface({input: process.stdin}).on("line", (file) => {
    host.getSourceFile = (name, ...more) => {
        if (!known.has(name)) known.set(name, read(name, ...more));
        return known.get(name);
    };
    const found = ts.getPreEmitDiagnostics(ts.createProgram([file], options, host));
    known.delete(file);
    console.log(JSON.stringify(ts.formatDiagnostics(found, host)));
});
"""


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
    checker = _checker()
    assert checker.stdin is not None and checker.stdout is not None
    checker.stdin.write(f"{file.as_posix()}\n")
    checker.stdin.flush()
    found = checker.stdout.readline()
    assert found, "TypeScript is missing. Run: python tests/run.py lint"
    return [_named(line, answers) for line in json.loads(found).splitlines() if line.strip()]


@functools.cache
def _checker() -> subprocess.Popen[str]:
    """Answers the path of a file with its errors, and starts once: to read TypeScript's own files takes 0.6 s."""
    node = Path(sys.executable).with_name("node.exe" if sys.platform == "win32" else "node")
    made = subprocess.Popen([node, "-e", _CHECKER, "--", _TYPESCRIPT, *_OPTIONS], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, encoding="utf-8")
    atexit.register(made.kill)
    return made


def _named(line: str, answers: Sequence[tuple[str, bool, Any]]) -> str:
    """``line`` with the route that it is about in place of the file's line."""
    place, bracket, rest = line.partition("(")
    number = rest.partition(",")[0]
    return f"{answers[int(number) - 2][0]}: {rest}" if bracket and place.endswith(".ts") and number.isdigit() else line
