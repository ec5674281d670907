"""Reading and changing the metadata of a LoRA file: the ``modelspec.*`` texts and any other entry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import CheckpointError, ConfigError
from ...files.json_file import DamagedFileError, parse
from ...files.reading import reason
from ...files.safetensors_header import METADATA, read_safetensors_header
from ...files.safetensors_metadata import change_metadata

FIELDS = {"title": "modelspec.title", "description": "modelspec.description", "author": "modelspec.author",
          "tags": "modelspec.tags", "trigger_phrase": "modelspec.trigger_phrase",
          "training_comment": "ss_training_comment"}
"""The entries with a field of their own, by the page's names."""
LONGEST_TEXT = 20_000
LONGEST_KEY = 200
MOST_ENTRIES = 500
_OF_THE_TENSORS = ("sshs_", "modelspec.hash_sha256", METADATA)
_SHOWN = 100


def metadata_of(lora: Path) -> dict[str, Any]:
    """Return ``values`` of ``FIELDS``, every other ``entry`` (key, value, why it is ``fixed``), and a ``problem``."""
    empty: dict[str, Any] = {"values": dict.fromkeys(FIELDS, ""), "entries": [], "problem": ""}
    try:
        metadata = _read(lora)
    except CheckpointError as error:
        return {**empty, "problem": str(error)}
    values = {name: metadata.get(key, "") for name, key in FIELDS.items()}
    long = [name for name, value in values.items() if len(value) > LONGEST_TEXT]
    if long:
        return {**empty, "problem": f"{FIELDS[long[0]]} in {lora.name} is longer than {LONGEST_TEXT} characters, so "
                                    "the texts cannot be changed here."}
    entries = [{"key": key, "value": value[:LONGEST_TEXT], "fixed": _why_fixed(key, value)}
               for key, value in sorted(metadata.items()) if key not in FIELDS.values()]
    return {**empty, "values": values, "entries": entries}


def change_file(lora: Path, changes: Mapping[str, Any]) -> None:
    """Set each entry of ``changes``, by key or by the page's name; an empty text or ``None`` removes it.

    Raises ``ConfigError`` that lists every invalid value, ``CheckpointError`` or ``WriteError`` with the file
    unchanged.
    """
    metadata = _read(lora)
    keys = {str(name): FIELDS.get(str(name), str(name)) for name in changes}
    problems = [text for name, value in changes.items()
                if (text := _problem(str(name), keys[str(name)], value, metadata))]
    if len({*metadata, *keys.values()}) > MOST_ENTRIES and not {*keys.values()} <= {*metadata}:
        problems.append(f"The file has {len(metadata)} entries. Remove some before you add more than {MOST_ENTRIES}.")
    if problems:
        raise ConfigError(problems)
    wanted = {keys[str(name)]: value or None for name, value in changes.items()}
    wanted = {key: value for key, value in wanted.items() if value != metadata.get(key)}
    if wanted:
        change_metadata(lora, wanted)


def _read(lora: Path) -> Mapping[str, str]:
    if lora.suffix.lower() != ".safetensors":
        raise CheckpointError(f"{lora.name} is an old kind of file without metadata, so nothing can be written into "
                              "it. Its card can be changed.")
    try:
        return read_safetensors_header(lora).metadata
    except (OSError, DamagedFileError) as problem:
        raise CheckpointError(f"{lora.name} is damaged or no .safetensors file ({reason(problem)}), so it is left as "
                              "it is. Download or copy it again.") from problem


def _why_fixed(key: str, value: str) -> str:
    if key.startswith(_OF_THE_TENSORS):
        return "calculated from the weights"
    return f"longer than {LONGEST_TEXT} characters" if len(value) > LONGEST_TEXT else ""


def _problem(name: str, key: str, value: Any, metadata: Mapping[str, str]) -> str:
    said = name[:_SHOWN]
    if not key.strip() or len(key) > LONGEST_KEY or key != key.strip() or not _is_unicode(key):
        return f"{said!r} cannot be the name of an entry. Use 1 to {LONGEST_KEY} characters without spaces around them."
    if fixed := _why_fixed(key, metadata.get(key, "")):
        return f"{said} cannot be changed: it is {fixed}."
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or not _is_unicode(value):
        return f"{said} has to be a text of {LONGEST_TEXT} characters or fewer."
    if value and _is_json(metadata.get(key, "")) and not _is_json(value):
        return f"{said} holds JSON, which other programs read, and the new text is not valid JSON. Correct it, or " \
               "leave it as it was."
    return ""


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which cannot be stored
        return False
    return True


def _is_json(text: str) -> bool:
    """Whether ``text`` is a JSON object or list; plain numbers and words do not count."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        parse(text)
    except DamagedFileError:
        return False
    return True
