"""Reads a webui's source without running it: what a module defines, and what its functions take."""

from __future__ import annotations

import ast
from pathlib import Path

_LORA_FOLDERS = ("Lora", "sd_forge_lora")


def source(root: Path, name: str) -> Path:
    """A module of the webui; the Lora extension's lie in their own folder."""
    inside = [root / "extensions-builtin" / folder / name for folder in _LORA_FOLDERS]
    return next((path for path in inside if path.exists()), root / name)


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


def fields_set(module: ast.Module, owner: str) -> set[str]:
    """What the constructor of a class sets."""
    return {node.attr for node in ast.walk(function(module, f"{owner}.__init__")) if isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == "self"}
