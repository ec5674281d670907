"""Every route of the tab with a request that it can answer, from the route table itself, and where a request has texts.

A new route is tried by itself; a field that is new is given a text, until ``VALUES`` or ``OWN`` has a better one.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import stat
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from lib_lora_train.runs.events import EventWriter
from lib_lora_train.runs.folder import BAKE, BASES, KNOWS, MASK, RESIZE, TAG, create_run, open_run
from tests.captions.sets import save_picture
from tests.standin.diagnosis import write_diagnosis
from tests.standin.lora_file import write_lora

from ..captions.test_tagging import put_tagger
from ..conftest import HEADERS, Tab

SECRET = b"secret words that nobody may read"
SECRET_COLOUR = (251, 3, 247)
PREFIX = "/train-lora/"
METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH"})


@dataclass(frozen=True)
class Route:
    """A route of the tab. ``texts`` are the names of what takes a text: parts of path, query and body."""

    method: str
    path: str
    parts: tuple[str, ...]
    query: tuple[str, ...]
    body: tuple[str, ...]
    kinds: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path.removeprefix(PREFIX)}"

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(name for name in (*self.parts, *self.query, *self.body) if takes_text(self.kinds[name]))


def routes_of(tab: Tab) -> list[Route]:
    """Every route of the tab's own."""
    found = []
    for route in tab.client.app.routes:
        if not getattr(route, "path", "").startswith(PREFIX):
            continue
        model = route.body_field.type_ if route.body_field is not None else None
        fields = getattr(model, "__fields__", {})
        parts = {one.name: one.outer_type_ for one in route.dependant.path_params}
        query = {one.name: one.outer_type_ for one in route.dependant.query_params}
        body = {name: one.outer_type_ for name, one in fields.items()}
        for method in sorted(route.methods & METHODS):
            found.append(Route(method, route.path, tuple(parts), tuple(query), tuple(body), {**parts, **query, **body}))
    return found


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _listed(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of each file below ``folder``, by relative path; of a folder only that it is there."""
    found = {}
    for place, folders, files in os.walk(folder):
        for path in (Path(place, name) for name in (*folders, *files)):
            with contextlib.suppress(FileNotFoundError):  # the editor writes its journal in the background
                state = path.lstat()
                whole = (0, 0) if stat.S_ISDIR(state.st_mode) else (state.st_size, state.st_mtime_ns)
                found[str(path.relative_to(folder))] = whole
    return found


def takes_text(kind: Any) -> bool:
    """Whether a field of the type ``kind`` may hold a text that a user sends."""
    if kind in (str, Any, dict, list):
        return True
    return any(map(takes_text, typing.get_args(kind)))


@dataclass
class Furnished:
    """A tab with something of everything, and beside its data and its dataset what nobody may see or change."""

    tab: Tab
    base: Path
    dataset: Path
    runs: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    own: dict[str, dict[str, Any]] = field(default_factory=dict)
    kept: Path = Path()
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)

    def keep(self, folder: Path) -> None:
        """Keep a copy of everything in ``folder`` for ``reset``."""
        self.kept = folder
        shutil.copytree(self.tab.data, folder, symlinks=True)
        self.seen = _listed(self.tab.data)

    def reset(self, route: Route) -> None:
        """Everything is again as it was kept, and what ``route`` is about is open."""
        now = _listed(self.tab.data)
        for name in now.keys() - self.seen.keys():
            _remove(self.tab.data / name)
        for name in sorted(name for name, state in self.seen.items() if now.get(name) != state):
            source, target = self.kept / name, self.tab.data / name
            if source.is_dir() and not source.is_symlink():
                target.mkdir(exist_ok=True)
            else:
                _remove(target)
                shutil.copy2(source, target, follow_symlinks=False)
        if now != self.seen and "session" in route.kinds:
            self.open()
        if "intake" in route.kinds:
            begun = self.tab.post("captions/intake/begin", {
                "folder": str(self.dataset), "session": self.values["session"], "files": 1, "size_bytes": 3})
            self.values["intake"] = begun.json()["intake"]

    def open(self) -> None:
        """Open the dataset in the caption editor; images that were gone meanwhile have new numbers."""
        opened = self.tab.post("captions/open", {"folder": str(self.dataset)}).json()
        who = {"folder": str(self.dataset), "session": opened["session"]}
        numbers = self.tab.post("captions/view", who).json()["numbers"]
        [cell] = self.tab.post("captions/cells", {**who, "numbers": numbers[:1]}).json()["cells"]
        self.own.setdefault("POST captions/mask/save", {})["seen"] = cell["mask"]
        self.values |= {**who, "numbers": numbers[:1], "number": numbers[0], "version": cell["version"]}

    def outside(self) -> dict[str, bytes]:
        """Everything that is neither the webui's data nor the dataset."""
        return {str(path.relative_to(self.base)): path.read_bytes() if path.is_file() else b""
                for path in sorted((self.base / "outside").rglob("*"))} | {
                    path.name: b"" for path in self.base.iterdir()}

    def request(self, route: Route, **changed: Any) -> Any:
        """The answer of ``route`` to a request that it can answer, but for what is ``changed``."""
        values = {**self.values, **self.own.get(route.name, {}), **changed}
        path = route.path
        for name in route.parts:
            part = str(values[name])
            path = path.replace(f"{{{name}}}", quote(part, safe="")).replace(f"{{{name}:path}}", quote(part))
        query, body = ({name: values[name] for name in names if name in values} for names in (route.query, route.body))
        content = values.get("content", b"" if route.method == "GET" else json.dumps(body).encode())
        return self.tab.client.request(route.method, path, params=query, content=content,
                                       headers={**HEADERS, "Content-Type": "application/json"})


def hostile_value(furnished: Furnished, route: Route, name: str, text: str) -> Any:
    """``text`` as the field ``name`` of ``route`` may hold it: in a list, or in each path of a job."""
    kind = route.kinds[name]
    if kind in (str, Any):
        return text
    if typing.get_origin(kind) is list:
        return [text] if typing.get_args(kind)[0] in (str, Any) else [{"tag": text, "path": text}]
    if name == "job" and route.name == "POST tools":
        return dict.fromkeys(("lora", "checkpoint", "base", "tuned", "output_name", "output_dir"), text)
    if name == "job":
        job = furnished.tab.job()
        return {**job, "network": {"network_weights": text}, "save": {"output_name": "x", "output_dir": text},
                "dataset": {**job["dataset"], "train_data_dir": text, "reg_data_dir": text, "validation_data_dir": text,
                            "conditioning_data_dir": text},
                "base": {"checkpoint": text, "vae": text}, "tagger": {"model": text}, "mask": {"method": "subject",
                                                                                              "model": text}}
    if name == "settings":
        return {"train_data_dir": text, "reg_data_dir": text, "conditioning_data_dir": text}
    return {text: text, "path": text, "file": text, "name": text}


def furnish(tab: Tab, base: Path, finished_run: Callable[[Tab], str]) -> Furnished:
    """Fill the started ``tab`` with its data below ``base``; nothing runs in it any more."""
    tab.services.supervisor.close()
    tab.services.drawings.close()
    for thread in (tab.services.supervisor, tab.services.drawings):
        thread.join(60)
    outside = base / "outside"
    outside.mkdir()
    Image.new("RGB", (64, 64), SECRET_COLOUR).save(outside / "secret.png")
    for name in ("secret.txt", "secret.safetensors", "secret.caption", "secret.yaml", "secret.json"):
        (outside / name).write_bytes(SECRET)
    dataset = tab.data / "sets" / "penny"
    dataset.parent.mkdir(parents=True)
    tab.dataset.rename(dataset)
    tab.dataset = dataset
    (dataset / "sub").mkdir()
    save_picture(dataset / "sub" / "4.png")
    (dataset / "meta.json").write_text('{"0": {"caption": "a cat"}}')
    Image.new("L", Image.open(dataset / "0.png").size, 255).save(dataset / "0-mask.png")
    for link, target in (("link", outside), ("sub/link", outside), ("link.png", outside / "secret.png"),
                         ("0.caption", outside / "secret.txt"), ("loop", "loop"), ("sub/up", ".."), ("here", ".")):
        (dataset / link).symlink_to(target)
    furnished = Furnished(tab, base, dataset)
    _put_runs(furnished, finished_run)
    write_lora(tab.services.host.lora_dir / "old.safetensors", {"ss_epoch": "8", "modelspec.trigger_phrase": "fox"})
    save_picture(tab.services.host.lora_dir / "old.png")
    put_tagger(tab, "mini")
    _know(furnished)
    return furnished


def _put_runs(furnished: Furnished, finished_run: Callable[[Tab], str]) -> None:
    tab, folder = furnished.tab, furnished.tab.services.runs_dir
    furnished.runs = {"done": finished_run(tab)}
    done = folder / furnished.runs["done"]
    for file in done.glob("*.yaml"):
        file.write_text(file.read_text().replace(str(furnished.base / "pictures"), str(furnished.dataset)))
    write_diagnosis(done, furnished.dataset, ["0.png", "1.png", "2.png"], odd=1)
    (done / "link").symlink_to(furnished.base / "outside")
    (done / "samples").mkdir(exist_ok=True)
    save_picture(done / "samples" / "a.png")
    waiting = create_run(folder, "waiting", done.joinpath("job.yaml").read_text())
    (waiting.path / "queued.json").write_text('{"device": "cpu", "asked": 1, "on_hold": true}')
    furnished.runs["waiting"] = waiting.id
    about = f"dataset: {{train_data_dir: {furnished.dataset}}}\nlora: old\nbase: {{checkpoint: mini}}\n"
    for command in (BASES, KNOWS, MASK, TAG, RESIZE, BAKE):
        run = create_run(folder, command, about, command)
        with EventWriter(run.events_file) as events:
            events.write("stopped", {"steps": 1, "seconds": 1.0})
        furnished.runs[command] = run.id


def _know(furnished: Furnished) -> None:
    """The values of requests that can be answered."""
    tab, runs = furnished.tab, furnished.runs
    folder = str(furnished.dataset)
    events = tab.services.index.of(open_run(tab.services.runs_dir, runs["done"])).saved
    saved, name = events[0]["path"], events[0]["name"]
    image = base64.b64encode((furnished.dataset / "1.png").read_bytes()).decode()
    furnished.open()
    who = {"folder": folder, "session": furnished.values["session"]}
    for tag in ("cat", "dog"):
        tab.post("captions/apply", {**who, "numbers": furnished.values["numbers"],
                                    "operation": {"kind": "add", "tags": [tag]}})
    tab.post("captions/undo", who)
    intake = tab.post("captions/intake/begin", {**who, "files": 1, "size_bytes": 3}).json()["intake"]
    sample = tab.post("captions/causes/sample", {**who, "image": image}).json()["sample"]
    gone = create_run(tab.services.runs_dir, "gone", "{}")
    trashed = tab.post(f"runs/{gone.id}/delete", {"files": False}).json()["id"]
    tab.post("own-presets", {"name": "mine", "values": {"network": {"network_dim": 8}}})
    tab.post("prompt-sets", {"name": "mine", "text": "x"})
    furnished.values |= {
        "run_id": runs["done"], "path": "0.png", "paths": ["0.png"], "job": tab.job(),
        "settings": {"train_data_dir": folder}, "name": "old", "names": ["none"], "tag": "penny", "target": "sub",
        "intake": intake, "sample": sample, "model": "mini", "text": "x", "prompts": ["penny"],
        "runs": [runs["done"], runs["waiting"]],

        "run": runs["done"], "key": "network.network_dim", "values": [8, 16], "goal": {"category": "C"}, "image": image,
        "operation": {"kind": "add", "tags": ["cat"]}, "kind": "images", "word": "fox", "id": trashed, "trigger": "fox",
        "drawing_id": "none", "png": base64.b64encode((furnished.dataset / "0-mask.png").read_bytes()).decode(),
        "columns": ["0.5", "1"], "row_values": ["1"]}
    furnished.own |= {
        "GET js/{version}/{path:path}": {"path": "core/main.js"},
        "GET family": {"path": str(tab.services.host.checkpoints()[0].path)}, "POST export": {"wanted": "toml"},
        "POST import": {"text": "train_network.py --network_dim=8"},
        "POST own-presets": {"name": "new", "values": {"network": {"network_dim": 8}}},
        "POST own-presets/rename": {"name": "mine", "new_name": "ours"},
        "POST own-presets/remove": {"name": "mine", "values": {}},
        "POST own-presets/file": {"name": "mine", "values": {}}, "POST prompt-sets": {"name": "new"},
        "POST prompt-sets/rename": {"name": "mine", "new_name": "ours"}, "POST prompt-sets/remove": {"name": "mine"},
        "GET prompt-sets/file": {"name": "mine"}, "POST prompt-sets/import": {"text": "# b\nx"},
        "GET runs/{run_id}/file": {"path": "samples/a.png"}, "POST runs/{run_id}/control": {"action": "stop"},
        "POST runs/{run_id}/try": {"path": saved}, "POST runs/{run_id}/keep-only": {"path": saved},
        "POST runs/{run_id}/rename-file": {"path": saved, "name": "new"}, "POST runs/{run_id}/note": {"name": "Penny"},
        "POST runs/{run_id}/continue": {"how": "more", "epochs": 1},
        "POST runs/{run_id}/continue/check": {"how": "more", "epochs": 1},
        "GET runs/{run_id}/diagnosis/image": {"index": 1}, "POST runs/{run_id}/strip": {"on": False},
        "POST runs/{run_id}/epochs": {"validation_data_dir": folder},
        "POST runs/{run_id}/plots": {"kind": "strengths", "width": 64, "height": 64, "files": [name]},
        "POST finished": {"choice": "notify"},
        "POST runs/{run_id}/queue/move": {"run_id": runs["waiting"], "before": ""},
        "POST runs/{run_id}/queue/hold": {"run_id": runs["waiting"], "on_hold": False},
        "POST runs/{run_id}/queue/device": {"run_id": runs["waiting"], "device": "cpu"},
        "POST runs/{run_id}/queue/settings": {"run_id": runs["waiting"]}, "POST queue/hold": {"on_hold": True},
        "POST queue/after-failure": {"hold": True},
        "GET runs/{run_id}/blocks": {"file": name}, "POST runs/{run_id}/blocks": {"file": name, "weights": {}},
        "POST runs/{run_id}/bake": {"file": name, "blocks": ",".join(["1"] * 17)},
        "POST block-presets": {"text": "ALL:1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"},
        "POST tools": {"command": "inspect", "job": {"lora": "old"}},
        "GET tools/runs/{run_id}": {"run_id": runs[RESIZE]},
        "GET tools/runs/{run_id}/pictures": {"run_id": runs[RESIZE]},
        "POST tools/runs/{run_id}/pictures": {"run_id": runs[RESIZE], "prompt": "x"},
        "POST tools/card": {"changes": {"preferred_weight": 0.7}}, "POST tools/metadata": {"changes": {"title": "Old"}},
        "POST tools/preview": {"picture": image}, "GET tools/publish/image": {"image": "preview"},
        "POST tools/publish/sidecar": {"before": {"activation_text": ""}, "trigger": "fox", "image": None},
        "POST tools/publish/folder": {"cover": "preview", "images": ["preview"], "folder": ""},
        "POST knows/runs": {"prompt": "{}", "images_per_word": 1, "candidates": ["cat"], "traits": [],
                            "tagger": "mini"},
        "POST knows": {"prompt": "{}", "images_per_word": 1, "candidates": ["cat"], "traits": [], "tagger": "mini"},
        **{f"{method} knows/runs/{{run_id}}{end}": {"run_id": runs[KNOWS]} for method, end in
           (("GET", ""), ("GET", "/result"), ("POST", "/stop"), ("POST", "/continue"))},
        **{f"POST bases/runs/{{run_id}}/{end}": {"run_id": runs[BASES]} for end in ("result", "continue")},
        "POST tagging/runs/{run_id}/continue": {"run_id": runs[TAG]},
        "POST masks/runs/{run_id}/continue": {"run_id": runs[MASK]},
        "GET masks/runs/{run_id}/preview": {"run_id": runs[MASK]},
        "POST tagging/runs": {"job": {"dataset": {"train_data_dir": folder}, "tagger": {"model": "mini"}}},
        "POST tagging/first": {"job": {"dataset": {"train_data_dir": folder}, "tagger": {"model": "mini"}}},
        "POST masks/runs": {"job": {"dataset": {"train_data_dir": folder}, "mask": {"method": "subject"}}},
        "POST captions/text": {"before": "penny, smiling, number 0, cat", "text": "fox", "tags": None},
        "POST captions/rename-folder": {"of": "sub", "name": "new"}, "POST captions/rename-tag": {"name": "cat"},
        "POST captions/incoming": {"source": "metadata", "file": "meta.json", "mode": "append"},
        "POST captions/incoming/plan": {"source": "metadata", "file": "meta.json", "mode": "append"},
        "POST captions/weights": {"weight": 1.5}, "POST captions/intake/begin": {"files": 1, "size_bytes": 3},
        "POST captions/intake/piece": {"path": "a.txt", "number": 0, "start": 0, "total": 3, "content": b"abc"},
        "POST captions/intake/new-set": {"parent": str(furnished.base / "data" / "sets"), "name": "new"},
        "POST captions/crop/save": {"frame": [0, 0, 48, 32], "word": "crop"},
        "GET captions/mask-image": {"path": "0.png"},
        "GET captions/mask-overlay": {"path": "0.png"}, "POST captions/upscale": {"upscaler": "Nearest"},
        "POST captions/upscale/plan": {"upscaler": "Nearest"},
        "POST captions/grow/draw": {"prompts": ["penny"], "steps": 1},
        "POST prediction-yaml": {"checkpoint": str(tab.services.host.checkpoints()[0].path), "v_prediction": True},
        "POST space/delete-states": {"runs": [runs["done"]]}, "POST places": {"path": folder},
        "POST places/complete": {"text": folder},
        "POST runs/{run_id}/delete": {"files": False}, "POST runs/{run_id}/open": {"what": "run"},
        "POST captions/consolidate/accept": {"chosen": []},
        "POST captions/doubtful/decide": {"keys": ["x"], "keep": True},
        "POST captions/history/preview": {"edit": 0}, "POST captions/history/go": {"edit": 0, "seen": ""},
    }
