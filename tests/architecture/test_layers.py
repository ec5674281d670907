"""The rooms of the package may import only what the design allows, and torch stays where it belongs."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "lib_lora_train"
MODULES, TESTS = PACKAGE.parent / "javascript" / "modules", PACKAGE.parent / "tests"

# Room by room, what may be imported beside the room itself and the error tree. A dotted name is a single file.
ALLOWED = {
    "errors": set(),
    "files": set(),
    "environment": {"files"},
    "blocks": {"files"},
    "config": {"files", "blocks"},
    "runs": {"config", "files"},
    "advice": {"config", "blocks", "files"},
    "pictures": {"config", "files"},
    "captions": {"config", "files", "pictures", "models.tokenizer"},
    "batches": {"config", "files", "pictures", "captions.tags"},
    "tagging": {"config", "files", "pictures", "captions", "runs.events"},
    "models": {"config", "files", "runs.events", "runs.lend_ticket", "runs.process_mark"},
    "networks": {"config", "files", "blocks", "models"},
    "tools": {"config", "files", "blocks", "models", "networks", "runs.events"},
    "training": {"config", "files", "blocks", "runs", "advice", "pictures", "captions", "batches", "models", "networks",
                 "tools"},
    "diagnosis": {"config", "files", "blocks", "runs", "advice", "pictures", "captions", "batches", "models",
                  "networks", "tools", "training"},
    "host": {"config", "runs", "blocks", "files", "models.checksum"},
    "ui": {"config", "runs", "blocks", "files", "pictures", "captions", "batches", "advice", "environment",
           "networks.lora_facts", "networks.lora_family", "models.family", "models.header", "models.prediction",
           "host.interface"},
    "cli": {"environment", "config", "runs", "blocks", "files", "pictures", "captions", "batches", "tagging", "models",
            "networks", "tools", "training", "diagnosis", "advice"},
}
STANDARD_ONLY = {"errors", "environment", "files"}
HEAVY = {"torch", "diffusers", "transformers", "accelerate", "lycoris", "onnxruntime", "safetensors"}
TORCH_FREE_ROOMS = {"errors", "files", "environment", "config", "blocks", "runs", "advice", "pictures", "captions",
                    "host", "ui"}
TORCH_FREE_FILES = {"networks.metadata", "networks.lora_facts", "networks.lora_family", "models.family",
                    "models.header", "models.prediction",
                    "models.tokenizer", "batches.plan", "batches.overview", "batches.captions",
                    "batches.regularization", "batches.summary"}
MOST_FILES_IN_A_ROOM, MOST_LINES = 20, 400
SOURCE_ENDINGS = {".py", ".js", ".ts", ".mjs"}


@dataclass(frozen=True)
class Source:
    """A file of the package; ``functions`` are their names with their lengths in lines."""

    room: str
    path: Path
    imports: tuple[str, ...]
    functions: tuple[tuple[str, int], ...]
    lines: int


@functools.cache
def sources() -> tuple[Source, ...]:
    """Every file of the package, parsed once for all tests."""
    return tuple(map(source_of, sorted(PACKAGE.rglob("*.py"))))


def source_of(path: Path) -> Source:
    parts, text = path.relative_to(PACKAGE).with_suffix("").parts, path.read_text()
    room = "cli" if parts[0] in ("cli", "__main__", "demo") else parts[0]
    nodes = list(ast.walk(ast.parse(text)))
    functions = tuple((node.name, node.end_lineno - node.lineno + 1) for node in nodes
                      if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return Source(room, path, tuple(imported(path, nodes)), functions, len(text.splitlines()))


def imported(path: Path, nodes: list[ast.AST]) -> Iterator[str]:
    """Absolute dotted names of everything a file imports, wherever in the file."""
    package = ["lib_lora_train", *path.relative_to(PACKAGE).parent.parts]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield name
            if node.level or name.startswith("lib_lora_train"):
                yield from (f"{name}.{alias.name}" for alias in node.names)


def allows(room: str, target: str) -> bool:
    inside = target.removeprefix("lib_lora_train").removeprefix(".")
    if inside in ("", "__version__"):
        return True
    room_of = inside.split(".")[0]
    if room == "scripts":
        return room_of in ("ui", "host", "errors")
    return any(inside == allowed or inside.startswith(allowed + ".") or allowed.startswith(inside + ".")
               for allowed in ALLOWED[room] | {"errors", room})


def test_rooms_import_only_what_the_design_allows():
    wrong = [f"{source.path.relative_to(PACKAGE)} imports {target}"
             for source in sources() if source.room != "__init__"
             for target in source.imports if target.startswith("lib_lora_train") and not allows(source.room, target)]
    assert wrong == []


def test_an_arrow_that_the_design_does_not_draw_is_found():
    assert not allows("config", "lib_lora_train.runs.events")
    assert not allows("ui", "lib_lora_train.host.webui")
    assert not allows("training", "lib_lora_train.ui")
    assert allows("training", "lib_lora_train.networks.create")


def test_only_host_imports_the_webui():
    webui_names = {"modules", "modules_forge", "networks", "backend", "lora_patches", "network"}
    wrong = [f"{source.path.relative_to(PACKAGE)} imports {target}" for source in sources() if source.room != "host"
             for target in source.imports if target.split(".")[0] in webui_names]
    assert wrong == []


def test_torch_stays_out_of_rooms_that_run_inside_the_webui():
    wrong = []
    for source in sources():
        path = source.path.relative_to(PACKAGE)
        free = source.room in TORCH_FREE_ROOMS or ".".join(path.with_suffix("").parts) in TORCH_FREE_FILES
        if free and path.parent.name != "host":
            wrong += [f"{path} imports {target}" for target in source.imports if target.split(".")[0] in HEAVY]
    assert wrong == []


def test_environment_and_errors_need_only_the_standard_library():
    names = set(sys.stdlib_module_names)
    wrong = [f"{source.path.name} imports {target}" for source in sources() if source.room in STANDARD_ONLY
             for target in source.imports if target.split(".")[0] not in names | {"lib_lora_train"}]
    assert wrong == []


@pytest.mark.parametrize("module", ["lib_lora_train.config.load", "lib_lora_train.runs.process"])
def test_importing_a_torch_free_module_loads_no_torch(module: str):
    code = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent).returncode == 0


def test_no_file_is_longer_than_400_lines_and_none_is_called_utils():
    long = [source.path.name for source in sources() if source.lines > MOST_LINES]
    assert long == []
    assert not list(PACKAGE.rglob("utils.py"))


def test_functions_fit_on_a_screen():
    long = [f"{source.path.relative_to(PACKAGE)}:{name} has {lines} lines" for source in sources()
            for name, lines in source.functions if lines > (80 if source.room == "ui" else 60)]
    assert long == []


def test_a_room_holds_no_more_files_than_one_can_take_in():
    rooms = [folder for root in (PACKAGE, MODULES, TESTS) for folder in (root, *root.rglob("*")) if folder.is_dir()]
    files = {str(room.relative_to(PACKAGE.parent)): [path for path in room.iterdir() if path.suffix in SOURCE_ENDINGS
                                                     and path.name != "__init__.py"] for room in rooms}
    assert {room: len(found) for room, found in files.items() if len(found) > MOST_FILES_IN_A_ROOM} == {}
    assert sum(map(len, files.values())) > 400


def test_no_script_and_no_test_is_longer_than_400_lines():
    long = [f"{path.relative_to(PACKAGE.parent)}: {lines}" for root in (MODULES, TESTS) for path in root.rglob("*")
            if path.suffix in SOURCE_ENDINGS and (lines := len(path.read_text().splitlines())) > MOST_LINES]
    assert long == []
