"""Pictures from before and after a tool, drawn by the webui with one prompt and one seed.

    pictures/pictures.json   what is drawn, and how far it is      pictures/TIME-00.png   the first picture
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageStat
from pydantic import BaseModel

from ...config.job import Job
from ...errors import CheckpointError, RunError
from ...files.atomic import write_atomically
from ...files.json_file import DamagedFileError, read_object
from ...host.interface import PictureSettings, PlotAxis, PlotDrawer, PlotPlan
from ...runs.folder import EXTRACT, INSPECT, MERGE, RESIZE, TOOLS, RunFolder
from ...runs.job import values_of
from ..lora_files import activation_tag
from ..pictures import keep_picture
from ..runs.prompts import with_trigger
from ..runs.strip_settings import Txt2img, picture_settings
from ..services import Services

KIND = "tool"
_FOLDER, _FILE = "pictures", "pictures.json"
_NONE: dict[str, Any] = {"state": "none", "error": "", "prompt": "", "pictures": [], "difference": None}
_FACTS: dict[str, type | tuple[type, ...]] = {
    "state": str, "error": str, "prompt": str, "pictures": list, "difference": (int, float, type(None))}


class PicturesRequest(BaseModel):
    """A prompt, and txt2img's form, which has size, steps, sampler and seed."""

    prompt: str
    txt2img: Txt2img | None = None


@dataclass(frozen=True)
class Shot:
    """One picture: what stands above it, the title of its checkpoint, and its prompt."""

    heading: str
    checkpoint: str
    prompt: str


def pictures_of(services: Services, run: RunFolder) -> dict[str, Any]:
    """``state``, ``pictures`` (heading, path in the run's folder), ``difference``, ``drawing``; whether it is possible.

    ``difference`` is that of the first and the last picture: the mean of all pixels, 0 to 255.
    """
    drawing = next((entry for entry in services.drawings.queue() if (entry["kind"], entry["run"]) == (KIND, run.id)),
                   None)
    facts = _read(run)
    if facts["state"] == "drawing" and drawing is None:
        facts["state"] = "stopped"
    possible = (run.command in TOOLS and run.command != INSPECT and services.drawings.new_drawer() is not None
                and bool(services.index.of(run).saved))
    return {**facts, "possible": possible, "drawing": drawing}


def draw_pictures(services: Services, run: RunFolder, request: PicturesRequest) -> None:
    """Have the webui draw them. Raises ``RunError`` if there is nothing to draw or they are being drawn."""
    prompt = " ".join(request.prompt.split())
    prompt = next(iter(with_trigger([prompt], _trigger(services, run))), "")
    if not prompt:
        raise RunError("Write a prompt to draw.")
    if pictures_of(services, run)["drawing"] is not None:
        raise RunError("These images are already being generated. Wait for them, or stop them.")
    shots = shots_of(services, run, prompt)
    services.host.refresh_loras()
    settings = replace(picture_settings(request.txt2img, Job()), clip_skip=services.host.clip_skip())
    drawing = _Pictures(run, shots, settings, prompt)
    drawing.keep()
    services.drawings.submit(drawing)


def shots_of(services: Services, run: RunFolder, prompt: str) -> list[Shot]:
    """What is compared, by tool. Raises ``RunError`` if the run has saved nothing, or a checkpoint is not in the list.
    """
    saved = services.index.of(run).saved
    if run.command not in TOOLS or not saved or not Path(saved[-1]["path"]).is_file():
        raise RunError(f"The run {run.id} has no file to draw with.")
    made, job = Path(saved[-1]["path"]), values_of(run)
    with_it = f"{prompt} {_tag(made, '1')}"
    if run.command == EXTRACT:
        base = _title(services, job["org"])
        return [Shot("Tuned checkpoint", _title(services, job["tuned"]), prompt), Shot("Base", base, prompt),
                Shot("Base with the LoRA", base, with_it)]
    if run.command == MERGE:
        return [Shot("LoRAs in the prompt", _title(services, job["checkpoint"]), f"{prompt} {_tags(job)}"),
                Shot("Merged checkpoint", _title(services, str(made)), prompt)]
    current = services.host.checkpoint()
    if current is None:
        raise RunError("The webui has no checkpoint loaded. Choose one at the top of the page.")
    before = _tag(Path(job["lora"]), "1") if run.command == RESIZE else _tags(job)
    return [Shot("Before", current.title, f"{prompt} {before}"), Shot("After", current.title, with_it)]


