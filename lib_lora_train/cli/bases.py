"""``bases``: compares checkpoints with each other."""

from __future__ import annotations

import json
import math
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..advice.bases.ancestry import inferred
from ..advice.bases.recipe import Known, Recipe, present_in, recipe_of
from ..advice.bases.tag_style import TagStyle, style_of
from ..advice.family_defaults import choose_base
from ..config.groups.tools import BasesJob
from ..config.load import job_to_yaml, read_file, read_flat
from ..errors import CheckpointError, ConfigError
from ..files.atomic import write_atomically
from ..files.walk import files_below
from ..runs.events import EventWriter
from ..runs.folder import BASES, JOB_FILE, RESULT_FILE, RunFolder, create_run
from ..runs.process import only_worker
from ..training.reporting.report import Reporter
from .train import note_error, run_of, stop_on_signals
from .usage import options_of

if TYPE_CHECKING:
    from ..tools.bases.distances import Compared, Three
    from ..tools.bases.sample import Sample

_STOPPED = 130
_MOST_FILES = 300
_MOST_FOR_THREE = 24
"""Comparing each checkpoint with all sums of three others takes seconds from here on."""
_NEAR, _RELATED, _AS_FAR, _MOST_WEIGHT = 0.05, 0.5, 1.1, 1.1


@dataclass
class _Base:
    """What was found of one checkpoint."""

    path: Path
    bytes: int = 0
    family: str = ""
    base: str = ""
    base_from: str = ""
    style: TagStyle = field(default_factory=TagStyle)
    recipe: Recipe = field(default_factory=Recipe)
    known: Known = field(default_factory=lambda: Known(""))
    precision: str = ""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sample: Sample | None = None


def bases_command(arguments: list[str]) -> int:
    """Compare; returns 0 if it finished, 130 if it was stopped. Raises ``ConfigError`` if the job is invalid."""
    options = options_of(BASES, arguments)
    run = run_of(Path(options.paths[0])) if options.paths else None
    try:
        job = _job(options)
        paths = _files(job.checkpoints)
    except ConfigError as problem:
        if run is not None:
            note_error(run, problem)
        raise
    run = run or create_run(options.runs, "bases", job_to_yaml(job), BASES)
    with only_worker(run):
        return _in_run(job, paths, run, as_json=options.json)


def _job(options: Namespace) -> BasesJob:
    first = Path(options.paths[0]) if options.paths else Path()
    if first.name == JOB_FILE or first.suffix.lower() in (".yaml", ".yml"):
        values = dict(read_file(first))
    else:
        values = {"checkpoints": [str(Path(path).expanduser().absolute()) for path in options.paths]}
    for setting in options.settings:
        values["cache"] = str(Path(setting.partition("=")[2]).expanduser().absolute())
    job, problems = read_flat(BasesJob, values, source="The command")
    if problems:
        raise ConfigError(problems)
    return job


def _files(given: Sequence[str]) -> list[Path]:
    """The checkpoints among ``given``, with those in folders. Raises ``ConfigError`` if there are none, or too many."""
    from ..models.header import ENDINGS

    found: list[Path] = []
    for path in map(Path, given):
        if path.is_dir():
            inside = (Path(entry.path) for entry in files_below(path))
            found += sorted(file for file in inside if file.suffix.lower() in ENDINGS)
        else:
            found.append(path)
    found = list(dict.fromkeys(found))
    if not found or len(found) > _MOST_FILES:
        raise ConfigError(f"checkpoints: there are {len(found)} checkpoints in {', '.join(given)[:300] or 'nothing'}. "
                          f"Give 1 to {_MOST_FILES}, or a folder with them.")
    return found


def _in_run(job: BasesJob, paths: Sequence[Path], run: RunFolder, *, as_json: bool) -> int:
    from ..environment.light_imports import import_lightly

    import_lightly()
    stop_on_signals(run)
    started = time.monotonic()
    with EventWriter(run.events_file) as events:
        reporter = Reporter(events, stream=sys.stderr)
        reporter.say(f"The run's folder is {run.path}")
        try:
            bases = _read_all(job, paths, run, reporter)
            if bases is None:
                reporter.close()
                reporter.event("stopped", {"steps": 0, "seconds": time.monotonic() - started})
                return _STOPPED
            reporter.phase("compare", f"Comparing {len(bases)} checkpoints")
            result = _compared(bases)
            write_atomically(run.result_file, json.dumps(result, ensure_ascii=False, indent=1))
        except Exception as problem:  # whatever it is, the run's log must record the end of the run
            reporter.close()
            reporter.event("error", {"text": str(problem), "detail": type(problem).__name__})
            raise
        reporter.close()
        reporter.event("result", {"path": RESULT_FILE})
        reporter.event("finished", {"steps": 0, "seconds": time.monotonic() - started})
    print(json.dumps(result, ensure_ascii=False, indent=1) if as_json else "\n".join(_sentences(result)), flush=True)
    return 0


