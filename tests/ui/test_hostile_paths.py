"""Nine thousand paths that try to get out, by every route that takes one: none does, and none is answered with 5xx."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.captions.sets import save_picture
from tests.figures import count, figure

from .conftest import Tab

EACH = {"job/check": 250, "augment/preview": 350}
USUALLY = 850
SECRET = b"secret words that nobody may read"
UP = ["..", "../..", "sub/../..", "./..", "..//..", "...", "..\\..", "%2e%2e", "..%2f..", "link", "sub/link", ".. ",
      ". .", "..\0", "link/..", "sub/link/..", "....//..", "~", "~root", "$HOME", "{base}", "//{base}", "/{base}/..",
      "\\\\server\\share", "//server/share", "C:\\", "file://{base}", "sub", "", "loop", "loop/..", ".lora_train",
      ".lora_train_trash", "sub/up/up/up", "here/here/here/up"]
NAMES = ["outside/secret.png", "outside/secret.txt", "outside", "secret.png", "outside/../outside/secret.png", "",
         "/etc/passwd", "etc/passwd", "secret.safetensors", "outside/secret.safetensors", "job.yaml", "x.py", "NUL",
         "secret.png\0.png", "secret.png/", "0.png/../../outside/secret.png", "0.png:stream", "outside\\secret.png",
         "evil/x.py", "*", "?", "." * 300, "\U0001f600", "\u202egnp.terces", "0.png"]
TAILS = ["", "/", "/.", "/..", "%00", " ", ".png", ".txt", "#", "?v=1"]


@dataclass
class HostileTab:
    """A tab, and beside its data and its dataset what nobody may see or change."""

    tab: Tab
    base: Path
    dataset: Path
    session: str
    run: str

    def outside(self) -> dict[str, bytes]:
        """Everything that is neither the webui's data nor the dataset."""
        return {str(path.relative_to(self.base)): path.read_bytes() if path.is_file() else b""
                for path in sorted(self.base.rglob("*")) if not path.is_symlink()
                and self.tab.data not in (path, *path.parents) and self.dataset not in (path, *path.parents)}


@pytest.fixture
def hostile(make_tab, tmp_path: Path) -> HostileTab:
    tab = make_tab(hide_ui_dir_config=True)
    outside = tmp_path / "outside"
    save_picture(outside / "secret.png")
    for name in ("secret.txt", "secret.safetensors", "secret.caption"):
        (outside / name).write_bytes(SECRET)
    dataset = tab.data / "sets" / "penny"
    dataset.parent.mkdir(parents=True)
    tab.dataset.rename(dataset)
    tab.dataset = dataset
    (dataset / "sub").mkdir()
    save_picture(dataset / "sub" / "4.png")
    for link, target in (("link", outside), ("sub/link", outside), ("link.png", outside / "secret.png"),
                         ("0.caption", outside / "secret.txt"), ("loop", "loop"), ("sub/up", ".."), ("here", ".")):
        (dataset / link).symlink_to(target)
    session = tab.post("captions/open", {"folder": str(dataset)}).json()["session"]
    run = tab.services.runs_dir / "20260101-000000-penny"
    run.mkdir(parents=True)
    (run / "job.yaml").write_text("{}")
    (run / "link").symlink_to(outside)
    return HostileTab(tab, tmp_path, dataset, session, run.name)


def hostile_paths(base: Path, route: str, most: int | None = None) -> Iterator[str]:
    """Those for one route, relative and whole; the first ``most`` of them."""
    chance = random.Random(route)
    every = list(itertools.product(UP, NAMES, TAILS, ["/", "\\", "", "//", "/./"]))
    for up, name, tail, slash in chance.sample(every, EACH.get(route, USUALLY))[:most]:
        yield f"{up}{slash}{name}{tail}".replace("{base}", str(base))


