"""Thousands of paths that try to get out, in every text that a route takes: none does, none is answered with 5xx."""

from __future__ import annotations

import io
import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.figures import count, figure

from .every_route import SECRET, SECRET_COLOUR, Furnished, Route, hostile_value, routes_of

EACH, USUALLY = 60, 1
EACH_PLACE, USUALLY_A_PLACE = 250, 3
PLACES = frozenset({"path", "paths", "folder", "target", "of", "name", "names", "new_name", "model", "sample", "file",
                    "files", "source", "parent", "run_id", "runs", "run", "id", "job", "settings",
                    "validation_data_dir", "image", "images", "cover", "lora", "checkpoint", "tagger", "before", "plot",
                    "intake", "leave", "text"})
"""Fields that are about a file or a folder, by whatever name: more is tried in them."""
REFUSED = {
    "GET js/{version}/{path:path}": "the version of the page comes first; tests/ui/test_webui_page.py",
    "POST prediction-yaml": "needs a checkpoint that can be read; tests/ui/test_prediction.py",
    "GET knows/runs/{run_id}/result": "needs a run of the worker", "POST knows/runs/{run_id}/stop": "needs a live run",
    "POST knows/runs/{run_id}/continue": "needs an interrupted run",
    "POST tagging/runs/{run_id}/continue": "needs an interrupted run",
    "POST masks/runs/{run_id}/continue": "needs an interrupted run",
    "POST bases/runs/{run_id}/continue": "needs an interrupted run",
    "POST bases/runs/{run_id}/result": "needs a run of the worker",
    "GET masks/runs/{run_id}/preview": "needs a run of the worker", "POST masks/runs": "needs a mask model",
    "POST runs/{run_id}/control": "needs a live run", "POST runs/{run_id}/open": "only from this machine",
    "POST tools/publish/open": "only from this machine", "POST tensorboard": "only from this machine",
    "POST runs/{run_id}/plots/mark": "needs a plot",
    "POST tools/runs/{run_id}/pictures": "needs a run of the worker",
    "POST runs/{run_id}/queue/device": "needs a GPU", "POST captions/result": "needs an image that was sent",
    "POST captions/intake/add": "needs images that were sent",
    "POST captions/upscale": "as long as the sizes are being read",
    "POST captions/crop/batch/save": "needs a search for crops", "POST captions/grow/add": "needs a generated image",
    "POST captions/grow/discard": "needs a generated image", "POST captions/grow/send": "needs a generated image",
    "POST captions/mask/preview": "the image is one colour, so all background",
    "POST captions/history/go": "needs what the preview has shown; tests/ui/captions",
    "POST captions/history/preview": "needs an edit of this session; tests/ui/captions",
}
"""Requests that are refused even without a hostile path, and why."""
UP = ["..", "../..", "sub/../..", "./..", "..//..", "...", "..\\..", "%2e%2e", "..%2f..", "link", "sub/link", ".. ",
      ". .", "..\0", "link/..", "sub/link/..", "....//..", "~", "~root", "$HOME", "{base}", "//{base}", "/{base}/..",
      "\\\\server\\share", "//server/share", "C:\\", "file://{base}", "sub", "", "loop", "loop/..", ".lora_train",
      ".lora_train_trash", "sub/up/up/up", "here/here/here/up"]
NAMES = ["outside/secret.png", "outside/secret.txt", "outside", "secret.png", "outside/../outside/secret.png", "",
         "/etc/passwd", "etc/passwd", "secret.safetensors", "outside/secret.safetensors", "job.yaml", "x.py", "NUL",
         "secret.png\0.png", "secret.png/", "0.png/../../outside/secret.png", "0.png:stream", "outside\\secret.png",
         "evil/x.py", "*", "?", "." * 300, "\U0001f600", "\u202egnp.terces", "0.png"]
TAILS = ["", "/", "/.", "/..", "%00", " ", ".png", ".txt", "#", "?v=1"]
EVERY = list(itertools.product(UP, NAMES, TAILS, ["/", "\\", "", "//", "/./"]))


def hostile_paths(base: Path, route: Route, name: str, most: int) -> Iterator[str]:
    """``most`` of them for one text of ``route``, relative and whole."""
    for up, end, tail, slash in random.Random(f"{route.name} {name}").sample(EVERY, most):
        yield f"{up}{slash}{end}{tail}".replace("{base}", str(base))


