"""What must not leave this machine: absolute paths, the user's name, and on request the names of dataset folders."""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from ....networks.lora_facts import from_json
from ...places import home
from .paths import NONE_KNOWN, PrivateFolders, any_writing, without_paths
from .thumbnails import clean_data_url, is_data_url

DATASET_KEYS = ("ss_dataset_dirs", "ss_reg_dataset_dirs", "ss_tag_frequency", "ss_datasets")
"""Entries with the names of dataset folders and the tags of their captions, by sd-scripts' names."""
_JOB = "train_lora_job"
_HASH = re.compile(r"(?:0x)?[0-9a-fA-F]{8,}")
_LEAST_NAME = 3
_MOST_KEYS = 8
_NAMES_OF_NOBODY = frozenset({"root", "user", "users", "admin", "administrator", "home", "ubuntu", "public", "default"})
_PARAMETER_USER = re.compile(r",\s*User:\s*(?:\"(?:[^\"\\]|\\.)*\"|[^,\n]*)")


def without_user(parameters: str, known: PrivateFolders = NONE_KNOWN) -> str:
    """Return the webui's generation parameters without the name of its user and without folders."""
    return without_paths(_PARAMETER_USER.sub("", parameters), known)


def private_changes(metadata: Mapping[str, str], *, without_dataset: bool, kept: str = "",
                    known: PrivateFolders = NONE_KNOWN) -> tuple[dict[str, str | None], list[str]]:
    """Return the changes to ``metadata`` for a copy to be published (``None`` removes an entry), and a sentence for
    each kind of thing that is left out.

    ``kept`` is the LoRA's name and trigger word: if the user's name is part of it, the name stays.
    """
    changes: dict[str, str | None] = {}
    said: list[str] = []
    if without_dataset:
        removed = [key for key in DATASET_KEYS if key in metadata]
        changes.update(dict.fromkeys(removed))
        if removed:
            said.append(f"The names of dataset folders and how often each tag occurs ({', '.join(removed)}).")
        job = _without_folders_of(metadata.get(_JOB, ""))
        if job is not None:
            changes[_JOB] = job
    named = [key for key in metadata if key not in changes and (without_paths(key, known) != key or
                                                                 without_name(key, kept) != key)]
    if named:
        changes.update(dict.fromkeys(named))
        said.append(f"Entries whose own names have a folder or your name in them ({len(named)}).")
    rest = {key: changes.get(key) or value for key, value in metadata.items()
            if key not in changes or changes[key] is not None}
    pictures = {key: new for key, value in rest.items()
                if is_data_url(value) and (new := clean_data_url(value)) != value}
    if pictures:
        said.append(f"What images in the metadata say about themselves, such as camera and place ({_list(pictures)}).")
    shortened = {key: new for key, value in rest.items()
                 if (new := _in_texts(value, lambda text: without_paths(text, known))) != value}
    if shortened:
        said.append(f"The folders in paths ({_list(shortened)}).")
    cleared = _without_name({**rest, **shortened}, kept, said)
    return {**changes, **pictures, **shortened, **cleared}, said


def _list(keys: Iterable[str]) -> str:
    return ", ".join(sorted(keys)[:_MOST_KEYS])


def _in_texts(value: str, change: Callable[[str], str]) -> str:
    """``value`` with ``change`` applied; in JSON to each text on its own, so that it stays valid."""
    if is_data_url(value) or _HASH.fullmatch(value):
        return value
    if value.lstrip().startswith(("{", "[", '"')) and (parsed := from_json(value)) is not None:
        walked = _walked(parsed, change)
        return value if walked == parsed else json.dumps(walked, ensure_ascii=False)
    return change(value)


def _walked(value: Any, change: Callable[[str], str]) -> Any:
    """The JSON ``value`` with ``change`` applied to its names and texts, also to texts that are JSON themselves."""
    if isinstance(value, dict):
        walked: dict[str, Any] = {}
        for key, item in value.items():
            name = change(key)
            walked[name if name not in walked else f"{name} ({len(walked)})"] = _walked(item, change)
        return walked
    if isinstance(value, list):
        return [_walked(item, change) for item in value]
    return _in_texts(value, change) if isinstance(value, str) else value


def without_name(text: str, kept: str) -> str:
    """Return ``text`` with "user" instead of the name of this machine's user, unless that is part of ``kept``."""
    for name in _names():
        word = _of_name(name)
        text = text if word.search(kept) else word.sub("user", text)
    return text


def names_in(text: str) -> list[str]:
    """The names of this machine's user that are in ``text``."""
    return [name for name in _names() if _of_name(name).search(text)]


def _names() -> list[str]:
    """The names of the home folder and of the login, without those that say nothing of a person."""
    try:
        login = getpass.getuser()
    except (ImportError, KeyError, OSError):  # as getpass says: no such name on this machine
        login = ""
    found = {name.lower(): name for name in (*(folder.name for folder in home()), login)
             if len(name) >= _LEAST_NAME and name.lower() not in _NAMES_OF_NOBODY}
    return sorted(found.values(), key=len, reverse=True)


def _of_name(name: str) -> re.Pattern[str]:
    """``name`` as a word of its own; in addresses and JSON it is written in another way."""
    return re.compile(rf"(?<![^\W_]){any_writing(name)}(?![^\W_])", re.IGNORECASE)


def _without_name(metadata: Mapping[str, str], kept: str, said: list[str]) -> dict[str, str]:
    """The changes that take the name of this machine's user out of ``metadata``; says so in ``said``."""
    for name in _names():
        word = _of_name(name)
        where = _list(key for key, value in metadata.items() if _in_texts(value, partial(word.sub, "")) != value)
        if where and word.search(kept):
            said.append(f"Not left out: {name}, your name on this machine, is also part of the LoRA's name or trigger "
                        f"word ({where}).")
        elif where:
            said.append(f"{name}, your name on this machine ({where}).")
    return {key: new for key, value in metadata.items()
            if (new := _in_texts(value, lambda text: without_name(text, kept))) != value}


def _without_folders_of(job: str) -> str | None:
    """The settings ``job`` without names of folders; ``None`` if there is nothing to remove."""
    values = from_json(job)
    if not isinstance(values, dict):
        return None
    cleared = _cleared(values)
    return json.dumps(cleared, ensure_ascii=False) if cleared != values else None


def _cleared(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "" if str(key).endswith("_dir") and isinstance(item, str) else _cleared(item)
                for key, item in value.items()}
    return [_cleared(item) for item in value] if isinstance(value, list) else value