def asked(hostile: HostileTab, route: str, path: str) -> Any:
    """The answer of ``route`` to ``path``."""
    tab, folder = hostile.tab, str(hostile.dataset)
    edit = {"folder": folder, "session": hostile.session}
    job = tab.job()
    if route == "job/check":
        job = {**job, "network": {"network_weights": path}, "save": {"output_name": "x", "output_dir": path},
               "dataset": {**job["dataset"], "reg_data_dir": path}, "base": {"checkpoint": path, "vae": path}}
    return {
        "thumbnail": lambda: tab.get(route, folder=folder, path=path),
        "thumbnail of a folder": lambda: tab.get("thumbnail", folder=path, path="secret.png"),
        "captions/image": lambda: tab.get(route, folder=folder, session=hostile.session, path=path),
        "runs/file": lambda: tab.get(f"runs/{hostile.run}/file", path=path),
        "augment/preview": lambda: tab.post(route, {"folder": folder, "path": path}),
        "dataset/overview": lambda: tab.post(route, {"folder": path, "settings": {}}),
        "captions/open": lambda: tab.post(route, {"folder": path}),
        "captions/copy": lambda: tab.post(route, {**edit, "numbers": [0], "target": path}),
        "captions/rename-folder": lambda: tab.post(route, {**edit, "of": path, "name": path.rpartition("/")[2]}),
        "job/check": lambda: tab.post(route, {"job": job}),
        "tagging/runs": lambda: tab.post(route, {"job": {"dataset": {"train_data_dir": path},
                                                         "tagger": {"model": path}}}),
        "masks/runs": lambda: tab.post(route, {"job": {"dataset": {"train_data_dir": path},
                                                       "mask": {"method": "subject", "model": path}}}),
        "captions/mask-image": lambda: tab.get(route, folder=folder, session=hostile.session, path=path),
        "lora/info": lambda: tab.get(route, name=path),
        "places": lambda: tab.post(route, {"kind": "images", "path": path}),
        "places/complete": lambda: tab.post(route, {"kind": "lora", "text": path}),
        "dataset/trigger-word": lambda: tab.post(route, {"folder": path, "word": "x"}),
    }[route]()


ROUTES = ["thumbnail", "thumbnail of a folder", "captions/image", "runs/file", "augment/preview", "dataset/overview",
          "captions/open", "captions/copy", "captions/rename-folder", "job/check", "tagging/runs", "lora/info",
          "masks/runs", "captions/mask-image", "places", "places/complete", "dataset/trigger-word"]


def test_there_are_nine_thousand_different_ones(tmp_path: Path):
    found = {(route, path) for route in ROUTES for path in hostile_paths(tmp_path, route)}
    assert len(found) >= 9000


@pytest.mark.parametrize("route", ROUTES)
def test_no_path_leads_out(hostile: HostileTab, route: str):
    before = hostile.outside()
    tried, answered, escapes = 0, 0, []
    most = count(100, EACH.get(route, USUALLY))
    with figure("hostile paths") as counted:
        for path in hostile_paths(hostile.base, route, most):
            answer = asked(hostile, route, path)
            tried += 1
            answered += answer.status_code == 200
            assert answer.status_code < 500, (path, answer.text)
            if SECRET in answer.content or b"root:" in answer.content or (
                    route in ("thumbnail", "thumbnail of a folder", "captions/image", "captions/mask-image",
                              "runs/file", "augment/preview")
                    and answer.status_code == 200 and not is_of_the_dataset(hostile, path)):
                escapes.append(path)
            counted.tried += 1
    assert (tried, escapes) == (most, [])
    assert hostile.outside() == before
    assert not [path for path in hostile.tab.data.rglob("*.py") if path.is_file()]
    assert not [path for path in hostile.dataset.rglob("secret.txt") if path.is_file()]


def is_of_the_dataset(hostile: HostileTab, path: str) -> bool:
    return (hostile.dataset / path).resolve().is_relative_to(hostile.dataset)


@pytest.mark.parametrize("ending", [".py", ".js", ".css", ".json", ".bat", ".yaml", ".safetensors", ".txt/../x.py", "",
                                    ".", ".py ", ".TXT.py", "txt"])
@pytest.mark.parametrize("route", ["captions/open", "dataset/overview", "job/check", "tagging/runs"])
def test_captions_with_another_ending_are_neither_read_nor_written(hostile: HostileTab, route: str, ending: str):
    folder, settings = str(hostile.dataset), {"caption_extension": ending}
    (hostile.dataset / "0.py").write_bytes(SECRET)
    dataset = {**settings, "train_data_dir": folder}
    bodies = {"captions/open": {"folder": folder, "settings": settings},
              "dataset/overview": {"folder": folder, "settings": settings}, "job/check": {"job": {"dataset": dataset}},
              "tagging/runs": {"job": {"dataset": dataset, "tagger": {"model": "x"}}}}
    answer = hostile.tab.post(route, bodies[route])
    assert answer.status_code in (200, 400) and SECRET not in answer.content
    assert "caption_extension" in answer.text and ".txt, .caption, .tags" in answer.text
    assert (hostile.dataset / "0.py").read_bytes() == SECRET
