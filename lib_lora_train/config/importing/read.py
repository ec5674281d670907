"""Imports settings of any known format, which is detected from the content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from yaml import YAMLError

from ...errors import ConfigError
from ...files.json_file import DamagedFileError, parse
from ...files.safetensors_header import read_safetensors_header
from ..job import GROUPS, all_settings
from ..load import read_job
from ..text_yaml import read_yaml
from .easy_scripts import is_easy_scripts, take_easy_scripts
from .kohya_gui import gui_sections, is_kohya, take_dataset_file, take_kohya
from .lora_metadata import take_metadata
from .one_trainer import is_one_trainer, take_one_trainer
from .option_table import KNOWN, TRAIN_COMMAND_OPTIONS
from .places import Places, Together
from .report import Imported
from .sd_dataset import is_dataset_config, take_dataset_config
from .sd_defaults import fill_defaults
from .sd_scripts import take_options
from .settle import OWN_JOB, finish
from .shell.command import looks_like_command, read_script
from .shell.dialect import dialect_of
from .taking import Option, Options, Taking
from .toml_text import read_toml

MOST_CHARACTERS = 1_000_000
FORMATS = ("a command line or script of sd-scripts, a TOML of sd-scripts or of LoRA_Easy_Training_Scripts, a JSON of "
           "kohya_ss or OneTrainer, a job of this program (YAML), or a LoRA file (.safetensors)")
_MOST_OF_SCRIPT = 200_000
_FEWEST_KNOWN = 2
_FEWEST_TOGETHER = 2


def read_settings_file(path: Path, places: Places) -> Imported:
    """The settings in the file ``path``. Raises ``ConfigError`` if there are none."""
    if path.suffix.lower() == ".safetensors":
        return read_lora_metadata(path, {}, places)
    try:
        if path.stat().st_size > 4 * MOST_CHARACTERS:
            raise ConfigError(too_long(path.stat().st_size))
        data = path.read_bytes()
    except OSError as problem:
        raise ConfigError(f"The file {path} cannot be read: {problem.strerror or problem}.") from problem
    return read_settings(decoded(data, str(path)), places)


def decoded(data: bytes, name: str) -> str:
    """``data`` decoded as text. Raises ``ConfigError`` if it is not text."""
    for encoding in ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text and sum(sign < " " and sign not in "\t\r\n\f\v" for sign in text[:10_000]) < 3:
            return text
    raise ConfigError(f"{name} is not a text. Give {FORMATS}.")


def read_lora_metadata(path: Path, tensors: Mapping[str, Any], places: Places) -> Imported:
    """As ``read_metadata``, from the LoRA file ``path``. Raises ``ConfigError`` also if the file is damaged."""
    try:
        metadata = read_safetensors_header(path).metadata
    except FileNotFoundError:
        raise ConfigError(f"There is no file {path}.") from None
    except (OSError, DamagedFileError) as problem:
        raise ConfigError(f"{path} is damaged or not a .safetensors file ({problem}).") from problem
    return read_metadata(metadata, tensors, places, str(path))


def read_metadata(metadata: Mapping[str, str], tensors: Mapping[str, Any], places: Places, name: str) -> Imported:
    """The training settings stored in a LoRA file; ``tensors`` are those derived from its tensors.

    ``name`` is the file's name. Raises ``ConfigError`` if it stores none.
    """
    if not metadata and not tensors:
        raise ConfigError(f"{name} says nothing about how it was trained.")
    taking = Taking(places)
    take_metadata(metadata, tensors, taking)
    return finish("the metadata of a LoRA file", taking)


def read_settings(text: str, places: Places) -> Imported:
    """The settings in ``text``. Raises ``ConfigError`` if they cannot be read."""
    if len(text) > MOST_CHARACTERS:
        raise ConfigError(too_long(len(text)))
    if not text.strip():
        raise ConfigError(f"There is nothing to read. Give {FORMATS}.")
    taking = Taking(places)
    source = _take_any(text, taking)
    if isinstance(places, Together):
        source = _take_unread(source, places, taking)
    return finish(source, taking)


def read_together(files: Mapping[str, str], places: Places) -> Imported:
    """The settings in ``files`` (texts by name) that belong together: a script or configuration, and the files it
    names.

    A dataset configuration is read whether it is named or not. Raises ``ConfigError`` that names the file.
    """
    given = {name: text for name, text in files.items() if text.strip()}
    if len(given) < _FEWEST_TOGETHER:
        return read_settings(next(iter(given.values()), ""), places)
    mains = [name for name, text in given.items() if not _is_dataset(name, text)]
    scripts = [name for name in mains if looks_like_command(given[name]) and not _is_toml(given[name])]
    main = next(iter([*scripts, *mains, *given]))
    others = {name: text for name, text in given.items() if name != main}
    try:
        return read_settings(given[main], Together(others, places))
    except ConfigError as problem:
        raise ConfigError([f"{main}: {sentence}" for sentence in problem.problems]) from problem


def _take_any(text: str, taking: Taking) -> str:
    stripped = text.lstrip("\ufeff \t\r\n")
    if stripped.startswith("{"):
        return _take_json(stripped, taking)
    if looks_like_command(text) and not _is_toml(text):
        return _take_script(text, taking)
    if _looks_like_toml(text):
        return _take_toml(text, taking)
    if _looks_like_yaml(text):
        return _take_yaml(text, taking)
    raise ConfigError(f"The format of these settings is unknown. Give {FORMATS}.")


def _take_unread(source: str, together: Together, taking: Taking) -> str:
    """Handle the files that the main one does not name."""
    for name in together.unread():
        text = together.read(name) or ""
        if _is_dataset(name, text):
            take_dataset_config(read_toml(text), taking, defaults=False)
            source += f", with {name}"
        else:
            taking.drop(Option(name, ""), "No other file names it. Import it on its own, or correct the name.")
    return source


def _is_dataset(name: str, text: str) -> bool:
    """Whether the file is a dataset configuration. Raises ``ConfigError`` if it is a damaged one."""
    if "[[datasets" not in text.replace(" ", ""):
        return False
    try:
        return is_dataset_config(read_toml(text))
    except ConfigError as problem:
        raise ConfigError(f"{name}: {problem}") from problem


def too_long(count: int) -> str:
    """The error message for a text that is too long to be settings."""
    return f"The text is {count:,} characters long, which is too long for settings. Up to {MOST_CHARACTERS:,} are read."


def _take_script(text: str, taking: Taking) -> str:
    if len(text) > _MOST_OF_SCRIPT:
        raise ConfigError(f"The script is {len(text):,} characters long. Up to {_MOST_OF_SCRIPT:,} are read.")
    options, sdxl = read_script(text, taking)
    _add_config_file(options, taking)
    _take_with_dataset(options, taking, sdxl=sdxl)
    return f"a command line of sd-scripts ({dialect_of(text).name})"


def _take_with_dataset(options: Options, taking: Taking, *, sdxl: bool) -> None:
    """Import ``options`` and the dataset configuration that they name, which takes precedence, as in sd-scripts."""
    dataset = options.pop("dataset_config", None)
    take_options(options, taking, sdxl=sdxl, defaults=False)
    if dataset is not None:
        take_dataset_file(dataset, taking)
    fill_defaults(options, taking)


def _add_config_file(options: Options, taking: Taking) -> None:
    """Add the options of a ``--config_file``; those on the command line take precedence."""
    option = options.pop("config_file", None)
    if option is None:
        return
    name = str(option.value)
    text = taking.places.read(name if name.endswith(".toml") else f"{name}.toml")
    if text is None and len(set(options) & TRAIN_COMMAND_OPTIONS) < _FEWEST_KNOWN:
        raise ConfigError(f"The command takes its options from {name}, which could not be read here. Import that "
                          "file instead.")
    if text is None:
        taking.drop(option, f"{name} could not be read here. Import it on its own too.")
        return
    for inner, found in _flat(read_toml(text)).items():
        if inner in options:
            taking.not_needed(found, "The command line overrides the file.")
        else:
            options[inner] = found
    taking.note(option, "Its options were read; each has an answer of its own.")


def _take_json(text: str, taking: Taking) -> str:
    try:
        values = parse(text)
    except DamagedFileError as problem:
        cause = problem.__cause__
        where = (f" in line {cause.lineno}, column {cause.colno}: {cause.msg}"
                 if isinstance(cause, JSONDecodeError) else f": {problem}")
        raise ConfigError(f"The JSON cannot be read{where}. Is it whole? Copy or save it again.") from problem
    if is_one_trainer(values):
        take_one_trainer(values, taking)
        return "a configuration of OneTrainer"
    if is_kohya(values) or _known(values) >= _FEWEST_KNOWN:
        take_kohya(values, taking)
        return "a configuration of kohya_ss"
    if _known_groups(values):
        _take_own(values, taking)
        return OWN_JOB
    raise ConfigError(f"The JSON is not from a supported program. Give {FORMATS}.")


def _take_toml(text: str, taking: Taking) -> str:
    tables = read_toml(text)
    if is_easy_scripts(tables):
        take_easy_scripts(tables, taking)
        return "a TOML of LoRA_Easy_Training_Scripts"
    if is_dataset_config(tables):
        take_dataset_config(tables, taking)
        return "a dataset configuration of sd-scripts"
    options = _flat(gui_sections(tables, taking))
    if is_kohya(options):
        take_kohya({name: option.value for name, option in options.items()}, taking)
        return "a TOML of kohya_ss"
    if len(set(options) & KNOWN) < _FEWEST_KNOWN:
        raise ConfigError(f"The TOML has no settings that are known here. Give {FORMATS}.")
    _take_with_dataset(options, taking, sdxl="sdxl" in options and not options["sdxl"].is_off)
    return "a configuration file of sd-scripts"


def _flat(tables: Mapping[str, Any]) -> Options:
    """Flatten the sections, whose names sd-scripts ignores."""
    options: Options = {}
    for name, value in tables.items():
        if isinstance(value, Mapping):
            options |= {inner: Option(inner, found) for inner, found in value.items()}
        else:
            options[name] = Option(name, value)
    return options


def _take_yaml(text: str, taking: Taking) -> str:
    try:
        values = read_yaml(text)
    except (YAMLError, ValueError) as problem:
        raise ConfigError(f"The YAML cannot be read: {problem}") from problem
    if not isinstance(values, Mapping) or not _known_groups(values):
        raise ConfigError(f"The YAML has no settings that are known here. Give {FORMATS}.")
    _take_own(values, taking)
    return OWN_JOB


def _take_own(values: Mapping[str, Any], taking: Taking) -> None:
    known = [field.key for field in all_settings()]
    for group, settings in values.items():
        if not isinstance(settings, Mapping):
            taking.not_known(Option(str(group), settings), GROUPS)
            continue
        for name, value in settings.items():
            option = Option(f"{group}.{name}", value)
            if option.shown not in known:
                taking.not_known(option, known)
            elif read_job({group: {name: value}})[1]:
                taking.drop(option, read_job({group: {name: value}}, source="It")[1][0])
            else:
                taking.values[option.shown] = getattr(getattr(read_job({group: {name: value}})[0], group), name)
                taking.take(option, {option.shown: taking.values[option.shown]})


def _known(values: Any) -> int:
    return len(set(values) & KNOWN) if isinstance(values, Mapping) else 0


def _known_groups(values: Any) -> bool:
    return isinstance(values, Mapping) and any(group in GROUPS for group in values)


def _looks_like_toml(text: str) -> bool:
    return bool(re.search(r"^[ \t]*(\[{1,2}[\w.\"' -]+\]{1,2}[ \t]*(#.*)?|[\w\"'.-]+[ \t]*=[ \t]*\S.*)$", text,
                          re.MULTILINE))


def _is_toml(text: str) -> bool:
    """Whether ``text``, which contains command options, is a TOML that merely mentions them."""
    try:
        return bool(read_toml(text))
    except ConfigError:
        return False


def _looks_like_yaml(text: str) -> bool:
    return bool(re.search(rf"^({'|'.join(GROUPS)})\s*:", text, re.MULTILINE))