def _read_all(job: BasesJob, paths: Sequence[Path], run: RunFolder, reporter: Reporter) -> list[_Base] | None:
    """What each file says, and a sample of it; ``None`` if a stop was requested."""
    hashes = [*job.hashes, *[""] * len(paths)] if len(job.hashes) == len(paths) else [""] * len(paths)
    cache = Path(job.cache) if job.cache else None
    bases = []
    reporter.phase("read", "Reading a sample of the weights", len(paths))
    for number, path in enumerate(paths):
        if run.control.asked("stop"):
            return None
        bases.append(_read(path, hashes[number], cache, reporter.warning))
        for problem in bases[-1].problems:
            reporter.warning(problem)
        reporter.progress(number + 1, len(paths))
    return bases


def _read(path: Path, sha256: str, cache: Path | None, warn: Callable[[str], None]) -> _Base:
    from ..models.hashes import old_short_hash
    from ..models.prediction import VELOCITY, detect_base
    from ..tools.bases.sample import read_sample
    from ..tools.stream import open_source

    found = _Base(path, known=Known(path.name, sha256))
    try:
        source = open_source(path)
        found.bytes = path.stat().st_size
        found.known = Known(path.name, sha256, old_short_hash(path))
        found.recipe = recipe_of(source.metadata)
        found.style = style_of("", path.stem, source.metadata)
        family, declared = detect_base(path, source.shapes, source.metadata)
        found.family = family.name
        velocity = None if declared is None else declared.kind == VELOCITY
        found.base = choose_base(family.name, path.stem, source.metadata, velocity).detected
        found.base_from = "name or metadata" if found.base else ""
        found.style = style_of(found.base, path.stem, source.metadata)
        del source
        found.sample = read_sample(path, cache, warn)
        found.precision = str(found.sample.dtype).removeprefix("torch.")
        if found.precision.startswith("float8"):
            found.notes.append("Stored in 8 bits (fp8): distances below 0.05 may be rounding.")
    except (CheckpointError, OSError) as problem:
        found.problems.append(str(problem) if isinstance(problem, CheckpointError) else
                              f"{path} cannot be read: {problem.strerror}. Check the disk.")
    return found


def _compared(bases: Sequence[_Base]) -> dict[str, Any]:
    from ..tools.bases.distances import Compared
    from ..tools.bases.tree import tree_of

    unet: list[list[float | None]] = [[0.0 if one == other else None for other in range(len(bases))]
                                      for one in range(len(bases))]
    text = [list(row) for row in unet]
    mixtures: dict[int, dict[str, Any]] = {}
    trees = []
    for group in _layouts(bases):
        compared = Compared([sample for index in group if (sample := bases[index].sample) is not None])
        for matrix, found in ((unet, compared.unet.tolist()), (text, compared.text.tolist())):
            for one, index in enumerate(group):
                for other, second in enumerate(group):
                    matrix[index][second] = None if math.isnan(found[one][other]) else round(found[one][other], 6)
        trees.append(tree_of(group, compared.unet.tolist()))
        for place, index in enumerate(group):
            mixture = compared.mixture(place)
            if mixture is not None:
                mixtures[index] = {**asdict(mixture), "first": group[mixture.first], "second": group[mixture.second]}
            elif len(group) <= _MOST_FOR_THREE:
                bases[index].notes += _origin(place, [bases[one].path.name for one in group], compared)
    _infer(bases, unet)
    return {"version": 1, "created": time.time(), "distances": unet, "text_distances": text, "trees": trees,
            "bases": [_facts(number, bases, mixtures.get(number)) for number in range(len(bases))]}


