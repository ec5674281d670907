"""Nobody uses the tab who may not, and nobody reaches a file that the tab has not to do with."""

from __future__ import annotations

import pytest

from lib_lora_train.ui.routes import PREFIX

from .conftest import HEADERS

GUARDED = ["schema", "host", "runs", "runs/x", "runs/x/file?path=job.yaml"]


def test_without_any_login_set_up_the_tab_answers(tab):
    assert tab.get("schema").status_code == 200


@pytest.mark.parametrize("path", GUARDED)
def test_with_gradio_auth_a_stranger_is_refused(make_tab, path):
    tab = make_tab(auth=("me", "secret"))
    assert tab.get(path).status_code == 401
    assert tab.post("runs", {"job": {}}).status_code == 401


def test_with_gradio_auth_a_login_is_let_in(make_tab):
    tab = make_tab(auth=("me", "secret"))
    login = tab.client.post("/login", data={"username": "me", "password": "secret"})
    assert login.status_code == 200
    cookies = {name: value for name, value in login.cookies.items() if name.startswith("access-token-unsecure")}
    assert tab.client.get(f"{PREFIX}/schema", cookies=cookies).status_code == 200


def test_with_api_auth_alone_its_password_is_asked_for(make_tab):
    tab = make_tab(api_auth="me:secret,you:other")
    refused = tab.get("host")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Basic"
    assert tab.client.get(f"{PREFIX}/host", auth=("me", "wrong")).status_code == 401
    assert tab.client.get(f"{PREFIX}/host", auth=("nobody", "secret")).status_code == 401
    assert tab.client.get(f"{PREFIX}/host", auth=("you", "other")).status_code == 200


@pytest.mark.parametrize("path", GUARDED)
def test_where_other_machines_reach_the_webui_it_is_refused_with_the_reason(make_tab, path):
    answer = make_tab(listen=True).get(path)
    assert answer.status_code == 403
    assert "--enable-insecure-extension-access" in answer.json()["error"]


@pytest.mark.parametrize("path", ["runs", "environment/install", "runs/x/control", "runs/x/try", "dataset/overview",
                                  "job/check"])
def test_a_post_from_another_page_lacks_the_header_and_is_refused(tab, path):
    answer = tab.client.post(f"{PREFIX}/{path}", json={"job": tab.job()})
    assert answer.status_code == 403
    assert "X-Train-Lora" in answer.json()["error"]
    assert tab.get("runs").json() == []


def test_every_route_is_guarded(make_tab):
    tab = make_tab(listen=True)
    routes = [route for route in tab.client.app.routes if route.path.startswith(PREFIX)]
    assert len(routes) >= 9
    for route in routes:
        for method in route.methods:
            path = route.path.replace("{run_id}", "x")
            assert tab.client.request(method, path, json={}, headers=HEADERS).status_code == 403, (method, path)


@pytest.mark.parametrize("path", ["../../secret.png", "%2e%2e/secret.png", "/etc/passwd", "..", "", ".",
                                  "samples/../../../secret.png", "link.png"])
def test_a_file_outside_the_run_is_not_served(tab, path, finished_run):
    run_id = finished_run(tab)
    (tab.data / "secret.png").write_bytes(b"secret")
    (tab.services.runs_dir / "secret.png").write_bytes(b"secret")
    (tab.services.runs_dir / run_id / "link.png").symlink_to(tab.data / "secret.png")
    answer = tab.get(f"runs/{run_id}/file", path=path)
    assert answer.status_code == 400
    assert b"secret" not in answer.content.replace(b"secret.png", b"")


def test_only_pictures_of_a_run_are_served(tab, finished_run):
    run_id = finished_run(tab)
    events = tab.get(f"runs/{run_id}").json()["events"]
    sample = next(event["path"] for event in events if event["event"] == "sample")
    answer = tab.get(f"runs/{run_id}/file", path=sample)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert tab.get(f"runs/{run_id}/file", path="job.yaml").status_code == 400


@pytest.mark.parametrize("run_id", ["..", "%2e%2e", "nothing", "..%2fruns"])
def test_a_run_is_only_looked_for_among_the_runs(tab, run_id):
    assert tab.get(f"runs/{run_id}").status_code in (400, 404)


def test_with_hidden_folders_only_those_of_the_webui_can_be_a_dataset(make_tab):
    tab = make_tab(hide_ui_dir_config=True)
    answer = tab.post("runs", {"job": tab.job()})
    assert answer.status_code == 400
    assert "--hide-ui-dir-config" in answer.json()["error"]
    sums = tab.post("job/check", {"job": tab.job()}).json()
    assert (sums["total_steps"], len(sums["problems"])) == (None, 1)
    assert tab.post("dataset/overview", {"folder": str(tab.dataset), "settings": {}}).status_code == 400
    assert tab.get("thumbnail", folder=str(tab.dataset), path="0.png").status_code == 400
    inside = tab.data / "sets" / "penny"
    inside.parent.mkdir(parents=True)
    tab.dataset.rename(inside)
    tab.dataset = inside
    assert tab.post("runs", {"job": tab.job()}).status_code == 200


def test_a_link_out_of_the_allowed_folder_is_refused(make_tab):
    tab = make_tab(hide_ui_dir_config=True)
    (tab.data / "link").symlink_to(tab.dataset)
    tab.dataset = tab.data / "link"
    assert tab.post("runs", {"job": tab.job()}).status_code == 400


def test_an_output_folder_outside_the_loras_is_refused(tab):
    job = tab.job()
    job["save"]["output_dir"] = str(tab.data)
    assert "save.output_dir" in tab.post("runs", {"job": job}).json()["error"]


def test_a_checkpoint_that_the_webui_does_not_list_is_refused(tab):
    job = tab.job()
    job["base"] = {"checkpoint": "/etc/passwd", "vae": "/etc/shadow"}
    assert "not in the webui's list" in tab.post("runs", {"job": job}).json()["error"]
