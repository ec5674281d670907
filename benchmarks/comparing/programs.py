"""The two programs of a comparison: how each is started, and where its steps and its LoRA are found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lib_lora_train.config.exporting.formats import TOML, export_text
from lib_lora_train.config.exporting.sd_scripts import SDXL, family_of_shapes
from lib_lora_train.config.job import Job, all_settings
from lib_lora_train.config.text_yaml import read_yaml, write_yaml
from lib_lora_train.environment import worker_environ
from lib_lora_train.environment.folders import ROOT_VARIABLE, environment_root
from lib_lora_train.pictures.folders import folders_to_export
from lib_lora_train.runs.events import EVENTS_FILE, read_events

Line = tuple[float, str]
"""A line of output, and when it came (seconds since the epoch)."""
Step = tuple[int, float]
"""How many steps are done, and since when (seconds since the epoch)."""
Shapes = Mapping[str, Sequence[int]]

PINS = Path("lib_lora_train") / "worker_requirements" / "pins.txt"
LORA_NAME = "compared"
_BAR = re.compile(r"^steps:.*?\|\s*(\d+)/\d+\s*\[")
_FREE_OPTIONS = {"max_data_loader_n_workers": "0"}
"""sd-scripts starts 8 processes that load data, for each epoch anew. The latents are cached here, so they only cost."""


@dataclass(frozen=True)
class Started:
    """A program that is ready to run one job. ``steps`` reads from its output when each step was done."""

    command: tuple[str, ...]
    folder: Path
    environ: Mapping[str, str]
    lora: Path
    steps: Callable[[Sequence[Line]], list[Step]]


@dataclass(frozen=True)
class Program:
    """A program by its name, and how it starts a job in a folder made for that; ``notes`` say what is not the same."""

    name: str
    start: Callable[[Path], Started]
    notes: tuple[str, ...] = field(default=())


def this_project(tree: Path, job: Job, name: str, known: Sequence[str] | None = None,
                 environment: Path | None = None) -> Program:
    """This project as it is in ``tree``, which knows the settings ``known`` (as ``group.name``; ``None``: all)."""
    values: dict[str, dict[str, object]] = {}
    unknown = []
    for setting in all_settings():
        value = getattr(getattr(job, setting.group), setting.name)
        if known is None or setting.key in known:
            values.setdefault(setting.group, {})[setting.name] = value
        elif value != setting.default:
            unknown.append(f"{name} has no setting {setting.key}, which is {value} here.")

    def start(folder: Path) -> Started:
        own = {**values, "save": {**values["save"], "output_dir": str(folder), "output_name": LORA_NAME}}
        (folder / "job.yaml").write_text(write_yaml(own), encoding="utf-8")
        command = (sys.executable, "-m", "lib_lora_train", "train", str(folder / "job.yaml"), "--runs",
                   str(folder / "runs"))
        environ = worker_environ() | {ROOT_VARIABLE: str(environment or environment_root())}
        return Started(command, tree, environ, folder / f"{LORA_NAME}.safetensors",
                       lambda lines: steps_in_events(folder / "runs"))

    return Program(name, start, tuple(unknown))


def sd_scripts(place: Path, python: Path, job: Job, shapes: Shapes, tokenizers: Path,
               options: Mapping[str, str]) -> Program:
    """sd-scripts in ``place``, run by ``python``, with ``job`` as this project exports it.

    ``options`` are given beside it, by sd-scripts' names, and win over the job's. ``tokenizers`` is a folder with
    CLIP's tokenizers, so that nothing is downloaded. ``accelerate launch`` is left out: it only takes time before.
    """
    family = family_of_shapes(shapes)
    exported = export_text(job, TOML, family, folders_to_export(job.dataset))
    script = "sdxl_train_network.py" if family == SDXL else "train_network.py"
    beside = {"tokenizer_cache_dir": str(tokenizers), **_FREE_OPTIONS, **options}

    def start(folder: Path) -> Started:
        (folder / "job.toml").write_text(exported.text, encoding="utf-8")
        given = {**beside, "output_dir": str(folder), "output_name": LORA_NAME}
        for name, text in exported.files.items():
            (folder / name).write_text(text, encoding="utf-8")
            given["dataset_config"] = str(folder / name)
        command = (str(python), str(place / script), f"--config_file={folder / 'job.toml'}",
                   *(f"--{name}={value}" if value else f"--{name}" for name, value in given.items()))
        return Started(command, place, peer_environ(python), folder / f"{LORA_NAME}.safetensors", steps_in_output)

    said = [f"sd-scripts also gets {name}={value}." for name, value in {**_FREE_OPTIONS, **options}.items()]
    return Program("sd-scripts", start, (*exported.notes, *said))


def peer_environ(python: Path) -> dict[str, str]:
    """This process's environment variables for ``python``, without what points to this project's packages."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    path = os.pathsep.join([str(python.parent), kept.get("PATH", "")])
    return {**kept, "PATH": path, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1"}


def steps_in_output(lines: Sequence[Line]) -> list[Step]:
    """When sd-scripts' bar (tqdm's, named ``steps``) first showed each number of steps."""
    shown: dict[int, float] = {}
    for moment, line in lines:
        found = _BAR.match(line.strip())
        if found and int(found[1]):
            shown.setdefault(int(found[1]), moment)
    return sorted(shown.items())


def steps_in_events(runs: Path) -> list[Step]:
    """When each step was done by the events of the one run in ``runs``."""
    return [(int(event["step"]), float(event["time"])) for file in sorted(runs.glob(f"*/{EVENTS_FILE}"))
            for event in read_events(file)[0] if event["event"] == "step"]


def settings_of(tree: Path, environ: Mapping[str, str]) -> list[str]:
    """The settings that the version of this project in ``tree`` knows, as ``group.name``."""
    printed = _run([sys.executable, "-m", "lib_lora_train", "settings"], tree, environ)
    return [f"{group}.{name}" for group, settings in read_yaml(printed).items() if isinstance(settings, Mapping)
            for name in settings]


def check_out(repository: Path, revision: str, folder: Path) -> str:
    """A worktree of ``revision`` in ``folder``; returns the commit's short name. Raises ``SystemExit``."""
    git = ["git", "-C", str(repository)]
    found = subprocess.run([*git, "rev-parse", "--verify", "--quiet", "--short", f"{revision}^{{commit}}"],
                           capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(f"--peer commit {revision}: there is no such commit in {repository}. "
                         "Name a commit, a tag or a branch that `git log` knows.")
    _run([*git, "worktree", "add", "--detach", str(folder), found.stdout.strip()], repository, os.environ)
    return found.stdout.strip()


def remove_checkout(repository: Path, folder: Path) -> None:
    """Remove the worktree that ``check_out`` made, if it did."""
    if folder.exists():
        _run(["git", "-C", str(repository), "worktree", "remove", "--force", str(folder)], repository, os.environ)


def environment_for(tree: Path, folder: Path) -> Path:
    """Where the packages of the version in ``tree`` are: this one's, or installed into ``folder`` if it pins others."""
    root = Path(__file__).resolve().parents[2]
    same = (tree / PINS).is_file() and (tree / PINS).read_text("utf-8") == (root / PINS).read_text("utf-8")
    place = environment_root() if same else folder
    _run([sys.executable, "-m", "lib_lora_train", "install"], tree, worker_environ() | {ROOT_VARIABLE: str(place)})
    return place


def _run(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=dict(environ), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout
