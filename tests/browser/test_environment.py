"""The banner about the training packages: missing, being installed, there."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect


@pytest.fixture
def bare_webui(make_webui, tmp_path):
    """A webui in which the training packages were never installed."""
    return make_webui("--worker", "installed", LORA_TRAIN_ENV=str(tmp_path / "nothing"))


def test_without_the_packages_the_tab_offers_to_install_them(bare_webui, open_tab):
    page = open_tab(bare_webui)
    banner = page.locator(".tl-banner")
    expect(banner).to_contain_text("Nothing in the webui changes.")
    expect(banner.get_by_role("button", name="Install training packages")).to_be_enabled()
    expect(page.locator("#tl_train")).to_be_disabled()
    expect(page.locator(".tl-action-sentence")).to_contain_text("Install the training packages first")


def test_installing_shows_its_progress_and_then_training_is_possible(bare_webui, open_tab):
    """The server's answers are altered on their way, since installing for real takes minutes."""
    environment = {"state": "half-done", "text": "torch could not be read.", "lines": []}
    asked = []

    def host(route):
        answer = route.fetch()
        route.fulfill(response=answer, body=json.dumps({**answer.json(), "environment": dict(environment)}))

    def install(route):
        asked.append(route.request.headers["x-train-lora"])
        environment.update(state="installing", text="Collecting diffusers", lines=["Collecting diffusers"])
        route.fulfill(json=environment)

    page = open_tab(bare_webui)
    page.route("**/train-lora/host", host)
    page.route("**/train-lora/environment/install", install)
    page.evaluate("TrainLora.askHost()")
    banner = page.locator(".tl-banner")
    banner.filter(has_text="was interrupted").wait_for()
    expect(banner).to_contain_text("torch could not be read.")
    banner.get_by_role("button", name="Install training packages again").click()
    banner.filter(has_text="are being installed").wait_for()
    assert asked == ["1"]
    expect(banner.get_by_role("progressbar")).to_be_visible()
    environment["lines"] = ["Collecting diffusers", "Installing collected packages"]
    banner.filter(has_text="Installing collected packages").wait_for()
    environment.update(state="ready", text="", lines=[])
    page.locator(".tl-toast", has_text="You can train now.").wait_for()
    banner.wait_for(state="detached")
    expect(page.locator("#tl_train")).to_be_enabled()
