"""The library of test prompts: named sets for any LoRA, each a text file with one prompt per line.

    test_prompts/NAME.txt                a set
    test_prompts/removed/NAME TIME.txt   a deleted or overwritten set

``{trigger}`` in a prompt is replaced by the trigger words of the tested LoRA.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...config.check import title_problem
from ...errors import ConfigError
from ...files.atomic import write_atomically
from ...files.reading import read_text, reason
from ...files.writing import writing
from ..runs.prompts import TRIGGER, lines_of

RECOMMENDED = "Recommended"
_RECOMMENDED = (f"{TRIGGER}", f"{TRIGGER}, upper body, looking at viewer, plain background",
                f"{TRIGGER}, full body, walking in a park, sunny day", f"{TRIGGER}, red dress, sitting in a cafe",
                f"{TRIGGER}, winter coat, snow, night, street lights", f"{TRIGGER}, smiling, close-up, from side",
                "portrait of a man, studio light")
"""Different framing, clothes, places and expressions, and one without the subject, which should not change."""
_ENDING, _REMOVED, _HEADING = ".txt", "removed", "# "
_MOST_SETS, _MOST_PROMPTS, _LONGEST_PROMPT = 200, 200, 2000
_MOST_BYTES = 1 << 20


class PromptSets:
    """The sets in ``folder``, which is created with the first one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[dict[str, Any]]:
        """Return ``{name, prompts, problem, fixed}`` of each set, sorted by name, the recommended one first."""
        paths = sorted(self._folder.glob(f"*{_ENDING}"), key=lambda path: path.name.casefold())
        own = [self._entry(path) for path in paths[:_MOST_SETS] if not path.name.startswith(".")]
        return [{"name": RECOMMENDED, "prompts": list(_RECOMMENDED), "problem": "", "fixed": True}, *own]

    def save(self, name: str, text: str, *, replace: bool) -> None:
        """Save the prompts in ``text``, one per line, as ``name``.

        With ``replace`` an existing set of that name is moved to the removed ones. Raises ``ConfigError`` if the name
        or the prompts are invalid or the name is taken, and ``WriteError``.
        """
        path, prompts = self._path(name), _checked(lines_of(text.splitlines()))
        taken = self._taken(name)
        if taken is not None and not replace:
            raise ConfigError(f"There is a set {taken.stem!r} already. Choose another name, or replace it.")
        if taken is None and len(self.all()) > _MOST_SETS:
            raise ConfigError(f"There are {_MOST_SETS} sets already. Delete one first.")
        self._make_folder(self._folder)
        if taken is not None:
            self._set_aside(taken, keep=True)
        write_atomically(taken or path, "\n".join(prompts) + "\n")

    def rename(self, name: str, new_name: str) -> None:
        """Rename a set. Raises ``ConfigError`` if it does not exist or the new name is invalid or taken."""
        old, new = self._existing(name), self._path(new_name)
        taken = self._taken(new_name)
        if taken is not None and taken != old:
            raise ConfigError(f"There is a set {taken.stem!r} already. Choose another name.")
        with writing(new):
            old.rename(new)

    def remove(self, name: str) -> None:
        """Move a set to the removed ones. Raises ``ConfigError`` if it does not exist, and ``WriteError``."""
        self._set_aside(self._existing(name), keep=False)

    def take(self, text: str, name: str) -> list[str]:
        """Save the sets in ``text``, each under its heading ``# Name`` or all under ``name``; returns their names.

        A taken name gets a number. Raises ``ConfigError`` before anything is saved if a set is invalid.
        """
        found = {title: _checked(prompts) for title, prompts in _sections(text, name).items()}
        if not found:
            raise ConfigError("The text holds no prompts. Write one prompt a line; a line such as “# Portraits” "
                              "begins a set.")
        for title in found:
            self._path(title)
        if len(self.all()) + len(found) > _MOST_SETS:
            raise ConfigError(f"These would be more than {_MOST_SETS} sets. Delete some first.")
        names = []
        for title, prompts in found.items():
            free = self._free(title)
            self.save(free, "\n".join(prompts), replace=False)
            names.append(free)
        return names

    def text(self, name: str = "") -> str:
        """Return the set ``name`` or all user sets, as ``take`` reads them. Raises ``ConfigError`` if there is none."""
        sets = [one for one in self.all() if (one["name"] == name if name else not one["fixed"])]
        if not sets:
            raise ConfigError(f"There is no set {name!r}." if name else "There are no sets of your own yet.")
        return "\n".join(f"{_HEADING}{one['name']}\n" + "".join(f"{_escaped(prompt)}\n" for prompt in one["prompts"])
                         for one in sets)

    def _entry(self, path: Path) -> dict[str, Any]:
        entry = {"name": path.stem, "prompts": list[str](), "problem": "", "fixed": False}
        try:
            return {**entry, "prompts": lines_of(read_text(path, replace=True, most_bytes=_MOST_BYTES).splitlines())}
        except (OSError, ValueError) as problem:
            return {**entry, "problem": f"{path} cannot be read: {reason(problem)}. It is left as it is."}

    def _path(self, name: str) -> Path:
        name = name.strip()
        problem = title_problem(name, "a set of prompts")
        if problem or name.casefold() == RECOMMENDED.casefold():
            raise ConfigError(problem or f"{name!r} is the name of the set that comes with Train LoRA. Choose another.")
        return self._folder / f"{name}{_ENDING}"

    def _taken(self, name: str) -> Path | None:
        wanted = name.strip().casefold()
        return next((path for path in self._folder.glob(f"*{_ENDING}") if path.stem.casefold() == wanted), None)

    def _existing(self, name: str) -> Path:
        self._path(name)
        found = self._taken(name)
        if found is None:
            raise ConfigError(f"There is no set {name.strip()!r}. It may have been renamed or deleted elsewhere.")
        return found

    def _free(self, name: str) -> str:
        return next(title for number in range(1, 10_000) if self._taken(
            title := name if number == 1 else f"{name} {number}") is None)

    def _make_folder(self, folder: Path) -> None:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def _set_aside(self, path: Path, *, keep: bool) -> None:
        """Move to the removed sets under a name with the time; with ``keep``, copy."""
        folder = self._folder / _REMOVED
        self._make_folder(folder)
        stem = f"{path.stem} {time.strftime('%Y-%m-%d %H.%M.%S')}"
        aside = next(place for number in range(1, 10_000) if not (
            place := folder / f"{stem}{f' {number}' if number > 1 else ''}{_ENDING}").exists())
        with writing(aside):
            if keep:
                write_atomically(aside, path.read_bytes())
            else:
                path.rename(aside)