def _trigger(services: Services, run: RunFolder) -> str:
    """The trigger words of what the tool was given or, for an extraction, has made."""
    job = values_of(run)
    saved = services.index.of(run).saved
    given = job.get("loras") or [job["lora"]] if run.command != EXTRACT else [event["path"] for event in saved[-1:]]
    found: list[str] = []
    for path in given:
        with suppress(CheckpointError):  # gone or damaged, which drawing reports
            found.append(activation_tag(Path(path)))
    return ", ".join(dict.fromkeys(filter(None, found)))


def _tags(job: Mapping[str, Any]) -> str:
    strengths: Sequence[str] = job["strengths"] or ["1"] * len(job["loras"])
    return " ".join(_tag(Path(path), strength) for path, strength in zip(job["loras"], strengths, strict=True))


def _tag(lora: Path, strength: str) -> str:
    return f"<lora:{lora.stem}:{strength}>"


def _title(services: Services, path: str) -> str:
    for file in services.host.checkpoints():
        if str(file.path) == path:
            return file.title
    raise RunError(f"{path} is no longer in the webui's list of checkpoints, so no image can be generated with it.")


class _Pictures:
    """A ``Drawing``: a picture each turn."""

    kind = KIND

    def __init__(self, run: RunFolder, shots: Sequence[Shot], settings: PictureSettings, prompt: str) -> None:
        self.run, self.title = run.id, f"Before and after: {run.id}"
        self._folder, self._shots, self._settings = run.path / _FOLDER, shots, settings
        self._name = time.strftime("%Y%m%d-%H%M%S")
        self._first: Image.Image | None = None
        self._facts: dict[str, Any] = {**_NONE, "state": "drawing", "prompt": prompt, "pictures": []}

    @property
    def done(self) -> int:
        return len(self._facts["pictures"])

    @property
    def total(self) -> int:
        return len(self._shots)

    def draw(self, drawer: PlotDrawer, drawn: Callable[[], None]) -> bool:
        shot, made = self._shots[self.done], list[Image.Image]()
        drawer.draw(PlotPlan(shot.prompt, self._settings, PlotAxis("Checkpoint name", (shot.checkpoint,)),
                             PlotAxis("Prompt S/R", (shot.prompt,))), lambda column, row, picture: made.append(picture))
        if not made:
            raise RunError(f"The webui left out the image “{shot.heading}”; its console says why.")
        name = f"{self._name}-{self.done:02d}.png"
        keep_picture(self._folder / name, made[0])
        self._facts["pictures"].append({"heading": shot.heading, "path": f"{_FOLDER}/{name}"})
        picture = made[0].convert("RGB")
        if self._first is None:
            self._first = picture
        elif self.done == self.total:
            difference = ImageStat.Stat(ImageChops.difference(self._first, picture)).mean
            self._facts["difference"] = sum(difference) / len(difference)
        self.keep()
        drawn()
        return self.done < self.total

    def end(self, problem: str, *, cancelled: bool) -> None:
        state = "failed" if problem else "stopped" if cancelled and self.done < self.total else "finished"
        self._facts.update(state=state, error=problem)
        self.keep()

    def keep(self) -> None:
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as problem:
            raise RunError(f"{self._folder} cannot be made ({problem.strerror}).") from problem
        write_atomically(self._folder / _FILE, json.dumps(self._facts))


def _read(run: RunFolder) -> dict[str, Any]:
    file = run.path / _FOLDER / _FILE
    try:
        facts = read_object(file)
        if not all(isinstance(facts.get(name), kind) for name, kind in _FACTS.items()) or not all(
                isinstance(one, dict) and {*one} == {"heading", "path"} for one in facts["pictures"]):
            raise DamagedFileError("a part of it is missing or of another kind")
    except FileNotFoundError:
        return dict(_NONE)
    except (DamagedFileError, OSError) as problem:
        return {**_NONE, "state": "failed", "error": f"{file} cannot be read: {problem}. Generate the images again."}
    return {name: facts[name] for name in _FACTS}
