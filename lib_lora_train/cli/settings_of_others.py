"""``import`` and ``export``: converts settings from and to other programs."""

from __future__ import annotations

import sys
from pathlib import Path

from ..advice.size import read_shapes
from ..config.exporting.formats import export_text
from ..config.exporting.sd_scripts import family_of_shapes
from ..config.importing.places import LocalPlaces
from ..config.importing.read import (
    MOST_CHARACTERS,
    decoded,
    read_lora_metadata,
    read_settings,
    read_settings_file,
    too_long,
)
from ..config.importing.report import Imported, report_text
from ..config.load import load_job
from ..config.text_yaml import write_yaml
from ..errors import ConfigError
from ..files.writing import cannot_write
from ..networks.lora_facts import read_facts
from ..pictures.folders import folders_to_export
from .complete import complete
from .usage import options_of


def import_command(arguments: list[str]) -> int:
    """Print the job to standard output and the report to standard error; returns 0."""
    found = _read(options_of("import", arguments).file)
    print(report_text(found), file=sys.stderr)
    print(write_yaml(found.values), end="")
    return 0


def export_command(arguments: list[str]) -> int:
    """Print the job in the requested format, and to standard error what it cannot express; returns 0.

    The dataset configuration that it names, if any, is written into the folder of ``--files``, or printed to
    standard error. Raises ``ConfigError`` if it cannot be written or exists.
    """
    options = options_of("export", arguments)
    job = load_job(options.job, options.settings, None, complete)
    try:
        exported = export_text(job, options.wanted,
                               family_of_shapes(read_shapes(Path(job.base.checkpoint)) or {}),
                               folders_to_export(job.dataset))
    except ValueError as problem:
        raise ConfigError(f"The job cannot be exported: {problem}") from problem
    for note in exported.notes:
        print(note, file=sys.stderr)
    for name, text in exported.files.items():
        if options.files is None:
            print(f"\nSave the following as {name}, or let --files FOLDER write it:\n{text}", file=sys.stderr)
        else:
            _write_new(options.files / name, text)
    print(exported.text, end="")
    return 0


def _write_new(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path} exists already. Delete or rename it, or choose another output_name.") from None
    except OSError as problem:
        raise ConfigError(cannot_write(path, problem)) from problem
    print(f"Wrote {path}.", file=sys.stderr)


def _read(name: str) -> Imported:
    if name == "-":
        data = sys.stdin.buffer.read(4 * MOST_CHARACTERS + 1)
        if len(data) > 4 * MOST_CHARACTERS:
            raise ConfigError(too_long(len(data)))
        return read_settings(decoded(data, "The input"), LocalPlaces(Path()))
    path = Path(name)
    places = LocalPlaces(path.parent)
    if path.suffix.lower() != ".safetensors":
        return read_settings_file(path, places)
    return read_lora_metadata(path, read_facts(path).settings, places)
