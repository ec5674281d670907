"""Makes the environment of the training worker; the webui runs this at each start, and anyone may by hand.

    python install.py               installs what is missing or out of date, unless the last try failed
    python install.py --repair      tries again whatever happened before
    python install.py --add GROUP   adds bitsandbytes, prodigy-plus, opencv, onnxruntime-gpu or onnxruntime-directml
    python install.py --skip-install
                                    does nothing, and neither with --skip-install in COMMANDLINE_ARGS

The webui's own environment is not touched, and what fails is said in one line: the webui starts all the same.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lib_lora_train import environment
from lib_lora_train.errors import TrainLoraError


def main(arguments: list[str]) -> int:
    """Run the action in ``arguments`` and print its outcome in one line; returns 1 if a requested action failed."""
    if "--skip-install" in [*arguments, *os.environ.get("COMMANDLINE_ARGS", "").split()]:
        print("Train LoRA: installing is skipped, as --skip-install says.")
        return 0
    try:
        outcome, failed = _do(arguments), False
    except TrainLoraError as problem:
        outcome, failed = str(problem), True
    except Exception as problem:  # noqa: BLE001  the webui must start in any case
        sys.excepthook(type(problem), problem, problem.__traceback__)
        outcome, failed = f"the worker's environment could not be made: {problem!r}. Please report this.", True
    print(f"Train LoRA: {outcome}")
    return 1 if failed and arguments else 0


def _do(arguments: list[str]) -> str:
    match arguments:
        case []:
            _install_unless_failed()
        case ["--repair"]:
            environment.repair(_show)
        case ["--add", group]:
            environment.add_optional(group, _show)
            return environment.check(group).reason
        case _:
            return f"{' '.join(arguments)} is not understood. {__doc__}"
    return environment.check().reason


def _install_unless_failed() -> None:
    """Install at the webui's start, unless it failed before, so that a failure does not slow down every start."""
    status = environment.check().status
    if status == "ready":
        environment.remove_superseded()
    elif status in ("missing", "outdated"):
        environment.install(_show if sys.stdout.isatty() else _show_nothing, wait=False)


def _show(sentence: str) -> None:
    print(f"Train LoRA: {sentence}", flush=True)


def _show_nothing(sentence: str) -> None:
    """Print nothing: the webui shows this program's output only after it has ended."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
