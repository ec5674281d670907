"""Captions from the metadata JSON of sd-scripts' finetune tools, matched to the dataset's images.

``merge_captions_to_metadata.py`` and ``merge_dd_tags_to_metadata.py`` write ``{image: {"caption": …, "tags": …}}``; an
image is named by its full path (``--full_path``) or by its name without extension. ``prepare_buckets_latents.py`` adds
``train_resolution``, which is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DatasetError
from ..files.json_file import DamagedFileError, parse

PARTS = ("both", "caption", "tags")
MOST_CHARACTERS = 256 << 20


@dataclass(frozen=True)
class Matched:
    """Captions by the relative path of their image, and the entries without a matching image, with the reason."""

    captions: Mapping[str, str]
    unmatched: tuple[tuple[str, str], ...]


def captions_in_metadata(text: str, paths: Iterable[str], folder: str, part: str, separator: str) -> Matched:
    """The captions of the metadata ``text`` for the images ``paths`` (relative) of the dataset ``folder``.

    ``part`` is one of ``PARTS``. A match by path takes precedence over one by bare name. Raises ``DatasetError`` if
    ``text`` is not such metadata.
    """
    if part not in PARTS:
        raise DatasetError(f"{part!r} is no part of the metadata. Choose one of: {', '.join(PARTS)}.")
    entries = _entries(text)
    known = _Images(paths, folder)
    captions: dict[str, str] = {}
    taken: dict[str, str] = {}
    unmatched: list[tuple[str, str]] = []
    later: list[tuple[str, str]] = []
    for key, entry in entries.items():
        caption = _caption_of(entry, part, separator)
        if not caption:
            unmatched.append((key, f"has no {'caption or tags' if part == 'both' else part}"))
            continue
        path = known.by_path(key)
        if path is None:
            later.append((key, caption))
        elif path in taken:
            unmatched.append((key, f"is for the same image as {taken[path]}"))
        else:
            captions[path], taken[path] = caption, key
    for key, caption in later:
        found = known.by_stem(key)
        if len(found) == 1 and found[0] not in taken:
            captions[found[0]], taken[found[0]] = caption, key
        else:
            unmatched.append((key, "fits no image" if not found else f"fits {len(found)} images" if len(found) > 1
                              else f"is for the same image as {taken[found[0]]}"))
    return Matched(captions, tuple(unmatched))


class _Images:
    """The images of a dataset by path and by bare name, each with and without extension."""

    def __init__(self, paths: Iterable[str], folder: str) -> None:
        self._folder = folder.rstrip("/").casefold()
        self._name = self._folder.rpartition("/")[2]
        self._paths: dict[str, str] = {}
        self._stems: dict[str, list[str]] = {}
        self._names: dict[str, list[str]] = {}
        for path in paths:
            key = path.casefold()
            self._paths[key] = path
            self._stems.setdefault(key.rpartition(".")[0], []).append(path)
            name = key.rpartition("/")[2]
            for short in {name, name.rpartition(".")[0]}:
                self._names.setdefault(short, []).append(path)

    def by_path(self, key: str) -> str | None:
        """The image with the path ``key``: absolute, relative to the dataset, or absolute on another machine."""
        text = key.replace("\\", "/").strip().casefold()
        relative = text.removeprefix(f"{self._folder}/").removeprefix("./")
        for exact in (relative, *_ends(relative)):
            inside = exact.removeprefix(f"{self._name}/")
            for place in (exact, inside):
                if place in self._paths:
                    return self._paths[place]
                found = self._stems.get(place, ())
                if len(found) == 1 and "/" in exact:
                    return found[0]
        return None

    def by_stem(self, key: str) -> list[str]:
        """The images with the bare name of ``key``, with or without extension."""
        name = key.replace("\\", "/").strip().casefold().rpartition("/")[2]
        return self._names.get(name) or self._names.get(name.rpartition(".")[0], [])


def _ends(path: str) -> list[str]:
    """The suffixes of a path, longest first, such as ``b/c.png`` of ``a/b/c.png``; without the ambiguous bare name."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(1, len(parts) - 1)]


def _entries(text: str) -> dict[str, Any]:
    if len(text) > MOST_CHARACTERS:
        raise DatasetError(f"The metadata has {len(text) >> 20} MB; up to {MOST_CHARACTERS >> 20} MB are read.")
    try:
        found = parse(text.lstrip("\ufeff"))
    except DamagedFileError as problem:
        raise DatasetError(f"The metadata cannot be read: {problem}. Choose the JSON file that sd-scripts' "
                           "merge_captions_to_metadata.py or merge_dd_tags_to_metadata.py has written.") from problem
    if not isinstance(found, dict) or not all(isinstance(entry, dict) for entry in found.values()):
        raise DatasetError('This is not sd-scripts\' metadata, which is {"image": {"caption": "…", "tags": "…"}}. '
                           "Choose another file.")
    return found


def _caption_of(entry: Mapping[str, Any], part: str, separator: str) -> str:
    """The caption as one line: caption, then tags, as sd-scripts trains them."""
    caption, tags = (entry.get(name) if part in ("both", name) else None for name in ("caption", "tags"))
    sign = separator.strip()
    lines = caption if isinstance(caption, list) else [caption]
    said = " ".join(" ".join(line.split()) for line in lines if isinstance(line, str)).strip()
    listed = tags if isinstance(tags, list) else [tags]
    tag_text = sign.join(line.replace("\n", sign) for line in listed if isinstance(line, str))
    own = [tag.strip() for tag in tag_text.split(",") if tag.strip()]
    return f"{sign} ".join([*([said.removesuffix(sign).rstrip()] if said else []), *own])
