"""Whatever is sent, the answer is a sentence: nothing that comes in by a route can crash it."""

from __future__ import annotations

import json
import os
import random
import re
import time
from urllib.parse import urlencode

import psutil
import pytest
from PIL import Image

from tests.figures import count, figure, share

from .conftest import HEADERS

BROKEN = "ä\ud83d"  # half a character
NONSENSE = [None, 3, -1, 1e308, 10**400, True, "", " ", "\0", "x" * 5000, "../..", "~nobody/x", "//",
            "COM1", [], {}, [1], BROKEN, "C:\\x\\y", "😀", {"a": 1}, "1,2"]
KEYS = ["base.checkpoint", "base.vae", "base.clip_skip", "base.max_token_length", "dataset.train_data_dir",
        "dataset.validation_data_dir", "dataset.resolution", "dataset.train_batch_size", "dataset.caption_extension",
        "dataset.activation_tag", "dataset.bucket_reso_steps", "dataset.min_bucket_reso", "network.network_dim",
        "network.network_weights", "network.block_lr_weight", "network.block_dims", "network.block_alphas",
        "optimizer.learning_rate", "optimizer.optimizer_args", "scheduler.lr_warmup_steps", "training.max_train_epochs",
        "training.max_train_steps", "training.device", "save.output_name", "save.output_dir", "save.save_precision",
        "sample.sample_prompts"]


def share_of(number):
    """As a rule every second piece of nonsense, and the others for the next ``number``; in full all of it."""
    return share(NONSENSE, number, 2)


@pytest.mark.parametrize("key", KEYS)
def test_a_job_with_nonsense_in_it_is_judged_not_crashed_on(tab, key):
    group, name = key.split(".")
    for nonsense in share_of(KEYS.index(key)):
        values = tab.job()
        values.setdefault(group, {})[name] = nonsense
        answer = tab.post("job/check", {"job": values})
        assert answer.status_code == 200 or (nonsense == BROKEN and answer.status_code == 400), (nonsense, answer.text)
        assert isinstance(answer.json()["problems"], list)


@pytest.mark.parametrize("key", [key for key in KEYS if key.startswith("dataset.")])
def test_an_overview_request_with_nonsense_in_it_is_answered(tab, key):
    for nonsense in share_of(KEYS.index(key)):
        answer = tab.post("dataset/overview", {"folder": str(tab.dataset), "settings": {key.split(".")[1]: nonsense}})
        assert answer.status_code in (200, 400), (nonsense, answer.text)


def test_folders_and_files_of_nonsense_are_answered(tab):
    for nonsense in NONSENSE:
        for answer in (tab.post("dataset/overview", {"folder": nonsense, "settings": {}}),
                       tab.post("dataset/overview", {"folder": str(tab.dataset), "settings": nonsense}),
                       tab.post("runs", {"job": nonsense}), tab.post("runs", nonsense),
                       tab.post("runs/x/control", {"action": nonsense}), tab.post("runs/x/try", {"path": nonsense})):
            assert answer.status_code in (200, 400), (nonsense, answer.text)
            assert "error" in answer.json() or answer.status_code == 200
        if isinstance(nonsense, str) and nonsense != BROKEN:
            for query in ({"folder": nonsense, "path": "0.png"}, {"folder": str(tab.dataset), "path": nonsense},
                          {"folder": str(tab.dataset), "path": "0.png", "size": nonsense}):
                assert tab.get("thumbnail", **query).status_code == 400, nonsense
    assert tab.get("runs").json() == []


def test_a_picture_whose_name_is_not_utf8_is_shown_like_others(tab):
    Image.new("RGB", (64, 64)).save(tab.dataset / "new.png")
    (tab.dataset / "new.png").rename(tab.dataset / os.fsdecode(b"\xe4.png"))
    found = tab.post("dataset/overview", {"folder": str(tab.dataset), "settings": {}})
    assert found.status_code == 200, found.text
    assert "\udce4.png" in [item["path"] for item in found.json()["thumbnails"]]


BODIES = 1300
USUALLY = 400
"""In all, as a rule; ``BODIES`` are for each route in a whole count."""
SECONDS_A_REQUEST = 30
MEMORY_AT_MOST = 600_000_000
LONGEST_ADDRESS = 64_000
"""uvicorn refuses longer ones before any route is asked, and httpx sends none."""
VALUES = [None, 0, -1, 3, 1 << 70, 1e308, True, "", "\0", "²", "x" * 5000, "../..", "//a/b", "COM1", BROKEN, "(" * 5000,
          "NOT " * 4000, "a", [], {}, [1], [[]], ["a", None], {"a": 1}, [{}], {"folder": 3}, "[" * 3000, [[1, 2]] * 50]


def requests_of(app, generator):
    """Nonsense for every route of the tab in turn: method, path and body, whose keys are words of the real ones."""
    routes = [(method, route) for route in app.routes if getattr(route, "path", "").startswith("/train-lora/")
              for method in sorted(route.methods & {"GET", "POST", "PUT", "DELETE", "PATCH"})]
    assert len(routes) > 40
    for number in range(count(USUALLY, BODIES * len(routes))):
        method, route = routes[number % len(routes)]
        path = re.sub(r"\{[^}]+\}", lambda _: generator.choice(["x", "..%2f..", "%00", "a" * 300, "²"]), route.path)
        names = [parameter.name for parameter in route.dependant.query_params]
        fields = route.body_field.type_ if route.body_field is not None else None
        known = list(getattr(fields, "__fields__", {})) or ["folder", "path", "paths", "job", "settings", "action"]
        body = generator.choice(VALUES) if generator.random() < 0.2 else {
            name: generator.choice(VALUES) for name in known if generator.random() < 0.8}
        query = {name: str(generator.choice(VALUES)).replace(BROKEN[-1], "?") for name in names}
        yield method, path, query, body


def test_nonsense_to_every_route_of_the_table_is_answered_in_bounded_time_and_memory(tab):
    generator = random.Random(13)
    before, seen = psutil.Process().memory_info().rss, 0
    with figure("nonsense to every route") as counted:
        for method, path, query, body in requests_of(tab.client.app, generator):
            began = time.monotonic()
            address = f"{path}?{urlencode(query)}"[:LONGEST_ADDRESS]
            answer = tab.client.request(method, address, content=json.dumps(body),
                                        headers={**HEADERS, "Content-Type": "application/json"})
            seen += 1
            assert answer.status_code < 500, (method, path, query, body, answer.text)
            assert time.monotonic() - began < SECONDS_A_REQUEST, (method, path, query, body)
            counted.tried += 1
    assert seen >= USUALLY
    assert psutil.Process().memory_info().rss - before < MEMORY_AT_MOST
