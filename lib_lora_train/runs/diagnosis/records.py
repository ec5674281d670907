"""What is measured while a run trains, in ``<run>/diagnosis``.

    plan.json            which images, captions and timesteps are measured
    measurements.jsonl   one line for the start of the run and for each save, append-only
    findings.json        what they say: suspicious images and tags, and how evenly the set is learned

Images are named by their index in ``plan.json``, which is their place in the training plan. Numbers that were not
measured are null, since all measuring has to fit into a share of the run's time.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...files.json_file import DamagedFileError, number, parse, read_object, text
from ...files.reading import read_file

FOLDER = "diagnosis"
PLAN_FILE, MEASUREMENTS_FILE, FINDINGS_FILE = "plan.json", "measurements.jsonl", "findings.json"
VERSION = 1
_MOST_BYTES = 1 << 27
_MOST_COUNT = 1 << 53

OTHER, CAPTION, DUPLICATE, HARD = "other", "caption", "duplicate", "hard"
"""Kinds of suspicious images: of another thing, with another image's caption, a copy or look-alike, hardly learned."""
LOOK, WEIGHT, RETAG, LEAVE_OUT = "look", "weight", "retag", "leave_out"
"""Ways out."""


@dataclass(frozen=True)
class PlannedImage:
    """An image of the training set. ``caption`` is the one that it is measured with, ``bucket`` its size in pixels."""

    index: int
    path: str
    caption: str
    tags: tuple[str, ...]
    concept: str
    bucket: tuple[int, int]
    repeats: int


@dataclass(frozen=True)
class DiagnosisPlan:
    """The images of a run and how they are measured. ``fingerprint`` is that of the training plan.

    With training phases, ``images`` are those of the first one, and ``later`` the paths of those that only later ones
    train on; ``None`` in a plan of an earlier version, which did not note them.
    """

    fingerprint: str
    images: tuple[PlannedImage, ...]
    timesteps: tuple[int, ...]
    measured: tuple[int, ...] = ()
    duplicates: tuple[tuple[int, ...], ...] = ()
    left_out: tuple[str, ...] = ()
    """Sentences: what is not measured, and why."""
    later: tuple[str, ...] | None = ()
    likeness: tuple[float, ...] = ()
    """How much speaks for each group of ``duplicates`` being copies of one image, certain above 1, and not only alike.

    Empty in a plan of an earlier version, which did not tell these apart.
    """


@dataclass(frozen=True)
class CaptionPair:
    """The loss of ``image`` with its caption and with another one, geometric means over the timesteps.

    The other caption is that of the image ``caption_of``, or its own without ``tag``.
    """

    image: int
    own: float
    other: float
    caption_of: int | None = None
    tag: str = ""


@dataclass(frozen=True)
class Measurement:
    """The measurements at one point of the run. Lists have an entry for each image of the plan, None if not measured.

    ``loss`` is that per timestep, ``empty`` that with an empty caption, at the noisiest timesteps only. ``distance`` is
    how far the image is from its nearest neighbours in the model's own features, relative to the usual distance.
    ``agreement`` is the cosine between its gradient and the sum of the other images'. ``seconds`` is what the measuring
    took. ``features`` are the principal components of the image's colors and edges and of the model's features.
    """

    step: int
    epoch: int
    seconds: float
    loss: tuple[tuple[float, ...] | None, ...]
    empty: tuple[tuple[float, ...] | None, ...] = ()
    distance: tuple[float | None, ...] = ()
    agreement: tuple[float | None, ...] = ()
    swapped: tuple[CaptionPair, ...] = ()
    tags: tuple[CaptionPair, ...] = ()
    left_out: tuple[str, ...] = ()
    features: tuple[tuple[float, ...] | None, ...] = ()


@dataclass(frozen=True)
class ImageFinding:
    """A suspicious image. ``rank`` counts from 1; ``alarm``: whether it stands out from what is usual in the set.

    A group of copies or look-alikes is one finding, of one of its images; ``others`` are the rest of them.
    """

    image: int
    rank: int
    suspicion: float
    kind: str
    reason: str
    alarm: bool = False
    others: tuple[int, ...] = ()
    ways: tuple[str, ...] = (LOOK, WEIGHT, RETAG, LEAVE_OUT)

    @property
    def copies(self) -> tuple[int, ...]:
        """The rest of its group, if the finding is about copies or look-alikes."""
        return self.others if self.kind == DUPLICATE else ()


@dataclass(frozen=True)
class TagFinding:
    """A tag that is doubtful in ``images``."""

    tag: str
    rank: int
    suspicion: float
    reason: str
    alarm: bool = False
    images: tuple[int, ...] = ()
    ways: tuple[str, ...] = (LOOK, RETAG)


@dataclass(frozen=True)
class BalanceFinding:
    """How much of the loss of a concept, bucket or number of repeats has gone: ``learned``, 0 to 1."""

    kind: str
    name: str
    learned: float
    images: int
    reason: str = ""


@dataclass(frozen=True)
class Findings:
    """What the measurements up to ``step`` say, most suspicious first."""

    step: int
    images: tuple[ImageFinding, ...] = ()
    tags: tuple[TagFinding, ...] = ()
    balance: tuple[BalanceFinding, ...] = ()
    left_out: tuple[str, ...] = field(default=())


def plan_json(plan: DiagnosisPlan) -> str:
    """The content of ``plan.json``."""
    return json.dumps({"version": VERSION, **asdict(plan)}, ensure_ascii=False, separators=(",", ":"))


def measurement_json(measurement: Measurement) -> str:
    """A line of ``measurements.jsonl``, without its end."""
    return json.dumps(_plain(asdict(measurement)), ensure_ascii=False, separators=(",", ":"))


