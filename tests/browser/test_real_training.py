"""The whole way on real parts: the real worker trains the mini checkpoint at 64 px, driven from the tab."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect
from safetensors import safe_open

from .conftest import eventually, fill_in, go_to_tab, ready, steps_drawn, wait_for_more_steps, wait_for_state
from .webui_process import ROOT

TRAINING_SECONDS = 600


@pytest.fixture
def real_webui(make_webui):
    """A webui whose worker is the real one: as installed, or in the Python that LORA_TRAIN_TEST_WORKER names."""
    python = os.environ.get("LORA_TRAIN_TEST_WORKER")
    return make_webui(*(["--worker", "real", "--worker-python", python] if python else ["--worker", "installed"]))


@pytest.mark.slow
def test_pictures_become_a_lora_that_txt2img_is_given(real_webui, open_tab):
    """Paused, stopped and resumed on the way: one run, since each start of the real worker takes seconds of a core."""
    page = open_tab(real_webui)
    page.set_default_timeout(1000 * TRAINING_SECONDS)
    page.locator(".tl-chips button").first.wait_for()
    fill_in(page, ROOT / "demo" / "pictures", output_name="hearts", resolution="64", min_bucket_reso="64",
            max_bucket_reso="128", max_token_length="75", train_batch_size="2", network_dim="4", network_alpha="2",
            max_train_epochs="3", sample_prompts="emoheart, red heart", sample_steps="4", sample_width="64",
            sample_height="64")
    ready(page)
    page.click("#tl_train")
    page.locator("#tl-panel-train .tl-line-smooth").wait_for()
    pause_and_go_on(page)
    stop_and_resume(page, real_webui)

    page.reload(wait_until="domcontentloaded")
    go_to_tab(page)
    wait_for_state(page, "Finished")
    page.locator(".tl-run-sentence", has_text="Done: 33 steps").wait_for()
    eventually(page, lambda: steps_drawn(page), 33)  # 21 pictures in batches of 2, 3 times
    panel = page.locator("#tl-panel-train")
    # beside that of the stop; the mark is on one of them, if there was time to measure them
    expect(panel.locator(".tl-file-name").filter(has_not_text="-step")).to_have_text([
        re.compile(f"^{name}( proposed)?$") for name in ("hearts", "hearts-000002", "hearts-000001")])
    expect(panel.locator(".tl-samples thead th")).to_have_text(["No LoRA", "Epoch 1", "Epoch 2", "Epoch 3"])
    page.wait_for_function("""() => [...document.querySelectorAll("#tl-panel-train .tl-sample img")]
        .every((image) => image.complete && image.naturalWidth === 64)""")

    with safe_open(real_webui.loras / "hearts.safetensors", "np") as file:
        assert any(file.get_tensor(key).any() for key in file.keys() if "lora_up" in key)  # noqa: SIM118
        assert file.metadata()["ss_output_name"] == "hearts"

    panel.locator(".tl-file", has_text="The last").get_by_role("button", name="Try in txt2img").click()
    prompt = page.locator("#txt2img_prompt textarea")
    prompt.wait_for()
    expect(prompt).to_have_value("<lora:hearts:1> emoheart")


def pause_and_go_on(page):
    page.click("#tl_pause")
    wait_for_state(page, "Paused")
    held = steps_drawn(page)
    page.click("#tl_resume")
    assert wait_for_more_steps(page, held) > held


def stop_and_resume(page, webui):
    """What was learned until then is kept, and the run resumes from there."""
    page.click("#tl_stop")
    wait_for_state(page, "Stopped")
    name = page.locator("#tl-panel-train .tl-file-name").first
    name.wait_for()
    assert Path(name.get_attribute("title")).parent == webui.loras
    assert Path(name.get_attribute("title")).is_file()

    held = steps_drawn(page)
    page.locator("#tl-panel-train .tl-resume").get_by_role("button", name="Resume", exact=True).click()
    wait_for_state(page, "Training")
    wait_for_more_steps(page, held)
    [run] = webui.get("runs")
    assert run["step"] > held and run["lora_name"] == "hearts"
