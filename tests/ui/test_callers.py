"""Requests from elsewhere are refused by their head alone: foreign names, foreign pages, strangers, huge bodies."""

from __future__ import annotations

import socket
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from modules import shared

from lib_lora_train.ui.callers import MOST_BODY_BYTES, is_ours
from lib_lora_train.ui.routes import PREFIX

from .conftest import HEADERS


def get(tab: Any, path: str = "schema", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return tab.client.get(f"{PREFIX}/{path}", headers=named)


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost", "localhost:7860", "LOCALHOST:7860", "localhost.:7860",
                                  "[::1]:7860", "192.168.1.20:7860", "10.0.0.3", "[fe80::1]", "127.0.0.2:80",
                                  "webui.localhost:7860", socket.gethostname(), f"{socket.gethostname()}.local:7860"])
def test_local_names_and_numbers_are_answered(tab, host: str):
    assert get(tab, host=host).status_code == 200


FOREIGN = ["evil.example", "evil.example:7860", "localhost.evil.example", "127.0.0.1.nip.io:7860",
           "127.0.0.1.evil.example",
           "evil.example:localhost", "user@localhost", "localhost@evil.example", "127.0.0.1:7860@evil.example",
           "evil.example#localhost", "evil.example/localhost", "", " ", "localhost evil.example",
           "localhost,evil.example",
           "x.gradio.live", "x.ngrok-free.app", "notlocalhost", "localhost:99999999", "2130706433", "0x7f.1", "[::1",
           f"{socket.gethostname()}.evil.example", "a.local", "xn--lcalhost-31a"]


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_name_is_refused_on_every_route(tab, host: str):
    for path in ("schema", "host", "runs", f"thumbnail?folder={tab.dataset}&path=0.png"):
        answer = get(tab, path, host=host)
        assert answer.status_code in (400, 403), (host, path)
        assert b"is not known as a name of this webui" in answer.content
    answer = tab.client.post(f"{PREFIX}/runs", json={"job": tab.job()}, headers={**HEADERS, "host": host})
    assert answer.status_code == 403 and tab.get("runs").json() == []


def test_two_hosts_in_one_request_are_refused(tab):
    headers = [("host", "localhost"), ("host", "evil.example")]
    request = tab.client.build_request("GET", f"{PREFIX}/schema", headers=headers)
    assert tab.client.send(request).status_code == 403


@pytest.fixture
def options(monkeypatch) -> Iterator[Any]:
    """Sets options of the webui for one test."""
    return lambda **values: [monkeypatch.setattr(shared.cmd_opts, name, value, raising=False)
                             for name, value in values.items()]


@pytest.mark.parametrize(("given", "host"), [
    ({"server_name": "studio.example"}, "studio.example:7860"), ({"server_name": "Studio.Example"}, "studio.example"),
    ({"share": True}, "4f0e12ab34.gradio.live"), ({"ngrok": "token"}, "ab-12.ngrok-free.app"),
    ({"ngrok": "token", "ngrok_options": {"domain": "me.example"}}, "me.example"),
    ({"cors_allow_origins": "https://a.example,https://me.example:8443"}, "me.example:8443"),
    ({"cors_allow_origins_regex": r"https://[a-z]+\.me\.example"}, "pod.me.example")])
def test_the_names_that_the_webui_was_started_with_are_answered(tab, options, given: dict, host: str):
    assert get(tab, host=host).status_code == 403
    options(**given)
    assert get(tab, host=host).status_code == 200
    for foreign in ("evil.example", f"{host.split(':')[0]}.evil.example", f"evil{host.split(':')[0]}.example"):
        assert get(tab, host=foreign).status_code == 403, foreign


def test_the_share_link_is_answered_by_its_whole_name(tab, monkeypatch):
    class Demo:
        share_url = "https://4f0e12ab34.share.example"

    monkeypatch.setattr(shared, "demo", Demo, raising=False)
    assert get(tab, host="4f0e12ab34.share.example").status_code == 200
    assert get(tab, host="other.share.example").status_code == 403


def test_behind_a_login_any_name_will_do_but_not_without_it(make_tab):
    tab = make_tab(api_auth="me:secret")
    assert get(tab, host="me.example").status_code == 401
    assert tab.client.get(f"{PREFIX}/schema", auth=("me", "secret"), headers={"host": "me.example"}).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "CROSS-SITE", "anything"])
