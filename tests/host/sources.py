"""Reads a webui's source without running it: what a module defines, and what its functions take."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STANDIN = Path(__file__).resolve().parents[1] / "standin"
_STANDIN_FORGE = STANDIN.with_name("standin_forge")
_LORA_FOLDERS = ("Lora", "sd_forge_lora")


def source(root: Path, name: str) -> Path:
    """A module of the webui; the Lora extension's lie in their own folder.

    The stand-ins of Forge's kind have only what differs; the rest is that of A1111's.
    """
    inside = [root / "extensions-builtin" / folder / name for folder in _LORA_FOLDERS]
    found = next((path for path in inside if path.exists()), root / name)
    return STANDIN / name if _STANDIN_FORGE in root.parents and not found.exists() else found


def tree(root: Path, name: str) -> ast.Module:
    return ast.parse(source(root, name).read_text(encoding="utf-8"))


def defined(module: ast.Module) -> set[str]:
    """The names that a module has at its top level."""
    names: set[str] = set()
    for node in module.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(target.id for target in targets if isinstance(target, ast.Name))
    return names


def used_in(*paths: Path) -> list[tuple[str, str]]:
    """Every ``module.name`` of the webui that the code in ``paths`` mentions."""
    pairs = set()
    for path in paths:
        code = ast.parse(path.read_text(encoding="utf-8"))
        modules = {alias.asname or alias.name for node in ast.walk(code)
                   if isinstance(node, ast.ImportFrom) and node.module == "modules" for alias in node.names}
        pairs |= {(node.value.id, node.attr) for node in ast.walk(code)
                  if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules}
    return sorted(pairs)


def function(module: ast.Module, dotted: str) -> ast.FunctionDef:
    *owner, name = dotted.split(".")
    body = module.body
    for part in owner:
        body = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == part).body
    return next(node for node in body if isinstance(node, ast.FunctionDef) and node.name == name)


def fits(module: ast.Module, dotted: str, arguments: list[str]) -> bool:
    """Whether a function's first arguments are called so, and none but those has to be given."""
    found = function(module, dotted).args
    names = [argument.arg for argument in [*found.posonlyargs, *found.args]]
    return names[:len(arguments)] == arguments and len(names) - len(found.defaults) <= len(arguments)


@dataclass(frozen=True)
class Contract:
    """What the host uses of one kind of webui, and the webuis that it is compared with.

    ``names`` are (module, name), ``calls`` (file, function, the arguments it is called with), ``fields`` (file, class,
    what its constructor sets), ``texts`` (file, text), for the ``real`` ones only: a stand-in sets these elsewhere.
    """

    standins: tuple[Path, ...]
    real: tuple[Path, ...]
    names: tuple[tuple[str, str], ...]
    calls: tuple[tuple[str, str, list[str]], ...]
    fields: tuple[tuple[str, str, set[str]], ...]
    texts: tuple[tuple[str, str], ...]
    real_names: tuple[tuple[str, str], ...] = ()
    real_calls: tuple[tuple[str, str, list[str]], ...] = ()

    def cases(self, kind: str) -> list[tuple[Any, ...]]:
        """Everything of one kind, with each root that it is compared with."""
        everywhere = [] if kind == "texts" else [(root, *one) for root in (*self.standins, *self.real)
                                                 for one in getattr(self, kind)]
        only_real = getattr(self, "texts" if kind == "texts" else f"real_{kind}", ())
        return everywhere + [(root, *one) for root in self.real for one in only_real]


def fields_set(module: ast.Module, owner: str) -> set[str]:
    """What the constructor of a class sets."""
    return {node.attr for node in ast.walk(function(module, f"{owner}.__init__")) if isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == "self"}