def _origin(place: int, names: Sequence[str], compared: Compared) -> list[str]:
    """A sentence on a checkpoint that is no mixture of two: the three it was made from, or that no parent fits."""
    three = compared.of_three(place)
    if three is not None and min(three.weights) > 0:
        parts = [f"{weight:.0%} {names[one]}" for one, weight in zip(three.parents, three.weights, strict=True)]
        return [f"By its weights, it is about {', '.join(parts[:2])} and {parts[2]}."]
    if three is not None and max(map(abs, three.weights)) < _MOST_WEIGHT:
        return [f"By its weights, it is about {_sum_in_words(three, names)}, as after an add-difference merge: it or "
                "one of these three was made from the others, so no single parent fits."]
    near = sorted((distance, other) for other, distance in enumerate(compared.unet[place].tolist())
                  if other != place and distance > 0)[:2]
    if len(near) < 2 or not _NEAR < near[0][0] < _RELATED or near[1][0] > _AS_FAR * near[0][0]:
        return []
    return [f"No single parent fits: it is about as far from {names[near[0][1]]} ({near[0][0]:.2f}) as from "
            f"{names[near[1][1]]} ({near[1][0]:.2f})."]


def _sum_in_words(three: Three, names: Sequence[str]) -> str:
    (factor, less), (added, more), (_, start) = sorted(zip(three.weights, three.parents, strict=True))
    if abs(added + factor) < 0.05:
        times = "" if abs(added - 1) < 0.05 else f"{added:.2g} × "
        return f"{names[start]} + {times}({names[more]} − {names[less]})"
    terms = [f"{'−' if weight < 0 else '+'} {abs(weight):.2g} × {names[one]}" for weight, one in
             sorted(zip(three.weights, three.parents, strict=True), reverse=True)]
    return " ".join(terms).removeprefix("+ ")


def _layouts(bases: Sequence[_Base]) -> list[list[int]]:
    """The numbers of the files that can be compared with each other, the largest group first."""
    groups: dict[str, list[int]] = {}
    for number, base in enumerate(bases):
        if base.sample is not None:
            groups.setdefault(base.sample.layout, []).append(number)
    return sorted(groups.values(), key=lambda group: -len(group))


def _infer(bases: Sequence[_Base], distances: Sequence[Sequence[float | None]]) -> None:
    """Fill in base and tag style of files that do not say them, from the nearest that do."""
    names, styles = [base.base for base in bases], [base.style for base in bases]
    labels = [style.in_words for style in styles]
    for number, base in enumerate(bases):
        source = None if names[number] else inferred(distances[number], names)
        if source is not None:
            base.base, base.base_from = names[source], _nearest_to(bases[source], distances[number][source])
        source = None if labels[number] else inferred(distances[number], labels)
        if source is not None:
            base.style = TagStyle(styles[source].styles, _nearest_to(bases[source], distances[number][source]))


def _nearest_to(source: _Base, distance: float | None) -> str:
    return f"its weights are nearest to {source.path.name} ({distance or 0:.3f})"


def _facts(number: int, bases: Sequence[_Base], mixture: Mapping[str, Any] | None) -> dict[str, Any]:
    base = bases[number]
    known = [one.known for one in bases]
    parents = [{"name": parent.called, "there": present_in(parent, known)} for parent in base.recipe.parents]
    parents = [parent for parent in parents if parent["there"] != number]
    state = base.path.stat() if base.path.is_file() else None
    return {"path": str(base.path), "name": base.path.name, "bytes": base.bytes, "family": base.family,
            "mark": [] if state is None else [state.st_size, state.st_mtime_ns],
            "base": base.base, "base_from": base.base_from, "styles": list(base.style.styles),
            "style_from": base.style.reason, "precision": base.precision, "parents": parents,
            "recipe": base.recipe.how, "mixture": mixture, "problems": base.problems, "notes": base.notes}


def _sentences(result: Mapping[str, Any]) -> list[str]:
    lines = []
    bases = result["bases"]
    for number, base in enumerate(bases):
        kind = ", ".join(part for part in (base["family"], base["base"]) if part) or "not comparable"
        style = TagStyle(tuple(base["styles"])).in_words
        lines.append(f"{base['name']}: {kind}{f', expects {style}' if style else ''}.")
        near = sorted((distance, other) for other, distance in enumerate(result["distances"][number])
                      if distance is not None and other != number)[:3]
        if near:
            lines.append("  nearest: " + ", ".join(f"{bases[other]['name']} ({distance:.4f})"
                                                   for distance, other in near))
        if base["mixture"]:
            mixture = base["mixture"]
            lines.append(f"  lies between {bases[mixture['first']]['name']} ({mixture['share']:.0%}) and "
                         f"{bases[mixture['second']]['name']} ({1 - mixture['share']:.0%})")
        if base["parents"]:
            lines.append("  merged from, says its metadata: " + ", ".join(parent["name"] for parent in base["parents"]))
        lines += [f"  {text}" for text in (*base["problems"], *base["notes"])]
    return lines