def findings_json(findings: Findings) -> str:
    """The content of ``findings.json``."""
    return json.dumps({"version": VERSION, **_plain(asdict(findings))}, ensure_ascii=False, separators=(",", ":"))


def read_plan(folder: Path, file: str = PLAN_FILE) -> DiagnosisPlan | None:
    """The plan in ``folder``, None if there is none. Raises ``OSError``, or ``DamagedFileError``."""
    found = _object(folder / file)
    if found is None:
        return None
    images = tuple(_image(item) for item in _list(found, "images"))
    return DiagnosisPlan(text(found, "fingerprint"), images, tuple(_integers(found, "timesteps")),
                         tuple(_integers(found, "measured")),
                         tuple(tuple(_integer(index) for index in group) for group in _list(found, "duplicates")),
                         tuple(map(str, _list(found, "left_out"))),
                         tuple(map(str, _list(found, "later"))) if "later" in found else None,
                         tuple(_number(value) for value in _list(found, "likeness")))


def read_measurements(folder: Path) -> list[Measurement]:
    """The measurements in ``folder``, by step; damaged lines are skipped. Raises ``OSError`` but for a missing file."""
    try:
        data = read_file(folder / MEASUREMENTS_FILE, _MOST_BYTES)
    except FileNotFoundError:
        return []
    except ValueError as problem:
        raise DamagedFileError(str(problem)) from problem
    found: dict[int, Measurement] = {}
    for line in data.split(b"\n"):
        try:
            measurement = _measurement(parse(line)) if line.strip() else None
        except DamagedFileError:
            continue  # cut short by a crash; it is measured again when the run resumes
        if measurement is not None:
            found[measurement.step] = measurement
    return [found[step] for step in sorted(found)]


def read_findings(folder: Path) -> Findings | None:
    """The findings in ``folder``, None if there are none. Raises ``OSError``, or ``DamagedFileError``."""
    found = _object(folder / FINDINGS_FILE)
    if found is None:
        return None
    images = tuple(ImageFinding(_integer(item.get("image")), _integer(item.get("rank")), number(item, "suspicion"),
                                text(item, "kind"), text(item, "reason"), bool(item.get("alarm")),
                                tuple(_integers(item, "others")), tuple(map(str, _list(item, "ways"))))
                   for item in _objects(found, "images"))
    tags = tuple(TagFinding(text(item, "tag"), _integer(item.get("rank")), number(item, "suspicion"),
                            text(item, "reason"), bool(item.get("alarm")), tuple(_integers(item, "images")),
                            tuple(map(str, _list(item, "ways")))) for item in _objects(found, "tags"))
    balance = tuple(BalanceFinding(text(item, "kind"), text(item, "name"), number(item, "learned"),
                                   _integer(item.get("images")), text(item, "reason", ""))
                    for item in _objects(found, "balance"))
    return Findings(_integer(found.get("step")), images, tags, balance, tuple(map(str, _list(found, "left_out"))))


def _object(path: Path) -> dict[str, Any] | None:
    try:
        found = read_object(path, _MOST_BYTES)
    except FileNotFoundError:
        return None
    if number(found, "version", VERSION) > VERSION:
        raise DamagedFileError("it was written by a later version of this program")
    return found


def _image(item: Any) -> PlannedImage:
    if not isinstance(item, dict):
        raise DamagedFileError("an image is not an object")
    width, height = [*_integers(item, "bucket"), 0, 0][:2]
    return PlannedImage(_integer(item.get("index")), text(item, "path"), text(item, "caption"),
                        tuple(map(str, _list(item, "tags"))), text(item, "concept", ""), (width, height),
                        _integer(item.get("repeats")))


def _measurement(found: Any) -> Measurement:
    if not isinstance(found, dict):
        raise DamagedFileError("a measurement is not an object")
    return Measurement(_integer(found.get("step")), _integer(found.get("epoch")), number(found, "seconds"),
                       _rows(found, "loss"), _rows(found, "empty"), _numbers(found, "distance"),
                       _numbers(found, "agreement"), _pairs(found, "swapped"), _pairs(found, "tags"),
                       tuple(map(str, _list(found, "left_out"))), _rows(found, "features"))


def _pairs(found: dict[str, Any], name: str) -> tuple[CaptionPair, ...]:
    return tuple(CaptionPair(_integer(item.get("image")), number(item, "own"), number(item, "other"),
                             number(item, "caption_of", None), text(item, "tag", ""))
                 for item in _objects(found, name))


def _rows(found: dict[str, Any], name: str) -> tuple[tuple[float, ...] | None, ...]:
    return tuple(None if row is None else tuple(map(_number, row)) for row in _list(found, name))


def _numbers(found: dict[str, Any], name: str) -> tuple[float | None, ...]:
    return tuple(None if value is None else _number(value) for value in _list(found, name))


def _objects(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [item for item in _list(found, name) if isinstance(item, dict)]


def _list(found: dict[str, Any], name: str) -> list[Any]:
    value = found.get(name) or []
    if not isinstance(value, list):
        raise DamagedFileError(f"“{name}” is not a list")
    return value


def _integers(found: dict[str, Any], name: str) -> list[int]:
    return [_integer(value) for value in _list(found, name)]


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _MOST_COUNT:
        raise DamagedFileError(f"{str(value)[:50]!r} stands where a count belongs")
    return value


def _number(value: Any) -> float:
    return float(number({"value": value}, "value"))


def _plain(value: Any) -> Any:
    """``value`` with six digits, and None for what is not a number."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
