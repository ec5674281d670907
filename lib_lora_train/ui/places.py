"""Where a path typed in the tab may lead, by kind of path: what is listed and what can be chosen."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..config.setting import CHECKPOINT_FOLDER, IMAGES, LORA, LORA_FOLDER, TAGGER
from ..errors import DatasetError
from ..files.confine import is_inside, is_named_inside, is_on_another_machine, local_path
from ..files.drives import drives
from ..files.reading import reason
from ..host.interface import Host
from ..pictures.browse import Entry, Page, count_images, page_of

COMPLETIONS = 12
"""The most folders or files suggested while typing."""

_LORA_ENDINGS = (".safetensors", ".ckpt", ".pt")
_MOST_LEVELS_UP = 200


@dataclass(frozen=True)
class Kind:
    """One kind of path: the allowed roots (``None``: anywhere) and the file suffixes (none: a folder).

    With ``by_name`` links may lead out of the roots, since users link LoRA folders to another disk.
    """

    roots: tuple[Path, ...] | None
    endings: tuple[str, ...] = ()
    by_name: bool = False

    def allows(self, path: str | Path) -> bool:
        """Whether ``path`` is in one of the roots."""
        if self.roots is None:
            return True
        if self.by_name:
            return any(is_named_inside(root, Path(path)) for root in self.roots)
        return any(is_inside(root, path) for root in self.roots)


def kind_of(host: Host, name: str) -> Kind:
    """Return the kind ``name`` in this webui. Raises ``DatasetError`` if it does not exist or allows no choice."""
    folders = host.access().folders
    if name == IMAGES:
        return Kind(folders)
    if name == LORA:
        return Kind((host.lora_dir,), _LORA_ENDINGS, by_name=True)
    if name == LORA_FOLDER:
        return Kind((host.lora_dir,))
    if name == CHECKPOINT_FOLDER:
        return Kind(tuple(sorted({file.path.parent for file in host.checkpoints()})))
    if name == TAGGER:
        if folders is not None:
            raise DatasetError("The webui was started with --hide-ui-dir-config, so a tagger can only be chosen from "
                               "the list.")
        return Kind(None, (".onnx",))
    raise DatasetError(f"{name[:100]!r} is no kind of path that can be chosen here.")


def beginnings(kind: Kind) -> list[Path]:
    """Return the starting points: the roots, or the user's home folder and the drives of this machine."""
    if kind.roots is not None:
        return list(kind.roots)
    return [*home(), *(Path(drive) for drive in drives() if Path(drive) not in home())]


def place(kind: Kind, text: str) -> tuple[Path, str]:
    """Return the folder ``text``, or its nearest existing parent and a sentence that says so.

    A file stands for its folder. Raises ``DatasetError`` if the folder may not be listed.
    """
    given = _cleaned(kind, text)
    for path in [given, *given.parents][:_MOST_LEVELS_UP]:
        found = path if kind.by_name else Path(_real(path))
        if not kind.allows(found):
            raise _outside(kind, text)
        if _is_folder(found):
            there = path == given or (given.parent == path and _is_file(given))
            return found, "" if there else f"There is no {str(given)[:400]}. This is the nearest folder above it."
    raise DatasetError(f"There is no folder {str(given)[:400]}. Check the path.")


def above(kind: Kind, folder: Path) -> Path | None:
    """Return the parent of ``folder``, ``None`` at the top or if it may not be listed."""
    return folder.parent if folder.parent != folder and kind.allows(folder.parent) else None


def way(kind: Kind, folder: Path) -> list[Path]:
    """Return ``folder`` and its parents that may be listed, topmost first."""
    found: list[Path] = []
    step: Path | None = folder
    while step is not None and len(found) < _MOST_LEVELS_UP:
        found.insert(0, step)
        step = above(kind, step)
    return found


def completed(kind: Kind, text: str) -> tuple[list[Entry], bool]:
    """Return the folders and files that start with ``text``, and whether there are more than returned.

    There are none for a folder that does not exist or cannot be read. Raises ``DatasetError`` as ``place`` does.
    """
    cleaned = text.strip().strip('"')
    cut = max(cleaned.rfind(slash) for slash in {"/", os.sep}) + 1
    parent, part = cleaned[:cut], cleaned[cut:]
    if is_on_another_machine(cleaned):
        local_path(cleaned)  # raises with the reason
    if not parent:
        if not kind.by_name:
            return [], False
        parent = str(kind.roots[0]) if kind.roots else ""
    folder = _cleaned(kind, parent)
    folder = folder if kind.by_name else Path(_real(folder))
    if not kind.allows(folder):
        raise _outside(kind, text)
    if not _is_folder(folder):
        return [], False
    page = page_of(folder, endings=kind.endings, part=part, hidden=part.startswith("."), allowed=kind.allows,
                   prefix=True, most=COMPLETIONS)
    if not kind.endings:
        count_images(page.entries, kind.allows, seconds=0.3)
    return page.entries, page.total > len(page.entries)


def known(kind: Kind, folder: Path) -> Entry:
    """Return ``folder`` itself with its number of images."""
    itself = Entry(folder.name or str(folder), str(folder), True)
    count_images([itself], kind.allows)
    return itself


def listed(kind: Kind, folder: Path, start: int, part: str, hidden: bool) -> tuple[Page, Entry]:
    """Return a page of ``folder``, with image counts where folders are chosen, and the facts about ``folder``."""
    page = page_of(folder, endings=kind.endings, start=start, part=part, hidden=hidden, allowed=kind.allows)
    itself = Entry(folder.name or str(folder), str(folder), True)
    if not kind.endings:
        count_images([itself, *page.entries], kind.allows)
    return page, itself


def home() -> list[Path]:
    """Return the user's home folder, if known."""
    try:
        return [Path.home()]
    except RuntimeError:
        return []


def _cleaned(kind: Kind, text: str) -> Path:
    """Return what ``text`` names; where links may lead out, a path relative to the root also works."""
    if kind.by_name and kind.roots:
        relative = text.strip().strip('"')
        if not is_on_another_machine(relative) and not Path(relative).is_absolute() and "\0" not in relative:
            return kind.roots[0] / relative
    return local_path(text)


def _real(path: Path) -> str:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError) as problem:
        raise DatasetError(f"{str(path)[:200]!r} cannot be a folder: {reason(problem)}.") from problem


def _outside(kind: Kind, text: str) -> DatasetError:
    roots = " or ".join(str(root) for root in kind.roots or ())
    return DatasetError(f"Only folders in {roots} can be used here, not {text.strip()[:200]!r}.")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
