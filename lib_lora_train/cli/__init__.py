"""The command line of the worker."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..errors import ConfigError


def run_command(arguments: list[str]) -> int:
    """Run the command at the start of ``arguments``; returns the exit status.

    Raises ``ConfigError`` if there is no such command.
    """
    commands: dict[str, Callable[[list[str]], int]] = {"train": _train, "tag": _tag, "mask": _mask, "knows": _knows,
                                                        "settings": _settings,
                                                        "bake": _bake, "import": _import, "export": _export,
                                                        "demo": _demo, "diagnose": _diagnose, "install": _install,
                                                        "inspect": _inspect, "plan": _plan, "bases": _bases}
    for tool in ("extract", "merge", "mix", "resize"):
        commands[tool] = partial(_tool, tool)
    command = commands.get(arguments[0])
    if command is None:
        raise ConfigError(f"There is no command {arguments[0]!r}. There are: {', '.join(commands)}.")
    return command(arguments[1:])


def _train(arguments: list[str]) -> int:
    from .train import train_command
    return train_command(arguments)


def _tag(arguments: list[str]) -> int:
    from .tag import tag_command
    return tag_command(arguments)


def _mask(arguments: list[str]) -> int:
    from .mask import mask_command
    return mask_command(arguments)


def _diagnose(arguments: list[str]) -> int:
    from .diagnose import diagnose_command
    return diagnose_command(arguments)


def _knows(arguments: list[str]) -> int:
    from .knows import knows_command
    return knows_command(arguments)


def _plan(arguments: list[str]) -> int:
    from .plan import plan_command
    return plan_command(arguments)


def _bake(arguments: list[str]) -> int:
    from .bake import bake_command
    return bake_command(arguments)


def _import(arguments: list[str]) -> int:
    from .settings_of_others import import_command
    return import_command(arguments)


def _export(arguments: list[str]) -> int:
    from .settings_of_others import export_command
    return export_command(arguments)


def _tool(command: str, arguments: list[str]) -> int:
    from .tools import tool_command
    return tool_command(command, arguments)


def _inspect(arguments: list[str]) -> int:
    from .inspect import inspect_command
    return inspect_command(arguments)


def _bases(arguments: list[str]) -> int:
    from .bases import bases_command
    return bases_command(arguments)


def _settings(arguments: list[str]) -> int:
    from .settings import settings_command
    return settings_command(arguments)


def _install(arguments: list[str]) -> int:
    from .usage import options_of
    options_of("install", arguments)
    print("The worker's environment is ready.")  # installed before any command runs
    return 0


def _demo(arguments: list[str]) -> int:
    from .demo import demo_command
    return demo_command(arguments)
