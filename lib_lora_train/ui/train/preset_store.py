"""The user's own presets: partial jobs, each a file in the webui's data folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yaml import YAMLError

from ...config.check import title_problem
from ...config.exporting.formats import preset_text
from ...config.load import read_job
from ...config.phases.read import title_of
from ...config.text_yaml import read_yaml
from ...errors import ConfigError
from ...files.atomic import write_atomically
from ...files.walk import files_below
from ...files.writing import cannot_write

ENDING = ".yaml"
_MOST_PRESETS, _MOST_BYTES = 500, 200_000
NOT_KEPT = frozenset(("base.checkpoint", "base.vae", "dataset.train_data_dir", "dataset.reg_data_dir",
                      "dataset.validation_data_dir", "dataset.conditioning_data_dir", "dataset.activation_tag",
                      "dataset.concept_settings", "dataset.only_folders",
                      "network.network_weights", "save.output_name", "save.output_dir", "training.device"))
"""Settings specific to one dataset or machine, which are not saved in presets."""


class PresetStore:
    """The presets in ``folder``, which is created with the first one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[dict[str, Any]]:
        """Return ``{name, values}`` of each preset, sorted by name; unreadable files are skipped."""
        paths = sorted((Path(entry.path) for entry in files_below(self._folder)), key=lambda path: path.name.casefold())
        return [{"name": path.stem, "values": values} for path in paths[:_MOST_PRESETS]
                if path.suffix == ENDING and path.parent == self._folder and (values := _values(path)) is not None]

    def save(self, name: str, values: Mapping[str, Any], *, replace: bool) -> str:
        """Save ``values`` as ``name``; returns a sentence on what training phases name and a preset cannot keep.

        Raises ``ConfigError`` if the name or the values are invalid, or the name is taken and ``replace`` is false.
        """
        path = self._path(name)
        if not replace and self._taken(name):
            raise ConfigError(f"There is a preset {name!r} already. Choose another name, or replace it.")
        kept = {group: {setting: value for setting, value in settings.items()
                        if f"{group}.{setting}" not in NOT_KEPT}
                for group, settings in values.items() if isinstance(settings, Mapping)}
        dropped = _dropped_from_phases(kept)
        problems = read_job(kept, source="The preset")[1]
        if problems:
            raise ConfigError(problems)
        if not any(kept.values()):
            raise ConfigError("Every setting of the form is at its default, so there is nothing to save.")
        self._write(path, preset_text(kept))
        return f"Not saved, since they name folders of this data set: {', '.join(dropped)}." if dropped else ""

    def rename(self, name: str, new_name: str) -> None:
        """Rename the preset ``name``. Raises ``ConfigError`` as ``save`` does, or if there is none."""
        old, new = self._existing(name), self._path(new_name)
        if old.name != new.name and self._taken(new_name) and name.casefold() != new_name.strip().casefold():
            raise ConfigError(f"There is a preset {new_name!r} already. Choose another name.")
        try:
            old.rename(new)
        except OSError as problem:
            raise ConfigError(cannot_write(new, problem)) from problem

    def remove(self, name: str) -> None:
        """Delete the preset ``name``. Raises ``ConfigError`` if there is none."""
        path = self._existing(name)
        try:
            path.unlink()
        except OSError as problem:
            raise ConfigError(cannot_write(path, problem)) from problem

    def text(self, name: str) -> str:
        """Return the preset as a file for import. Raises ``ConfigError`` if there is none."""
        values = _values(self._existing(name))
        if values is None:
            raise ConfigError(f"The preset {name!r} is damaged. Save it again.")
        return preset_text(values)

    def _existing(self, name: str) -> Path:
        path = self._path(name)
        if not path.is_file():
            raise ConfigError(f"There is no preset {name.strip()!r}. It may have been renamed or deleted elsewhere.")
        return path

    def _taken(self, name: str) -> bool:
        return name.strip().casefold() in {preset.stem.casefold() for preset in self._folder.glob(f"*{ENDING}")}

    def _path(self, name: str) -> Path:
        name = name.strip()
        if problem := title_problem(name, "a preset"):
            raise ConfigError(problem)
        return self._folder / f"{name}{ENDING}"

    def _write(self, path: Path, text: str) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, text)
        except OSError as problem:
            raise ConfigError(cannot_write(path, problem)) from problem


def _values(path: Path) -> dict[str, dict[str, Any]] | None:
    """Return the settings of a preset that this version supports; ``None`` if the file is damaged."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        found = read_yaml(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, YAMLError):
        return None
    if not isinstance(found, Mapping):
        return None
    found = {group: dict(settings) if isinstance(settings, Mapping) else settings for group, settings in found.items()}
    _dropped_from_phases(found)
    values: dict[str, dict[str, Any]] = {}
    for group, settings in found.items():
        for name, value in settings.items() if isinstance(settings, Mapping) else ():
            job, problems = read_job({group: {name: value}})
            if not problems and f"{group}.{name}" not in NOT_KEPT:
                values.setdefault(str(group), {})[str(name)] = getattr(getattr(job, str(group)), str(name))
    return values


def _dropped_from_phases(values: dict[str, dict[str, Any]]) -> list[str]:
    """Remove from the training phases in ``values`` what presets do not keep; returns what was removed, in words."""
    phases = values.get("training", {}).get("phases") if isinstance(values.get("training"), dict) else None
    if not isinstance(phases, list):
        return []
    kept, dropped = [], []
    for number, phase in enumerate(phases, start=2):
        own: dict[str, Any] = {}
        for group, content in phase.items() if isinstance(phase, Mapping) else ():
            if not isinstance(content, Mapping):
                own[group] = content
                continue
            named = {name: value for name, value in content.items() if f"{group}.{name}" not in NOT_KEPT}
            dropped += [f"{group}.{name} of {title_of(phase, number)}" for name in content if name not in named]
            if named:
                own[group] = named
        kept.append(own if isinstance(phase, Mapping) else phase)
    values["training"]["phases"] = kept
    return dropped