def tries(name: str, full: bool = False) -> int:
    usual, whole = (USUALLY_A_PLACE, EACH_PLACE) if name in PLACES else (USUALLY, EACH)
    return whole if full else count(usual, whole)


def test_there_are_nine_thousand_different_ones(furnished: Furnished):
    found = {(route.name, name, path) for route in routes_of(furnished.tab) for name in route.texts
             for path in hostile_paths(furnished.base, route, name, tries(name, full=True))}
    assert len(found) >= 9000


def test_every_route_is_reached_or_excused(furnished: Furnished):
    """A hostile path is only a test if nothing else in the request is refused before it."""
    refused = {}
    for route in routes_of(furnished.tab):
        furnished.reset(route)
        answer = furnished.request(route)
        if answer.status_code != 200:
            refused[route.name] = answer.text[:300]
    unexcused = {name: text for name, text in refused.items() if name not in REFUSED}
    assert not unexcused, "\n".join(f"{name}: {text}" for name, text in unexcused.items())
    assert [name for name in REFUSED if name not in refused and name != "POST captions/upscale"] == []
    unread = [text for text in refused.values() if "not understood" in text]
    assert unread == [] or all("plot" in text for text in unread)


def test_no_path_leads_out(furnished: Furnished):
    before = furnished.outside()
    with figure("hostile paths") as counted:
        for route in routes_of(furnished.tab):
            for name in route.texts:
                furnished.reset(route)
                for path in hostile_paths(furnished.base, route, name, tries(name)):
                    answer = furnished.request(route, **{name: hostile_value(furnished, route, name, path)})
                    assert answer.status_code < 500, (route.name, name, path, answer.text)
                    assert not is_secret(answer), (route.name, name, path)
                    counted.tried += 1
            assert furnished.outside() == before, route.name
            assert not [path for path in furnished.tab.data.rglob("*.py") if path.is_file()], route.name
            # a folder may have such a name: "file:/…" is one below the set
            assert not [path for path in furnished.tab.data.rglob("secret.*")
                        if path.is_file() and not path.is_symlink()], route.name


def is_secret(answer: Any) -> bool:
    """Whether ``answer`` has a text or the image from outside in it."""
    if answer.headers.get("content-type", "").startswith("image/"):
        with Image.open(io.BytesIO(answer.content)) as picture:
            colour = picture.convert("RGB").getpixel((picture.width // 2, picture.height // 2))
        return sum(abs(one - other) for one, other in zip(colour, SECRET_COLOUR, strict=True)) < 20
    return SECRET in answer.content or b"root:" in answer.content


def test_the_image_from_outside_would_be_recognized(furnished: Furnished):
    class Answer:
        headers, content = {"content-type": "image/png"}, (furnished.base / "outside" / "secret.png").read_bytes()

    assert is_secret(Answer)


@pytest.mark.parametrize("route", ["captions/open", "dataset/overview", "job/check", "tagging/runs"])
def test_captions_with_another_ending_are_neither_read_nor_written(furnished: Furnished, route: str):
    folder = str(furnished.dataset)
    (furnished.dataset / "0.py").write_bytes(SECRET)
    for ending in (".py", ".js", ".css", ".json", ".bat", ".yaml", ".safetensors", ".txt/../x.py", "", ".", ".py ",
                   ".TXT.py", "txt"):
        settings = {"caption_extension": ending}
        dataset = {**settings, "train_data_dir": folder}
        bodies = {"captions/open": {"folder": folder, "settings": settings},
                  "dataset/overview": {"folder": folder, "settings": settings},
                  "job/check": {"job": {"dataset": dataset}},
                  "tagging/runs": {"job": {"dataset": dataset, "tagger": {"model": "x"}}}}
        answer = furnished.tab.post(route, bodies[route])
        assert answer.status_code in (200, 400) and SECRET not in answer.content
        assert "caption_extension" in answer.text and ".txt, .caption, .tags" in answer.text
        assert (furnished.dataset / "0.py").read_bytes() == SECRET
    (furnished.dataset / "0.py").unlink()
