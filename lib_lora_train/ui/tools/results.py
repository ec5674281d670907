"""A tool's results for the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import RunError
from ...files.json_file import DamagedFileError, read_object
from ...runs.folder import INSPECT, TOOLS, RunFolder

_MOST_BYTES = 32 << 20
_LONGEST_VALUE = 300
_FOUND: dict[str, type | tuple[type, ...]] = {
    "name": str, "kind": str, "bytes": int, "layers": int, "unet_layers": int, "text_encoder_layers": int,
    "ranks": dict, "alphas": dict, "precisions": dict, "norms": dict, "norms_unknown": int, "trigger": str,
    "tags": list, "family": (str, type(None)), "base_model": dict, "job": str, "job_from": str,
    "unread_settings": list, "broken": list, "metadata": dict, "training_problem": (str, type(None))}
_CURVE: dict[str, type | tuple[type, ...]] = {"curve": list, "error": (int, float), "bytes": (int, float)}


def result_of(run: RunFolder) -> dict[str, Any]:
    """Return ``sentences``, and ``curve`` (rank, bytes, error), ``error`` and ``bytes``, or ``found`` of ``inspect``.

    Missing results are ``None``. Raises ``RunError`` if the run is not one of a tool or its result cannot be read.
    """
    answer: dict[str, Any] = {"sentences": [], "curve": [], "error": None, "bytes": None, "found": None}
    if run.command not in TOOLS:
        raise RunError(f"The run {run.id} is none of a tool.")
    try:
        result = read_object(run.result_file, _MOST_BYTES)
        answer["sentences"] = [str(text) for text in result.get("sentences") or []]
        if run.command == INSPECT:
            return answer | {"found": _found(result)}
        if "curve" in result:
            _check(result, _CURVE)
            answer |= {name: result[name] for name in _CURVE}
    except FileNotFoundError:
        return answer
    except (DamagedFileError, OSError, TypeError) as problem:
        raise RunError(f"{run.result_file} cannot be read: {problem}. Run the tool again.") from problem
    return answer


def _found(result: dict[str, Any]) -> dict[str, Any]:
    _check(result, _FOUND)
    found = {name: result[name] for name in _FOUND}
    found["metadata"] = {str(key): _short(str(value)) for key, value in sorted(result["metadata"].items())}
    found["broken"] = len(result["broken"])
    found["base_model"] = {str(key): str(value) for key, value in result["base_model"].items()}
    found["file"] = Path(str(result.get("path", ""))).name
    return found


def _check(result: dict[str, Any], fields: dict[str, type | tuple[type, ...]]) -> None:
    wrong = [name for name, kind in fields.items() if not isinstance(result.get(name), kind)]
    if wrong:
        raise DamagedFileError(f"“{wrong[0]}” is missing or of another kind")


def _short(value: str) -> str:
    return value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + " …"