def _sections(text: str, name: str) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    title = name.strip() or "Imported"
    for line in lines_of(text.removeprefix("\ufeff").splitlines()):
        if line.startswith(_HEADING):
            title = line.removeprefix(_HEADING).strip()
        else:
            found.setdefault(title, []).append(line.removeprefix("\\") if line.startswith(f"\\{_HEADING}") else line)
    return found


def _escaped(prompt: str) -> str:
    return f"\\{prompt}" if prompt.startswith(_HEADING) else prompt


def _checked(prompts: Sequence[str]) -> list[str]:
    """Return ``prompts``. Raises ``ConfigError`` if there are none, too many, or one is too long."""
    if not prompts:
        raise ConfigError("The set has no prompts. Write one a line.")
    if len(prompts) > _MOST_PROMPTS:
        raise ConfigError(f"The set has {len(prompts)} prompts. Use {_MOST_PROMPTS} or fewer.")
    long = next((prompt for prompt in prompts if len(prompt) > _LONGEST_PROMPT), None)
    if long is not None:
        raise ConfigError(f"The prompt {long[:60]!r}… has {len(long)} characters. Use {_LONGEST_PROMPT} or fewer.")
    odd = next((prompt for prompt in prompts if any("\ud800" <= sign <= "\udfff" for sign in prompt)), None)
    if odd is not None:
        raise ConfigError(f"The prompt {odd.encode('utf-8', 'replace').decode()[:60]!r} holds half a character. Write "
                          "it anew.")
    return list(prompts)
