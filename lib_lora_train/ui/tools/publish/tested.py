"""What tests of a run say about one of its files: epoch, strength, bases tried, and the images to choose from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ....config.sample_prompt import read_prompt
from ....errors import ConfigError
from ....files.confine import is_inside
from ....runs.diagnosis.which_epoch import which_epoch
from ....runs.events import read_events
from ....runs.folder import TEST, TRAIN, RunFolder
from ....runs.job import settings_of
from ....runs.summary import RunIndex, RunSummary
from ...runs.strip_store import picture_path, read_strip
from ...testing.plot_files import GRIDS, PLOT_FILE, PLOTS, read_plot
from ..card import preview_of
from .paths import NONE_KNOWN, PrivateFolders, without_paths

STRIP, PREVIEW = "strip", "preview"
_MOST_IMAGES = 40
_MOST_PLOTS = 6


@dataclass(frozen=True)
class CardImage:
    """An image to choose from; ``id`` is ``strip``, ``preview``, or a path in the run folder."""

    id: str
    label: str
    prompt: str


@dataclass(frozen=True)
class Tested:
    """``best`` are sentences about which epoch and strength are best, ``notes`` for the user only. ``strength`` is
    ``None`` if it was not measured for this file. ``bases`` are the names of checkpoints that generated its images.
    """

    run: str = ""
    best: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    strength: float | None = None
    bases: tuple[str, ...] = ()
    images: tuple[CardImage, ...] = ()


def run_of(index: RunIndex, lora: Path) -> tuple[RunFolder, RunSummary] | None:
    """Return the run that has saved ``lora``, the newest if there are several."""
    for summary in index.all():
        if any(Path(event["path"]) == lora for event in summary.saved):
            return RunFolder(index.runs / summary.id), summary
    return None


def tested(index: RunIndex, lora: Path, known: PrivateFolders = NONE_KNOWN) -> Tested:
    """What the run of ``lora`` knows about it, without the folders ``known``; without a run, only the preview beside
    the file.
    """
    preview = (CardImage(PREVIEW, "Preview in the webui", ""),) if preview_of(lora) is not None else ()
    found = run_of(index, lora)
    if found is None:
        return Tested(images=preview)
    run, summary = found
    plots = _plots(run, lora)
    images = [*_strip_images(run, lora, known), *_samples(run, summary, lora, known), *_plot_images(run, plots)]
    marks = [sentence for plot in plots if (sentence := _marked(plot, lora))]
    result = Tested(run.id, tuple(marks), bases=tuple(_bases(run, plots)),
                    images=tuple([image for image in images if (run.path / image.id).is_file() or image.id == STRIP]
                                 [:_MOST_IMAGES]) + preview)
    return _with_epoch(result, run, lora) if summary.command in (TRAIN, TEST) else result


def strip_rows(run: RunFolder, lora: Path) -> list[list[Path]]:
    """The images of the strip by prompt: without the LoRA and with ``lora``. Only prompts that have both."""
    strip = read_strip(run)
    pairs = [] if strip is None else [[picture_path(run, strip, file, index) for file in (None, lora)]
                                      for index in range(len(strip.prompts))]
    return [pair for pair in pairs if all(path.is_file() for path in pair)]


def _with_epoch(result: Tested, run: RunFolder, lora: Path) -> Tested:
    try:
        found = which_epoch(run.path, read_events(run.events_file)[0], settings_of(run))
    except ConfigError as problem:
        return replace(result, notes=(f"The measurements of the run are left out: {problem}",))
    if not found.path:
        return replace(result, notes=(found.problem,) if found.problem else ())
    if Path(found.path) != lora:
        note = f"Measured as best is another file: {found.name} ({found.label})."
        return replace(result, notes=(note,))
    best = [f"{found.label[:1].upper()}{found.label[1:]} is the best of this run by measurement."]
    if found.strength is not None:
        best.append(f"Strength {found.strength:g}. {found.strength_reason}".strip())
    return replace(result, best=(*best, *result.best), strength=found.strength)


def _strip_images(run: RunFolder, lora: Path, known: PrivateFolders) -> Iterator[CardImage]:
    strip = read_strip(run)
    if strip is None:
        return
    if strip_rows(run, lora):
        yield CardImage(STRIP, "Strip: without and with the LoRA", "")
    for index, line in enumerate(strip.prompts):
        path = picture_path(run, strip, lora, index)
        yield CardImage(path.relative_to(run.path).as_posix(), "Test strip", _prompt(line, known))


def _samples(run: RunFolder, summary: RunSummary, lora: Path, known: PrivateFolders) -> Iterator[CardImage]:
    """The samples at the step of the file, otherwise the last ones before it."""
    step = next(event["step"] for event in summary.saved if Path(event["path"]) == lora)
    samples = [event for event in read_events(run.events_file)[0] if event["event"] == "sample"
               and 0 < event["step"] <= step and is_inside(run.path, run.path / event["path"])]
    last = max((event["step"] for event in samples), default=0)
    label = "Sample" if last == step else f"Sample at step {last:,}"
    for event in samples:
        if event["step"] == last:
            yield CardImage(str(event["path"]), label, without_paths(str(event.get("prompt", "")), known))


def _plots(run: RunFolder, lora: Path) -> list[dict[str, Any]]:
    """The finished plots of the run that show ``lora``, newest first."""
    files = [file for place in (PLOTS, GRIDS) for file in run.path.glob(f"{place}/*/{PLOT_FILE}")]
    plots = [read_plot(file) for file in files]
    shown = [plot for plot in plots if plot["cells"]
             and lora.stem in (plot["file"], *map(str, plot["columns"]["values"]))]
    return sorted(shown, key=lambda plot: plot["created"], reverse=True)


def _plot_images(run: RunFolder, plots: Sequence[dict[str, Any]]) -> Iterator[CardImage]:
    for plot in plots[:_MOST_PLOTS]:
        title = f"Plot: {plot['columns']['title']} and {plot['rows']['title'].lower()}"
        best = plot.get("best")
        place = f"{best[0]},{best[1]}" if isinstance(best, list) and len(best) == 2 else ""
        for path, label in ((plot["cells"].get(place), f"{title}, marked as best"), (plot["grid"], title)):
            if isinstance(path, str) and path and is_inside(run.path, run.path / path):
                yield CardImage(path, label, "")


def _marked(plot: dict[str, Any], lora: Path) -> str:
    """What the user has marked as best in ``plot``, if it is about ``lora``."""
    columns, rows, best = plot["columns"], plot["rows"], plot.get("best")
    if not isinstance(best, list):
        return ""
    try:
        column, row = columns["headings"][best[0]], rows["headings"][best[1]]
        file = columns["values"][best[0]] if columns["title"] in ("Epoch", "Run") else plot["file"]
    except (IndexError, TypeError):  # a damaged mark
        return ""
    return f"Marked as best in a plot: {column}, {row}." if file == lora.stem else ""


def _bases(run: RunFolder, plots: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The names of the checkpoints in strip and plots, each once."""
    strip = read_strip(run)
    values = [strip.checkpoint] if strip is not None and (run.path / "strip").is_dir() else []
    for plot in plots:
        values += str(plot.get("checkpoint", "")).split(", ")
        if plot["rows"]["title"] == "Checkpoint":
            values += [str(value) for value in plot["rows"]["values"]]
    names = (Path(without_paths(value).partition(" [")[0].replace("\\", "/")).name for value in values)
    yield from dict.fromkeys(name for name in names if name)


def _prompt(line: str, known: PrivateFolders) -> str:
    try:
        return without_paths(read_prompt(line).text, known)
    except ValueError:
        return without_paths(line, known)