@pytest.mark.parametrize("path", ["schema", "thumbnail?folder={folder}&path=0.png", "captions/image?folder={folder}&"
                                  "session={session}&path=0.png", "runs/x/file?path=a.png"])
def test_what_a_foreign_page_asks_for_is_refused_pictures_too(tab, site: str, path: str):
    session = tab.post("captions/open", {"folder": str(tab.dataset)}).json()["session"]
    url = path.format(folder=tab.dataset, session=session)
    answer = get(tab, url, sec_fetch_site=site, sec_fetch_mode="no-cors", sec_fetch_dest="image")
    assert answer.status_code == 403 and b"another page" in answer.content
    assert get(tab, url, sec_fetch_site="same-origin").status_code == get(tab, url).status_code != 403


class Body:
    """A long body that counts how much of it is asked for."""

    def __init__(self, size: int) -> None:
        self.left, self.read = size, 0

    def __iter__(self) -> Iterator[bytes]:
        yield b'{"folder": "'
        while self.left > 0:
            part = b"x" * min(1 << 16, self.left)
            self.left -= len(part)
            self.read += len(part)
            yield part
        yield b'"}'


ROUTES = ["captions/open", "captions/text", "job/check", "runs", "dataset/overview", "block-presets", "augment/preview"]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("megabytes", [9, 80])
def test_a_body_over_the_limit_is_refused_before_it_is_read(tab, route: str, megabytes: int):
    size = str(megabytes << 20)
    answer = tab.client.post(f"{PREFIX}/{route}", content=b"{}", headers={**HEADERS, "content-length": size})
    assert answer.status_code == 413 and f"larger than {MOST_BODY_BYTES >> 20} MB" in answer.json()["error"]


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_that_does_not_say_its_length_is_read_up_to_the_limit(tab, route: str):
    answer = tab.client.post(f"{PREFIX}/{route}", content=iter(Body(10 << 20)),
                             headers={**HEADERS, "content-type": "application/json"})
    assert answer.status_code == 413, answer.text


def test_a_body_at_the_limit_is_answered(tab):
    answer = tab.post("captions/open", {"folder": "x" * (MOST_BODY_BYTES - 100)})
    assert answer.status_code == 400 and len(answer.text) < 2000


async def served(app: Any, headers: dict[str, str], parts: int) -> tuple[int, int]:
    """The status of a POST, and how many of the ``parts`` of its body, one MB each, were asked for."""
    asked, status = 0, 0

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * (1 << 20), "more_body": asked < parts}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    await app({"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
               "path": f"{PREFIX}/captions/open", "raw_path": b"", "query_string": b"", "root_path": "",
               "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
               "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 7860)}, receive, send)
    return status, asked


@pytest.mark.parametrize(("headers", "status"), [
    ({"host": "evil.example", **HEADERS}, 403), ({"host": "localhost"}, 403),
    ({"host": "localhost", "sec-fetch-site": "cross-site", **HEADERS}, 403),
    ({"host": "localhost", "content-length": str(80 << 20), **HEADERS}, 413)])
def test_nothing_of_the_body_is_read_where_the_head_is_enough(tab, headers: dict, status: int):
    import asyncio

    assert asyncio.run(served(tab.client.app, headers, 80)) == (status, 0)


@pytest.mark.parametrize("login", [{"api_auth": "me:secret"}, {"auth": ("me", "secret")}])
def test_nothing_of_a_strangers_body_is_read(make_tab, login: dict):
    import asyncio

    tab = make_tab(**login)
    assert asyncio.run(served(tab.client.app, {"host": "localhost", **HEADERS}, 80)) == (401, 0)


def test_eighty_megabytes_cost_less_than_the_limit_twice(tab):
    import asyncio

    tracemalloc.start()
    try:
        status, asked = asyncio.run(served(tab.client.app, {"host": "localhost", **HEADERS}, 80))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert status == 413 and asked <= 9 and peak < 3 * MOST_BODY_BYTES


def test_a_machine_without_a_name_of_its_own_has_no_odd_names(tab, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "")
    rules = tab.services.host.access()
    assert not is_ours("evil.example", rules) and not is_ours("", rules) and is_ours("localhost", rules)
