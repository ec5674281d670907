"""A run's test strip: its prompts drawn by the webui with each saved file, and without.

    strip.json               whether it is on, and how its pictures are drawn
    strip/KEY/FILE_00.png    the first prompt with a saved file; _00.png without any. KEY stands for prompts, settings
                             and checkpoint, so that all pictures of a folder can be compared
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...blocks.lora_tag import family_of, with_file
from ...config.sample_prompt import read_prompt
from ...files.atomic import write_atomically
from ...files.json_file import DamagedFileError, number, read_object, text
from ...host.interface import Hires, PictureSettings
from ...runs.folder import STRIP_FILE, RunFolder

FOLDER = "strip"


@dataclass(frozen=True)
class Strip:
    """How the pictures are drawn: ``prompts`` by the webui with the file ``checkpoint``, all with the same settings.

    ``error`` says why nothing more is drawn; empty while all is well.
    """

    on: bool
    prompts: tuple[str, ...]
    picture: PictureSettings
    checkpoint: str
    error: str = ""

    @property
    def key(self) -> str:
        """The same for strips whose pictures can be compared."""
        facts = [self.prompts, dataclasses.asdict(self.picture), self.checkpoint]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Cell:
    """One picture: prompt number ``index`` with the saved ``file``, ``None`` for none; ``path`` is where it belongs.

    ``newest`` says whether it shows what was saved last.
    """

    run: RunFolder
    strip: Strip
    file: Path | None
    index: int
    path: Path
    newest: bool

    def plan(self, families: Sequence[str]) -> tuple[str, PictureSettings]:
        """Prompt and settings, with the file called in place of others of ``families``; those are the run's."""
        name = self.file.stem if self.file is not None else None
        known = {family_of(name), *families} if name else set(families)
        prompt = read_prompt(self.strip.prompts[self.index])
        own: dict[str, Any] = {"negative_prompt": prompt.negative, "width": prompt.width, "height": prompt.height,
                               "seed": prompt.seed, "steps": prompt.steps, "cfg_scale": prompt.cfg_scale}
        picture = dataclasses.replace(self.strip.picture,
                                      **{key: value for key, value in own.items() if value is not None})
        if picture.hires is not None and picture.hires.prompt:
            hires = dataclasses.replace(picture.hires, prompt=with_file(picture.hires.prompt, known, name))
            picture = dataclasses.replace(picture, hires=hires)
        return with_file(prompt.text, known, name), picture


def read_strip(run: RunFolder) -> Strip | None:
    """The strip of ``run``; ``None`` if it never had one, or its file is of another version."""
    try:
        values = read_object(run.path / STRIP_FILE)
        return Strip(values.get("on") is True, _texts(values, "prompts"), _picture(values.get("picture")),
                     text(values, "checkpoint"), text(values, "error", ""))
    except (OSError, DamagedFileError):
        return None


def write_strip(run: RunFolder, strip: Strip) -> None:
    """Keep ``strip`` with the run."""
    write_atomically(run.path / STRIP_FILE, json.dumps(dataclasses.asdict(strip), ensure_ascii=False, indent=1))


def saved_files(saved: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The ``saved`` events of a run whose file is still there, in the order of the steps."""
    latest = {event["path"]: event for event in saved if Path(event["path"]).is_file()}
    return sorted(latest.values(), key=lambda event: event["step"])


def picture_path(run: RunFolder, strip: Strip, file: Path | None, index: int) -> Path:
    """Where a picture of the strip is kept."""
    return run.path / FOLDER / strip.key / f"{file.stem if file is not None else ''}_{index:02d}.png"


def missing_cells(run: RunFolder, strip: Strip, saved: Sequence[dict[str, Any]]) -> list[Cell]:
    """What is not drawn yet, in the order of its interest: the newest file, none, then from new to old."""
    files = [Path(event["path"]) for event in reversed(saved)]
    order: list[Path | None] = [*files[:1], None, *files[1:]]
    cells = [Cell(run, strip, file, index, picture_path(run, strip, file, index), newest=file in files[:1])
             for file in order for index in range(len(strip.prompts))]
    return [cell for cell in cells if not cell.path.exists()]


def families_of(saved: Sequence[dict[str, Any]]) -> list[str]:
    """The names that the files of a run begin with: several if it was continued under another name."""
    return list(dict.fromkeys(family_of(Path(event["path"]).stem) for event in saved))


def _picture(values: Any) -> PictureSettings:
    """The settings in ``values``, each checked. Raises ``DamagedFileError``."""
    found = _typed(PictureSettings, values, {"styles", "hires"})
    hires = values.get("hires")
    return PictureSettings(**found, styles=_texts(values, "styles"),
                           hires=None if hires is None else Hires(**_typed(Hires, hires, set())))


def _typed(kind: type[PictureSettings | Hires], values: Any, without: set[str]) -> dict[str, Any]:
    """The numbers and texts that ``kind`` has, out of ``values``. Raises ``DamagedFileError``."""
    if not isinstance(values, dict):
        raise DamagedFileError("its settings are not an object")
    found = {}
    for field in dataclasses.fields(kind):
        if field.name in without:
            continue
        default = () if field.default is dataclasses.MISSING else (field.default,)
        found[field.name] = (text if field.type == "str" else number)(values, field.name, *default)
        if field.type == "int" and not isinstance(found[field.name], int):
            raise DamagedFileError(f"“{field.name}” is not a whole number")
    return found


def _texts(values: dict[str, Any], name: str) -> tuple[str, ...]:
    found = values.get(name)
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise DamagedFileError(f"“{name}” is not a list of texts")
    return tuple(found)
